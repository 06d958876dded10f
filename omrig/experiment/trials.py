"""Configurations measured in rounds on one broker: each once a round, in random order.

A machine's speed changes over minutes: neighbours, temperature, the broker's own state. Runs of one
configuration and then runs of another compare two times as well as two configurations. In rounds
all are measured within one and the same stretch, and by lot nothing that comes and goes can favour
one of them. What has been measured is on the disk after each run: an experiment that was
interrupted or killed goes on from there.
"""

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy

from omrig.compare.runs import StoredRun
from omrig.experiment import journal
from omrig.experiment.journal import Journal, Kind
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.result import Result
from omrig.recordings import folder as run_folder
from omrig.supervisor import brokers
from omrig.supervisor.brokers import Brokers, Measure, MeasureAtOnce
from omrig.supervisor.display import Display
from omrig.supervisor.interrupts import Interrupts


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One set of options of ``omrig run``: ``arguments`` as they were typed, and their plan.

    ``name`` is what its folder is called.
    """

    name: str
    arguments: tuple[str, ...]
    plan: Plan


@dataclasses.dataclass(frozen=True)
class Tools:
    """What trials are made with.

    ``measure`` runs a plan and accounts for it, ``make_display`` makes what shows a run of so many
    messages, ``say`` is told of each run that has ended. ``measure_at_once`` is for runs of one
    round that are made at once, and ``make_quiet`` makes what shows no counts, for those.
    """

    measure: Measure
    make_display: Callable[[int | None], Display]
    say: Callable[[str], None]
    measure_at_once: MeasureAtOnce
    make_quiet: Callable[[], Display]


class Trials:
    """The runs of an experiment, in ``folder``/NAME/01, ``folder``/NAME/02 and so on.

    ``journal`` is what is written of it; ``interrupted`` is whether a person or the system asked
    for the end.
    """

    def __init__(
        self, folder: Path, journal: Journal, tools: Tools, interrupts: Interrupts, shared: Brokers
    ) -> None:
        self.folder = folder
        self.journal = journal
        self.interrupted = False
        self._tools = tools
        self._interrupts = interrupts
        self._brokers = shared
        self._runs: dict[Path, StoredRun] = {}
        self._agreed: set[str] = set()

    def say(self, text: str) -> None:
        """Tell who looks on what happens."""
        self._tools.say(text)

    def round(self, configurations: Sequence[Configuration]) -> None:
        """Measure each of ``configurations`` once, in random order, or at once in a duet.

        A round of the same configurations that was interrupted is brought to its end instead.
        Raises ``UsageError`` when a plan cannot be run, ``RunError`` when a run fails and
        :class:`KeyboardInterrupt` when asked to end: what was measured until then stays.
        """
        began_s = time.monotonic()
        names = [each.name for each in configurations]
        about = self.journal
        if not self._is_begun(names):
            # Each round has its own seed: an experiment that is resumed goes on as it would have.
            lot = numpy.random.default_rng((about.seed, len(about.rounds)))
            about.begin_round(configurations, [names[at] for at in lot.permutation(len(names))])
        number = len(about.rounds) - 1
        by_name = {each.name: each for each in configurations}
        if about.rule and about.rule.duet:
            self._measure_at_once([by_name[name] for name in about.rounds[number]], number)
        else:
            for name in about.rounds[number]:
                if name not in about.measured[number]:
                    self._measure(by_name[name], number)
        about.end_round(time.monotonic() - began_s)

    def runs(self, name: str) -> list[StoredRun]:
        """The runs of a configuration that ended well, oldest first."""
        return [self._run(name, number) for number in range(1, self.journal.count(name) + 1)]

    def rounds(self, *names: str) -> int:
        """How many rounds all of those configurations have been measured in."""
        return len(self.journal.together(*names))

    def paired(self, *names: str) -> tuple[list[StoredRun], ...]:
        """The runs of those configurations by round: of each round that all of them were in."""
        rounds = self.journal.together(*names)
        return tuple(
            [self._run(name, each[place]) for each in rounds] for place, name in enumerate(names)
        )

    @property
    def last_round_s(self) -> float | None:
        """How long the last round took that has ended; None before there is one."""
        return self.journal.lasted_s[-1] if self.journal.lasted_s else None

    def _is_begun(self, names: Sequence[str]) -> bool:
        """Whether the last round is of the same configurations, and some are lacking."""
        if not self.journal.rounds:
            return False
        order, measured = self.journal.rounds[-1], self.journal.measured[-1]
        return sorted(order) == sorted(names) and len(measured) < len(order)

    def _run(self, name: str, number: int) -> StoredRun:
        """The run of that number, as it is on the disk."""
        folder = self._place(name, number)
        if folder not in self._runs:
            found = _stored(folder)
            if found is None:
                raise UsageError(
                    f"--resume: {folder} is gone or no complete run, and it was one; begin anew in"
                    " another folder"
                )
            self._runs[folder] = found
        return self._runs[folder]

    def _place(self, name: str, number: int) -> Path:
        return self.folder / name / f"{number:02}"

    def _measure(self, configuration: Configuration, number: int) -> None:
        name = configuration.name
        folder = self._place(name, self._next(name, number))
        # One that was killed between the end of a run and the note of it.
        found = _stored(folder)
        if found is None:
            put_aside(folder)
            found = self._made(name, self._planned(configuration, folder), number)
        self._took(name, number, found)

    def _measure_at_once(self, configurations: Sequence[Configuration], number: int) -> None:
        """Measure all of a round: anew where one is lacking, they have to be of one moment."""
        folders = [self._place(each.name, self._next(each.name, number)) for each in configurations]
        found = [each for each in map(_stored, folders) if each]
        if len(found) < len(folders):
            for folder in folders:
                put_aside(folder)
            plans = [
                self._planned(each, folder)
                for each, folder in zip(configurations, folders, strict=True)
            ]
            found = self._made_at_once([each.name for each in configurations], plans, number)
        for each, stored in zip(configurations, found, strict=True):
            self._took(each.name, number, stored)

    def _next(self, name: str, number: int) -> int:
        """The number of a configuration's run in a round, measured or not."""
        return self.journal.measured[number].get(name) or self.journal.count(name) + 1

    def _planned(self, configuration: Configuration, folder: Path) -> Plan:
        """The plan of a run that goes into ``folder``."""
        plan = configuration.plan
        # Who agreed to the first run of a configuration did to the others.
        yes = plan.transport.yes or configuration.name in self._agreed
        output = dataclasses.replace(plan.output, folder=str(folder))
        plan = plan.with_transport(yes=yes)
        return dataclasses.replace(plan, run_id=uuid.uuid4().hex, output=output)

    def _took(self, name: str, number: int, found: StoredRun) -> None:
        """Note a run of a round, and say so."""
        self._runs[found.folder] = found
        if name not in self.journal.measured[number]:
            self.journal.took(name, number, self._next(name, number))
        rule = self.journal.rule
        of = f" of {rule.rounds}" if rule and rule.until == "rounds" else ""
        shown = name.upper() if len(name) == 1 else name
        self.say(f"round {number + 1}{of}: {shown} {found.messages_per_second:,.1f} msg/s")

    def _made(self, name: str, plan: Plan, number: int) -> StoredRun:
        broker = self._brokers.of(plan)
        shown = self._tools.make_display(plan.load.messages)
        with self._failing(), contextlib.closing(shown) as display:
            measured = self._tools.measure(plan, display, self._interrupts, broker)
        self._agreed.add(name)
        return self._ended(name, number, *measured)

    def _made_at_once(
        self, names: Sequence[str], plans: Sequence[Plan], number: int
    ) -> list[StoredRun]:
        brokers = [self._brokers.of(plan) for plan in plans]
        with self._failing(), contextlib.closing(self._tools.make_quiet()) as display:
            made = self._tools.measure_at_once(plans, display, self._interrupts, brokers)
        self._agreed.update(names)
        return [self._ended(name, number, *each) for name, each in zip(names, made, strict=True)]

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What fails in the block because somebody asked for the end is that."""
        try:
            yield
        except (UsageError, RunError) as error:
            # What is interrupted may fail of it.
            if not self._interrupts.count:
                raise
            raise KeyboardInterrupt from error

    def _ended(self, name: str, number: int, path: Path, result: Result) -> StoredRun:
        """The run that has ended. Raises as :meth:`round` where it did not end well."""
        if self._interrupts.count:
            raise KeyboardInterrupt
        if not result.complete:
            raise RunError(f"run {name} of round {number + 1} failed: {result.reason} ({path})")
        _, about = run_folder.read_run(str(path), "--output")
        return StoredRun(path, about, result)


@contextlib.contextmanager
def opened(
    folder: Path,
    plans: Sequence[Plan],
    tools: Tools,
    *,
    kind: Kind = "ab",
    about: Journal | None = None,
) -> Iterator[Trials]:
    """Trials in ``folder``, for the length of the block; ``about`` is what is known of them: a
    :func:`journal.new` one with its rule, or what :func:`journal.read` has of an earlier block.

    Plans without a transport share one embedded broker for each RabbitMQ that they ask for; those
    of ``plans`` are started at once. When the block ends, ``experiment.json`` says whether the
    experiment is complete, and why it is not. Raises ``UsageError`` where the folder holds
    anything and ``about`` was not read there, or a plan cannot be run.
    """
    about = about or journal.new(folder, kind)
    if not about.is_known and folder.exists() and any(folder.iterdir()):
        raise UsageError(f"--output: {folder} already holds runs; name another folder")
    interrupts = Interrupts()
    # In this order: also that no broker comes up is a reason that the file tells.
    with (
        interrupts.handled(),
        about.kept(),
        brokers.opened(plans, tools.make_display) as shared,
    ):
        trials = Trials(folder, about, tools, interrupts, shared)
        try:
            yield trials
        except KeyboardInterrupt:
            trials.interrupted = True
            raise


def put_aside(folder: Path) -> None:
    """Rename what a run that failed or was killed has left in ``folder``, and keep it."""
    if not folder.exists():
        return
    number, place = 1, folder.with_name(f"{folder.name}.incomplete")
    while place.exists():
        number += 1
        place = folder.with_name(f"{folder.name}.incomplete-{number}")
    folder.rename(place)


def _stored(folder: Path) -> StoredRun | None:
    """The run in a folder; None where there is none that ended well."""
    if not (folder / run_folder.RUN).exists():
        return None
    path, run = run_folder.read_run(str(folder), "--resume")
    result = run_folder.read_result(path, "--resume")
    return StoredRun(path, run, result) if result and result.complete else None
