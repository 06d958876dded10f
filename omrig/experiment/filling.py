"""A history is filled: each version measured so many times, in rounds of all that lack a run."""

import time
from collections.abc import Callable, Sequence

from omrig.experiment.journal import Journal
from omrig.experiment.trials import Configuration, Trials
from omrig.model.errors import RunError, UsageError

Skip = Callable[[Configuration, str], None]
"""Is told of a configuration that cannot be measured, and why."""


def fill(
    trials: Trials,
    wanted: Sequence[Configuration],
    rounds: int,
    skip: Skip,
    until_s: float | None = None,
) -> bool:
    """Measure until there are ``rounds`` runs of each that is ``wanted``; whether there are.

    What was measured already counts. One that fails is skipped from then on. No round begins that
    would end after ``until_s``, a time of :func:`time.monotonic`. Raises the last error where every
    one of them failed, and :class:`KeyboardInterrupt`.
    """
    left = {each.name: each for each in wanted}
    while names := _next(trials.journal, left, rounds):
        if _is_late(trials, until_s):
            return False
        everything = {each.name: each for each in wanted}
        try:
            trials.round([everything[name] for name in names])
        except (RunError, UsageError) as error:
            failed = _failed(trials.journal)
            if failed is None or not left.keys() - {failed}:
                raise
            skip(everything[failed], str(error))
            del left[failed]
            trials.journal.rounds[-1].remove(failed)
            trials.journal.write()
    return True


def _next(journal: Journal, left: dict[str, Configuration], rounds: int) -> list[str]:
    """Those of the next round, or of one that was interrupted; none where nothing is lacking."""
    if journal.rounds and len(journal.measured[-1]) < len(journal.rounds[-1]):
        order, measured = journal.rounds[-1], journal.measured[-1]
        for name in [each for each in order if each not in left and each not in measured]:
            order.remove(name)
        if len(measured) < len(order) and all(name in left for name in order):
            return order
    return [name for name in left if journal.count(name) < rounds]


def _failed(journal: Journal) -> str | None:
    """The one at which the last round stopped."""
    if not journal.rounds:
        return None
    return next((name for name in journal.rounds[-1] if name not in journal.measured[-1]), None)


def _is_late(trials: Trials, until_s: float | None) -> bool:
    lasted_s = trials.last_round_s or 0.0
    return until_s is not None and time.monotonic() + lasted_s > until_s
