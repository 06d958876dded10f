"""The figures of runs, as decisions take them: what a run's result says of each metric."""

from collections.abc import Iterable, Mapping

from omrig.compare import metrics
from omrig.compare.runs import StoredRun

Figures = Mapping[str, float]
"""Those of a run, by metric, as :func:`figures` gives them."""


def figures(stored: StoredRun) -> dict[str, float]:
    """The figures of a run by metric, the messages that failed among them."""
    failed = float(stored.result.messages.failed)
    return metrics.of_run(stored.result) | {metrics.ERRORS: failed}


def exact(runs: Iterable[StoredRun]) -> frozenset[str]:
    """The figures that any other run of the same would have, too: in all of the runs."""
    found = [metrics.exact(each.result) for each in runs]
    return frozenset.intersection(*found) if found else frozenset()
