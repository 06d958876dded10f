"""The life of a run: the broker is asked, the sides are started, heard and ended.

The process that calls :func:`run` measures nothing itself: it starts fresh processes for the
sides, watches them and the broker, and leaves their recordings in the run folder.
"""

import collections
import contextlib
import dataclasses
import functools
import logging
import queue
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.accounting.recent import Recent
from omrig.broker.base import Group
from omrig.measured.profilers import registry
from omrig.model import errors, events, payload
from omrig.model.errors import Losses
from omrig.model.events import Event
from omrig.model.plan import Plan
from omrig.model.profiling import TARGETS
from omrig.model.run import BrokerNode, Left, Run
from omrig.recordings import folder as run_folder
from omrig.recordings import series, writer
from omrig.supervisor import beginning, cleaning, debugging, destination, phases, reports
from omrig.supervisor.broker import WatchedBroker
from omrig.supervisor.child import HERE, stop_all
from omrig.supervisor.control import Agree, Relay
from omrig.supervisor.destination import Destination
from omrig.supervisor.display import Display
from omrig.supervisor.ending import STOP_S, Ending
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.place import Place, Placed, Said
from omrig.supervisor.recorded import Recorded, after_load, bring, with_fleet
from omrig.supervisor.sampler import Sampler

_LOG = logging.getLogger(__name__)

if TYPE_CHECKING:
    from omrig.broker.base import Consumer, Hearer, Host, Met
    from omrig.broker.rabbitmq.embedded import Embedded

_TICK_S = 0.1


def run(
    plan: Plan,
    display: Display,
    interrupts: Interrupts,
    broker: "Embedded | None" = None,
    place: Place = HERE,
    agree: Agree | None = None,
) -> Recorded:
    """Do what ``plan`` says, and have the profilers make their reports.

    ``broker`` is used where one of its own would be started; ``interrupts`` are handled by the
    caller; the measured processes are started at ``place``. With ``agree`` the load begins when
    that says.

    Raises ``UsageError`` before anything is measured, ``RunError`` where there is no load or what
    it left cannot be kept, and :class:`KeyboardInterrupt` when interrupted before the load.
    """
    debugging.set_up_logging(plan.output.debug)
    if not plan.load.sizes:
        payload.build(min(plan.load.size_bytes, payload.SMALLEST_BYTES))
    registry.load(plan.profiling.modes, plan.load.executor)
    registry.check_targets(plan.profiling.modes, plan.profiling.value(TARGETS))
    folder = run_folder.create(plan.output.folder, plan.members)
    recorded = Recorded(folder, Losses(folder))
    plan = dataclasses.replace(plan, output=dataclasses.replace(plan.output, folder=str(folder)))
    try:
        with destination.opened(plan, display, broker) as to:
            to.process = destination.locate(to)
            to.nodes = destination.locate_nodes(to)
            with destination.met(to, display), interrupts.deferring():
                before = with_fleet(folder, beginning.begin(folder, to), place)
                supervision = Supervision(to, recorded, before, display, interrupts, place, agree)
                recorded.ended = supervision.execute()
    except BaseException as error:
        beginning.forget(folder, plan)
        if not isinstance(error, KeyboardInterrupt):
            raise
        # What was measured is told, also if the broker's end was cut short.
        if not (folder / run_folder.RUN).exists():
            text = "interrupted before the load; nothing measured"
            raise KeyboardInterrupt(text) from error
    with after_load(folder):
        beginning.release(folder, plan)
        try:
            bring(recorded, place, display)
            with recorded.losses.noted():
                reports.make(folder, plan, display)
        except KeyboardInterrupt:
            display.say("interrupted: not all reports of the profilers were made")
    return recorded


