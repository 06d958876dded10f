"""The points of a sweep: measured in rounds until the rule says enough, and what they come to."""

from collections.abc import Sequence

from omrig.compare.runs import StoredRun
from omrig.experiment import figures, sweeping, until
from omrig.experiment.journal import Journal
from omrig.experiment.standing import Rule
from omrig.experiment.sweeping import Measured
from omrig.experiment.trials import Configuration, Trials
from omrig.model import units
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.stages import BY_NAME
from omrig.model.sweep import Factor, Sweep
from omrig.recordings import folder as run_folder

LEAST = 2
"""Fewer points are none to choose from."""

_ALL = "undecided after as many rounds as there may be"


class Points:
    """The points of a sweep of ``factors``: each a configuration and its levels.

    What fails is left out of the rounds that follow, and noted in the journal ``about``.
    """

    def __init__(
        self,
        factors: Sequence[Factor],
        points: Sequence[tuple[Configuration, tuple[str, ...]]],
        about: Journal,
    ) -> None:
        self._factors = factors
        self._points = points
        self._about = about
        self._runs: dict[tuple[str, int], StoredRun] = {}
        failed = about.own.setdefault("failed", {})
        self._failed: dict[str, str] = dict(failed) if isinstance(failed, dict) else {}

    @property
    def configurations(self) -> list[Configuration]:
        """Those of all points."""
        return [each for each, _ in self._points]

    @property
    def rounds(self) -> int:
        """Rounds in which all points were measured that did not fail."""
        return len(sweeping.common(self._measured()))

    def measure(self, trials: Trials, until_s: float | None) -> str | None:
        """Measure rounds as the journal's rule says; why they ended before that, or None.

        ``until_s`` is a time of :func:`time.monotonic`. Raises ``RunError`` where fewer than two
        points are left, and :class:`KeyboardInterrupt` when asked to end.
        """
        rule = self._about.rule
        assert rule
        while True:
            rounds = self.rounds
            if rule.until == "decided" and rounds in rule.looks:
                found = self.found()
                if found.decided:
                    return None
                waiting = sum(each.standing == "undecided" for each in found.points)
                trials.say(f"{rounds} rounds: {waiting} of {len(found.points)} points undecided")
            if rounds >= rule.rounds:
                return _ALL if rule.until == "decided" else None
            if until.is_late(trials, until_s):
                return f"--max-minutes {rule.max_minutes:g}: there was no time for another round"
            alive = [each for each in self.configurations if each.name not in self._failed]
            try:
                trials.round(alive)
            except (RunError, UsageError) as error:
                self._leave_out(trials, error)

    def found(self) -> Sweep:
        """What the sweep comes to so far; there has to be a round."""
        measured = self._measured()
        rule = self._about.rule
        assert rule
        assert rule.margin
        # A number of rounds that was fixed is looked at once.
        looks = tuple(rule.looks) or (len(sweeping.common(measured)),)
        plans = [each.plan for each in self.configurations if each.name not in self._failed]
        return sweeping.found(
            self._factors,
            measured,
            self._buckets(),
            Rule(rule.metrics[0], rule.margin, looks),
            load(plans),
        )

    def _leave_out(self, trials: Trials, error: RunError | UsageError) -> None:
        """Go on without the point that failed, which is the first one lacking in the round."""
        order, measured = self._about.rounds[-1], self._about.measured[-1]
        name = next(each for each in order if each not in measured)
        self._failed[name] = " ".join(str(error).split())
        self._about.own["failed"] = dict(self._failed)
        self._about.write()
        trials.say(f"{name} is left out from now on: {error}")
        if len(self._points) - len(self._failed) < LEAST:
            told = "; ".join(f"{each}: {why}" for each, why in self._failed.items())
            raise RunError(f"fewer than two points could be measured: {told}") from error

    def _measured(self) -> list[Measured]:
        return [
            Measured(
                each.name,
                levels,
                {
                    number: figures.figures(self._run(each.name, runs[each.name]))
                    for number, runs in enumerate(self._about.measured)
                    if each.name in runs
                },
                self._failed.get(each.name),
            )
            for each, levels in self._points
        ]

    def _run(self, name: str, number: int) -> StoredRun:
        """The run of a point of that number, as it is on the disk."""
        key = (name, number)
        if key not in self._runs:
            folder = self._about.path.parent / name / f"{number:02}"
            path, about = run_folder.read_run(str(folder), "--resume")
            result = run_folder.read_result(path, "--resume")
            if result is None:
                raise UsageError(f"--resume: {folder} has lost its result; begin anew")
            self._runs[key] = StoredRun(path, about, result)
        return self._runs[key]

    def _buckets(self) -> dict[str, str]:
        """Each stage of the runs and its bucket, in the order of a message's way."""
        there = {
            row.name: row.bucket for run in self._runs.values() for row in run.result.stages or ()
        }
        known = {name: place for place, name in enumerate(BY_NAME)}
        return {name: there[name] for name in sorted(there, key=lambda name: known.get(name, 999))}


def load(plans: Sequence[Plan]) -> str:
    """What all points were loaded with, in words: what differs between them is left out."""
    told = [_load(plan) for plan in plans]
    return ", ".join(part for part in told[0] if all(part in each for each in told))


def _load(plan: Plan) -> list[str]:
    each, pace = plan.load, plan.pace
    parts = [f"{each.pattern}s of {units.size(each.size_bytes)}", each.executor]
    if pace.is_open:
        parts.append(f"an open loop of {pace.rate:g} messages/s" if pace.rate else "an open loop")
    else:
        workers = each.workers * each.producers
        parts.append(f"a closed loop in which at most {workers} messages are under way at once")
    if each.producers > 1:
        parts.append(f"{each.producers} producers")
    if each.consumers > 1:
        parts.append(f"{each.consumers} consumers")
    if each.endpoint:
        parts.append(f"endpoint {', '.join(each.endpoint)}")
    return parts
