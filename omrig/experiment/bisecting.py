"""The first bad one of versions in a row: each is measured in turn with the good one, and judged.

Both ends are measured first, as there is nothing to search for where they are alike. What is known
is handed on after each step, and is all that a search needs to go on from there.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

from omrig.compare import comparison, gates, runs
from omrig.compare.gates import Gate
from omrig.compare.runs import RunSet
from omrig.experiment import bisection_text as text
from omrig.experiment import sequential, until
from omrig.experiment.bisection import bounds, next_position
from omrig.experiment.trials import Configuration, Trials
from omrig.experiment.until import Figures
from omrig.model.bisection import Answer, Bisection, Candidate, Figure, Step, Word
from omrig.model.decision import Decision
from omrig.model.errors import RunError, UsageError

EXPLAINED_BY = sequential.LOOKS[0]
"""Rounds of the last good and the first bad one by which their difference is explained."""

_Side = Sequence[Figures]
"""The figures of the runs of one of two, by round."""


class OutOfTime(Exception):
    """There is no time for what is still to be measured."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a search is made with.

    ``configure`` makes the configuration of a candidate under a name; ``prepare`` makes the
    environment of one, and raises ``UsageError`` where it cannot be installed. ``keep`` gets what
    is known after each step. ``metrics`` decide where there is no gate. No round begins that would
    end after ``until_s``, a time of :func:`time.monotonic`.
    """

    trials: Trials
    configure: Callable[[str, Candidate], Configuration]
    prepare: Callable[[Configuration], None]
    keep: Callable[[Bisection], None]
    metrics: Sequence[str] = sequential.METRICS
    until_s: float | None = None


def rule(limits: Sequence[Gate], good: _Side, candidate: _Side) -> Word | None:
    """Whether a candidate surely is bad (it breaks a gate) or good (it keeps all); else None."""
    outcomes = [sequential.hold(gate, good, candidate) for gate in limits]
    if "failed" in outcomes:
        return "bad"
    return "good" if all(each == "met" for each in outcomes) else None


def derived(decision: Decision) -> str | None:
    """The gate half way between two ends; None where they do not surely differ by the margin.

    Of the metrics that do it is the one that differs most. Half way is the root of the ratio: by
    the same factor from the one as from the other.
    """
    least = math.log(1 + decision.margin)
    sure = [each for each in decision.answers if each.word == "different"]
    beyond = [each for each in sure if abs(math.log(each.ratio)) > least]
    if not beyond:
        return None
    most = max(beyond, key=lambda each: abs(math.log(each.ratio)))
    half = math.sqrt(most.ratio)
    return f"{most.metric}{'<=' if half > 1 else '>='}{100 * (half - 1):+.2f}%"


class Search:
    """A search that goes on from what is ``known``."""

    def __init__(self, known: Bisection, tools: Tools) -> None:
        self.known = known
        self._tools = tools
        self._trials = tools.trials
        self._began_s = time.monotonic() - known.seconds

    def run(self) -> Bisection:
        """Measure until the first bad one is known, or nothing more can be; what is known then.

        Raises ``UsageError`` and ``RunError`` where the good one or the bad one cannot be measured,
        and :class:`KeyboardInterrupt`.
        """
        try:
            if self.known.words[-1] != "bad":
                self._tools.keep(self.known)
                self._ends()
            while not self.known.complete:
                at = next_position(self.known.words)
                if at is None:
                    self._end(answer=self._answer(is_explained=True))
                else:
                    self._add(self._asked(self.known.candidates[at], is_end=False))
                    self._trials.say(text.progress(self.known))
        except OutOfTime:
            answer = self._answer(is_explained=False) if self.known.steps else None
            self._keep(answer=answer, reason=text.unfinished(self.known))
        return self.known

    def one(self) -> Step:
        """Measure the last of two candidates alone: what it is.

        Raises ``UsageError`` and ``RunError`` where the good one cannot be measured, ``OutOfTime``
        and :class:`KeyboardInterrupt`.
        """
        step = self._asked(self.known.candidates[-1], is_end=False)
        self._add(step)
        return step

    def _ends(self) -> None:
        """Measure both ends; where they are none the search is complete, with the reason."""
        bad = self.known.candidates[-1]
        if self.known.asked.gates:
            step = self._asked(bad, is_end=True)
        else:
            step, decision = self._compared(bad)
            gate = derived(decision) if decision.word == "different" else None
            if gate is None:
                word: Word = "undecided" if decision.word == "undecided" else "good"
                self._add(dataclasses.replace(step, word=word))
                self._end(reason=text.alike(decision))
                return
            self._keep(derived=gate)
            step = dataclasses.replace(step, word="bad", figures=self._figures(step))
            self._trials.say(f"{decision.text}; from now on bad is what breaks {gate}")
        self._add(step)
        if step.word != "bad":
            self._end(reason=text.no_bad_end(step))
            return
        broken = self._broken_by_good(step)
        if broken:
            self._end(reason=text.no_good_end(self.known, broken))
            return
        self._trials.say(text.progress(self.known))

    def _broken_by_good(self, step: Step) -> Gate | None:
        """A gate that the good one does not keep, as where its limit is a figure."""
        good, _ = self._measured(step)
        broken = (gate for gate in self._gates() if sequential.hold(gate, good, good) == "failed")
        return next(broken, None)

    def _compared(self, bad: Candidate) -> tuple[Step, Decision]:
        """The bad end, and what is different there of the metrics that decide unless told."""

        def judged(good: _Side, candidate: _Side) -> Decision:
            both = [*good, *candidate]
            named = [name for name in self._tools.metrics if all(name in each for each in both)]
            return sequential.judge(good, candidate, named, self.known.asked.margin)

        def is_decided(good: _Side, candidate: _Side) -> bool:
            return bool(good) and judged(good, candidate).word != "undecided"

        step = self._measure(bad, is_decided, is_end=True)
        self._refuse_in_memory(step)
        return step, judged(*self._measured(step))

    def _asked(self, candidate: Candidate, is_end: bool) -> Step:
        """A candidate measured in turn with the good one until it is known what it is."""
        limits = self._gates()

        def is_decided(good: _Side, candidate: _Side) -> bool:
            return rule(limits, good, candidate) is not None

        step = self._measure(candidate, is_decided, is_end)
        if step.reason:
            return step
        self._refuse_in_memory(step)
        word = rule(limits, *self._measured(step)) or "undecided"
        return dataclasses.replace(step, word=word, figures=self._figures(step))

    def _measure(
        self, candidate: Candidate, is_decided: Callable[[_Side, _Side], bool], is_end: bool
    ) -> Step:
        """Rounds of the good one and a candidate until it is decided, or there were the most.

        What fails of an end is raised; of another candidate it is why that is skipped. Raises
        :class:`OutOfTime`.
        """
        number = f"{len(self.known.steps) + 1:02}"
        base = self._tools.configure(f"{number}-good", self.known.candidates[0])
        new = self._tools.configure(f"{number}-{candidate.name}", candidate)
        began_s, found, reason = time.monotonic(), None, None
        self._tools.prepare(base)
        try:
            found = self._decided(base, new, is_decided)
        except _Unfit as unfit:
            if is_end:
                raise unfit.of_end(candidate.name) from unfit
            reason = str(unfit)
        rounds = self._trials.rounds(base.name, new.name)
        if found is None and reason is None and rounds < self.known.asked.most_rounds:
            raise OutOfTime
        measured = self._trials.journal.count(base.name) + self._trials.journal.count(new.name)
        lasted_s = round(time.monotonic() - began_s, 3)
        return Step(
            candidate.name, "skipped", base.name, new.name, rounds, measured, lasted_s, (), reason
        )

    def _decided(
        self,
        base: Configuration,
        new: Configuration,
        is_decided: Callable[[_Side, _Side], bool],
    ) -> bool | None:
        """Measure both until it is decided, and whether it is. Raises ``_Unfit`` of ``new``."""
        try:
            self._tools.prepare(new)
        except UsageError as error:
            raise _Unfit(error) from error
        try:
            return until.decided(
                self._trials,
                base,
                new,
                judge_it=lambda good, candidate: is_decided(good, candidate) or None,
                most_rounds=self.known.asked.most_rounds,
                until_s=self._tools.until_s,
            )
        except (UsageError, RunError) as error:
            if self._failed() == new.name:
                raise _Unfit(error) from error
            raise

    def _refuse_in_memory(self, step: Step) -> None:
        """Of a transport without a broker nothing can be compared."""
        for run in (*self._trials.runs(step.base), *self._trials.runs(step.new)):
            if not run.run.transport.is_measurement:
                raise UsageError(
                    f"--transport-url: {run.run.transport.url} is no measurement; bisect through a"
                    " broker"
                )

    def _failed(self) -> str | None:
        """The configuration whose run ended the last round; None where that is whole."""
        journal = self._trials.journal
        if not journal.rounds:
            return None
        return next((each for each in journal.rounds[-1] if each not in journal.measured[-1]), None)

    def _answer(self, is_explained: bool) -> Answer:
        """The first bad one by what is known, and what is different there if there is time."""
        found = bounds(self.known.words)
        last, first = (self.known.candidates[at] for at in (found.last_good, found.first_bad))
        between = tuple(self.known.candidates[at].name for at in found.between)
        answer = Answer(
            first_bad=first,
            last_good=last,
            between=between,
            text=text.answer(self.known, first, last, between),
        )
        if not is_explained:
            return answer
        base, new = self._both_measured(found.last_good, last, first)
        good, bad = (RunSet(tuple(side)) for side in self._trials.paired(base, new))
        single = len(good.runs) == 1
        messages = [runs.read_messages(side.runs[0]) if single else None for side in (good, bad)]
        compared = comparison.compare(good, bad, messages=(messages[0], messages[1]))
        explanation = compared.explanation
        return dataclasses.replace(
            answer,
            change=compared.call.text,
            stage=explanation.cause.stage if explanation else None,
            shows_in=explanation.shows_in.stage if explanation and explanation.shows_in else None,
            base=base,
            new=new,
        )

    def _both_measured(self, place: int, last: Candidate, first: Candidate) -> tuple[str, str]:
        """The folders in which the last good and the first bad one were measured in turn."""
        if place == 0:
            step = next(each for each in self.known.steps if each.candidate == first.name)
            return step.base, step.new
        base = self._tools.configure(f"last-good-{last.name}", last)
        new = self._tools.configure(f"first-bad-{first.name}", first)
        if self._trials.rounds(base.name, new.name) < EXPLAINED_BY:
            self._trials.say(
                f"{first.name} is the first bad one; with {last.name} in turn, to tell what changed"
            )
        while self._trials.rounds(base.name, new.name) < EXPLAINED_BY:
            if until.is_late(self._trials, self._tools.until_s):
                raise OutOfTime
            self._trials.round((base, new))
        return base.name, new.name

    def _gates(self) -> list[Gate]:
        typed = self.known.asked.gates or (self.known.derived,)
        return [gates.parse(each) for each in typed if each]

    def _figures(self, step: Step) -> tuple[Figure, ...]:
        """What decides, of all rounds of a step."""
        good, candidate = self._measured(step)
        found = []
        for gate in self._gates():
            ours, theirs = ([each[gate.metric] for each in side] for side in (good, candidate))
            one, other = _mean(ours), _mean(theirs)
            ratio = other / one if one > 0 else None
            found.append(Figure(gate.text, gate.metric, one, other, ratio))
        return tuple(found)

    def _measured(self, step: Step) -> tuple[_Side, _Side]:
        ours, theirs = self._trials.paired(step.base, step.new)
        return [until.figures(each) for each in ours], [until.figures(each) for each in theirs]

    def _add(self, step: Step) -> None:
        self._keep(steps=(*self.known.steps, step))

    def _end(self, answer: Answer | None = None, reason: str | None = None) -> None:
        self._keep(complete=True, answer=answer, reason=reason)

    def _keep(self, **changed: object) -> None:
        measured = sum(len(each) for each in self._trials.journal.measured)
        seconds = round(time.monotonic() - self._began_s, 3)
        self.known = dataclasses.replace(self.known, runs=measured, seconds=seconds)
        self.known = dataclasses.replace(self.known, **changed)  # type: ignore[arg-type]
        self._tools.keep(self.known)


class _Unfit(Exception):
    """A candidate cannot be installed or measured."""

    def __init__(self, error: UsageError | RunError) -> None:
        super().__init__(str(error))
        self._kind = type(error)

    def of_end(self, name: str) -> UsageError | RunError:
        """The same where it is the bad end."""
        told = f"--bad: {name} cannot be measured: {self}"
        return RunError(told) if issubclass(self._kind, RunError) else UsageError(told)


def _mean(values: Sequence[float]) -> float:
    """Geometric where all are above 0, as in a comparison: its ratio is that of the means."""
    if not values:
        return 0.0
    if min(values) > 0:
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return math.fsum(values) / len(values)
