"""The figures of runs, as decisions take them: what a run's result says of each metric."""

from collections.abc import Mapping

from omrig.compare import metrics
from omrig.compare.runs import StoredRun

Figures = Mapping[str, float]
"""Those of a run, by metric, as :func:`figures` gives them."""


def figures(stored: StoredRun) -> dict[str, float]:
    """The figures of a run by metric, the messages that failed among them."""
    failed = float(stored.result.messages.failed)
    return metrics.of_run(stored.result) | {metrics.ERRORS: failed}