class Supervision:
    """Of a load: from the start of the measured processes to the end of the last one.

    ``before`` is the run as it was before, ``place`` where its measured processes are started.
    """

    def __init__(
        self,
        to: Destination,
        recorded: Recorded,
        before: Run,
        display: Display,
        interrupts: Interrupts,
        place: Place = HERE,
        agree: Agree | None = None,
    ) -> None:
        self._to = to
        self._place = place
        self._folder = recorded.folder
        self._losses = recorded.losses
        self._run = before
        self._display = display
        self._said: queue.Queue[Said] = queue.Queue()
        self._children: dict[str, Placed] = {}
        self._left: tuple[Left, ...] = ()
        self._host: Host | None = None
        self._broker = WatchedBroker(to)
        self._ending = Ending(to.plan, to.timeout_s, self._children, self._broker, interrupts)
        self._ending.because = to.alone
        self._sampler = Sampler(self._folder)
        # In one process nothing is on a wire, and nothing of it would be a measurement.
        members = () if to.broker.one_process else to.plan.members
        self._recent = Recent(self._folder, to.plan.load.patterns, members)
        self._all_there = False
        self._others: list[Met] = []
        # The first of a group waits for them all, and then asks the others.
        producers = 1 if to.leader else to.plan.expected_producers
        self._relay = Relay(producers, self._serving, place.ahead_s, agree)
        if to.peer:
            to.peer.listen(functools.partial(self._relay.take, to.peer))

    def execute(self) -> Run:
        """Run to the end, whatever happens; leaves no process and no queue behind.

        Returns the run as it is then, which is written if there is room.
        """
        with contextlib.ExitStack() as last:
            # Each of them is done, whatever becomes of those before it; the last one first.
            last.callback(self._note_end)
            if not self._ending.because:
                self._load(last)
        return self._run

    def _load(self, last: contextlib.ExitStack) -> None:
        """From the start of the measured processes to the end of the last one."""
        to = self._to
        last.callback(self._clean_up, cleaning.record(to, self._display))
        to.broker.prepare(to.plan)
        last.callback(self._hear_the_rest)
        last.callback(self._sampler.stop)
        last.callback(self._stop)
        self._sampler.start()
        if to.process and to.process.pid:
            pids = dict.fromkeys(each.process.pid for each in to.nodes or ())
            others = [pid for pid in pids if pid and pid != to.process.pid]
            self._sampler.watch(series.BROKER, to.process.pid, others=others)
        try:
            self._start()
        except OSError as error:
            self._ending.end(f"a measured process could not be started: {errors.in_words(error)}")
        while any(child.running for child in self._children.values()):
            self._hear()
            self._ending.decide()

    def _start(self) -> None:
        plan, to = self._to.plan, self._to
        measured = to.resolved_plan if self._place.is_here else to.carried_plan
        plans = [measured]
        if not self._to.broker.one_process:
            plans = [each for side in plan.sides for each in measured.of_members(side)]
        for each in plans:
            child = self._place.start(each, self._folder)
            self._children[child.name] = child
            if child.pid is not None:
                self._sampler.watch(child.name, child.pid, memory="memory" in plan.profiling.modes)
            child.listen(self._said)

    def _serving(self) -> "list[Hearer]":
        """The consumers that can be asked."""
        if self._to.peer:
            return [self._to.peer]
        own = [each for each in self._of("consumer") if each.is_heard]
        return [*own, *self._others]

    def _joined(self, consumer: "Consumer") -> None:
        """Another consumer of the group is there: producers ask it by this one."""
        met = self._to.broker.reach(self._to.plan, consumer)
        met.listen(functools.partial(self._relay.take, met))
        self._others.append(met)

    def _of(self, side: str) -> list[Placed]:
        return [each for each in self._children.values() if side in each.sides]

    def _stop(self) -> None:
        if self._host:
            self._host.close()
        for each in self._others:
            each.release()
        self._broker.close()
        stop_all(list(self._children.values()), STOP_S)

    def _clean_up(self, record: Path) -> None:
        self._left = cleaning.clean_up(record, self._to, self._display)

    def _hear(self) -> bool:
        """Take what is said next; False when nothing is said for a moment."""
        try:
            child, line = self._said.get(timeout=_TICK_S)
        except queue.Empty:
            return False
        if line is None:
            child.close()
            self._relay.gone(child.name)
            self._ending.ended(child, child.ended(STOP_S))
            self._expect()
        else:
            try:
                event = events.decode(line)
            except ValueError as error:
                # What was measured until then is worth its result.
                self._ending.end(str(error))
            else:
                self.take(child, event)
        return True

    def _hear_the_rest(self) -> None:
        while self._hear():
            pass

    def take(self, child: Placed, event: Event) -> None:
        """Do what follows from what a child says."""
        match event:
            case events.Loaded(stamps):
                child.stamps = stamps
                _LOG.debug("the stamps of the %s are made in %s", child.name, stamps)
                child.phase = phases.waiting()
                # A producer waits for the consumers' queues where both are ours.
                if "consumer" in child.sides or not self._of("consumer"):
                    self._begin(child)
            case events.Ready():
                self._ready(child)
            case events.Moved():
                child.phase = phases.warming_up(self._to.plan)
            case events.Phase(side, phase):
                self._go_on(child, phase)
                self._display.phase(side, phase)
            case events.Ask() | events.Answer():
                self._relay.take(child, event)
            case events.Saved():
                child.saved = True
            case events.Unwritten(paths):
                self._losses.add(paths)
            case events.Failed():
                self._ending.failed(child, event)
            case _:
                self._show(child, event)

    def _show(self, child: Placed, event: events.Shown) -> None:
        match event:
            case events.Note(text):
                self._display.say(text)
            case events.Progress(member, counts):
                self._ending.progressed(child, counts)
                child.counts.update(counts)
                side = child.side_of(member)
                self._display.counts(side, self._counts(side))
                self._expect()
                self._display.processors({**self._sampler.cpu(), **self._place.processors()})
            case events.Latencies(_, latencies_ns):
                self._display.latencies(latencies_ns)
            case events.Rows(_, rows):
                self._recent.add(child.name, rows)
                if self._display.is_seen and (owners := self._recent.owners()):
                    self._display.owners(owners)

    def _begin(self, child: Placed) -> None:
        child.phase = phases.starting(child.name, self._to.plan)
        child.send_plan()

    def _ready(self, child: Placed) -> None:
        child.is_ready = True
        self._display.say(f"the {child.name} is ready")
        if "producer" not in child.sides:
            child.phase = phases.working()
        producers = self._of("producer")
        if not all(each.is_ready for each in self._of("consumer")):
            return
        if not producers:
            # Alone it is not told when the load begins.
            self._ending.serving()
            group = Group(self._to.plan.load.expect_consumers, self._to.leader, self._joined)
            self._host = self._to.broker.host(
                self._to.plan, self._note_of(child), self._relay.take, group
            )
        for each in producers:
            if not each.began:
                self._begin(each)

    def _expect(self) -> None:
        """Tell consumers when they have all of the messages, where they do not know by themselves.

        Consumers that share them do not, and none does where the time has ended the load.
        """
        load, total = self._to.plan.load, self._total()
        if total is None or self._all_there:
            return
        if load.consumers == 1 or all(pattern.copies for pattern in load.patterns):
            self._all_there = True
            if total != load.messages:
                self._relay.tell_all("expect", {"messages": total})
        elif load.mix and total != load.messages:
            # How many of them were copies nobody knows: they are waited for.
            return
        elif self._counts("consumer").get("received", 0) >= (load.receipts if load.mix else total):
            self._all_there = True
            self._relay.tell_all("expect", {"messages": None})

    def _total(self) -> int | None:
        """How many messages there are in the end; None as long as nobody knows."""
        if not self._to.plan.pace.gives_up:
            return self._to.plan.load.messages
        over = [each.phase.is_saving or each.saved for each in self._of("producer")]
        return self._counts("producer").get("sent", 0) if over and all(over) else None

    def _counts(self, side: str) -> dict[str, int]:
        """What the members of a side have counted, together."""
        total: collections.Counter[str] = collections.Counter()
        for each in self._children.values():
            if side in each.sides:
                total.update(each.counts)
        return dict(total)

    def _go_on(self, child: Placed, phase: str) -> None:
        if phase == "load":
            self._ending.loading()
            child.phase = phases.working()
        elif phase == "saving":
            child.phase = phases.saving(child.name)
            self._expect()
            if "consumer" in child.sides and self._host:
                # It serves nobody any more.
                self._host.close()
        else:
            child.phase = phases.warming_up(self._to.plan)

    def _note_of(self, child: Placed) -> Callable[[str], None]:
        """What takes lines for a person from a thread of its own: they are shown in their turn."""

        def tell(text: str) -> None:
            self._said.put((child, events.encode(events.Note(text))))

        return tell

    def _nodes(self) -> tuple[BrokerNode, ...] | None:
        """The nodes of the broker, with when those ended that did."""
        ended = self._sampler.ended_ns()
        if self._to.nodes is None:
            return None
        return tuple(
            dataclasses.replace(each, ended_ns=ended.get(each.process.pid or 0))
            for each in self._to.nodes
        )

    def _note_end(self) -> None:
        children = self._children.values()
        self._run = dataclasses.replace(
            self._run,
            ended_because=self._ending.because,
            bad_usage=self._ending.bad_usage,
            began=tuple(name for child in children if child.began for name in child.members),
            stamps={name: child.stamps for child in children for name in child.members},
            sampling=self._sampler.about(),
            broker_nodes=self._nodes(),
            left_on_broker=self._left,
            fleet=self._place.fleet(),
        )
        with self._losses.noted():
            writer.write_json(self._folder / run_folder.RUN, self._run.to_json())
