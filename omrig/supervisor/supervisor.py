"""One run from beginning to end: broker, measured processes, results.

The process that calls :func:`run` measures nothing itself: it starts fresh processes for the
sides, watches them and the broker, and puts their recordings together.
"""

import contextlib
import dataclasses
import datetime
import logging
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import omrig
from omrig.accounting.recent import Recent
from omrig.broker import declared, leftovers
from omrig.broker.asking import Asking
from omrig.drivers import options, settings
from omrig.measured.profilers import registry
from omrig.model import errors, payload, redaction
from omrig.model.declared import FILE
from omrig.model.errors import Losses, RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.profiling import TARGETS
from omrig.model.result import Result
from omrig.model.run import SCHEMA
from omrig.recordings import environment, series, writer
from omrig.recordings import folder as run_folder
from omrig.supervisor import destination, phases
from omrig.supervisor.child import Child, Event, stop_all
from omrig.supervisor.destination import Destination
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.sampler import Sampler

if TYPE_CHECKING:
    from omrig.broker.base import Host, QueueState
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.report.terminal.progress import Progress

STALLED_S = 5.0
"""After so long without progress the broker is tried."""

BROKER_GONE_S = 10.0
"""A broker that refuses connections for so long, while nothing moves, is gone."""

DRAIN_S = 15.0
"""A consumer that receives nothing for so long after the producer's end has all it will get."""

STOP_S = 4.5
"""How long a side may take to end once its results are written or it was asked to stop."""

ASKED_SAVE_S = 30.0
"""How long a side may take to write its results once it was asked to end."""

_TICK_S = 0.1

_MESSAGE_BYTES = 16
"""Of a message in ``messages.npz`` before the accounting."""

_RESERVED_BYTES = 256 * 1024
"""For ``run.json`` and ``result.json``; for what a side says of itself, and messages unforeseen."""


Account = Callable[[Path, Losses, dict[str, Any] | None], Result]
"""From the run folder, what could not be written yet, and ``run.json`` to the result."""


def run(
    plan: Plan,
    progress: "Progress",
    broker: "Embedded | None" = None,
    interrupts: Interrupts | None = None,
    *,
    account: Account,
) -> tuple[Path, Result, bool]:
    """Do what ``plan`` says. Returns the run folder, the result, and whether it was interrupted.

    ``account`` makes the result once the run has ended.

    ``broker`` is used where one of its own would be started; ``interrupts`` are those of a caller
    who handles signals before and after.

    Raises ``UsageError`` before anything is measured, and
    :class:`KeyboardInterrupt` when interrupted before the load.
    """
    _set_up_logging(plan.debug)
    payload.build(min(plan.size_bytes, payload.SMALLEST_BYTES))
    registry.load(plan.profiling.modes, plan.executor)
    registry.check_targets(plan.profiling.modes, plan.profiling.value(TARGETS))
    folder = run_folder.create(plan.output, plan.sides)
    losses = Losses(folder)
    ended: dict[str, Any] | None = None
    plan = dataclasses.replace(plan, output=str(folder))
    interrupts = interrupts or Interrupts()
    with interrupts.handled():
        try:
            with destination.opened(plan, progress, broker) as to:
                to.process = destination.locate(to)
                with destination.met(to, progress), interrupts.deferring():
                    with errors.naming("--output"):
                        _reserve(folder, plan)
                        run = _write_run(folder, to)
                    ended = _Run(to, folder, run, progress, interrupts, losses).execute()
        except BaseException as error:
            _forget(folder, plan)
            if not isinstance(error, KeyboardInterrupt):
                raise
            # What was measured is told, also if the broker's end was cut short.
            if not (folder / run_folder.RUN).exists():
                text = "interrupted before the load; nothing measured"
                raise KeyboardInterrupt(text) from error
        with _after_load(folder):
            _release(folder, plan)
            try:
                with losses.noted():
                    _report(folder, plan, progress)
            except KeyboardInterrupt:
                progress.say("interrupted: not all reports of the profilers were made")
            with interrupts.deferring():
                result = account(folder, losses, ended)
                _raise_usage(ended, result)
                return folder, result, interrupts.count > 0


def _raise_usage(ended: dict[str, Any] | None, result: Result) -> None:
    """Raise the ``UsageError`` of a measured process, if nothing came of it."""
    if not ended or not ended["bad_usage"]:
        return
    if not (result.messages.sent or result.messages.received):
        raise UsageError(ended["ended_because"])


def _reserve(folder: Path, plan: Plan) -> None:
    """Keep room for what must not be lost when the disk fills up during the load."""
    writer.reserve(folder, _RESERVED_BYTES)
    for side in plan.sides:
        writer.reserve(folder / side, _RESERVED_BYTES + _MESSAGE_BYTES * (plan.messages or 0))


def _release(folder: Path, plan: Plan) -> None:
    for each in (folder, *(folder / side for side in plan.sides)):
        writer.release(each)


def _unanswered(plan: Plan, state: "QueueState") -> str:
    """What a queue tells of a consumer that did not answer."""
    who = f" ({plan.served_by.partition(' on ')[2]})" if plan.served_by else ""
    there = f"a consumer is there{who} and did not answer, busy with other messages or hung"
    if not state.consumers:
        there = f"nobody listens on queue {plan.queue_topic}"
    several = "s wait" if state.messages != 1 else " waits"
    return f"{there}; {state.messages:,} message{several} in its queue"


@contextlib.contextmanager
def _after_load(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the load is over, its recordings are in {folder}; no result:"
            f" {errors.in_words(error)}; omrig report {folder} tries again"
        ) from error


def _set_up_logging(debug: bool) -> None:
    """Show what the messaging libraries log here only when asked to, and without passwords."""

    class Redacting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return redaction.redact(super().format(record))

    handler = logging.StreamHandler() if debug else logging.NullHandler()
    handler.setFormatter(Redacting("%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"))
    level = logging.DEBUG if debug else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _report(folder: Path, plan: Plan, progress: "Progress") -> None:
    """Have the profilers make what takes too long to be made by a measured process."""
    reporters = registry.reporters(plan.profiling.modes)
    one_process = run_folder.read_json(folder / run_folder.RUN)["transport"]["in_memory"]
    for side in plan.sides if reporters else ():
        listed = run_folder.read_json(folder / side / run_folder.ARTEFACTS)
        if listed is None:
            # It was killed, or both sides were one process.
            continue
        progress.say(f"{side}: making the reports of the profilers")
        for report in reporters:
            made = report(folder / side)
            listed += [each.listed(side, "both" if one_process else side) for each in made]
        writer.save_artefacts(folder / side, listed)


def _forget(folder: Path, plan: Plan) -> None:
    """Remove the folders of a run that has not begun; a folder with anything in it stays."""
    _release(folder, plan)
    if (folder / run_folder.RUN).exists():
        return
    with contextlib.suppress(OSError):
        for path in [*(folder / side for side in plan.sides), folder]:
            path.rmdir()


def _write_run(folder: Path, to: Destination) -> dict[str, Any]:
    """Write ``run.json`` as it is before the load; what it holds."""
    now = datetime.datetime.now(datetime.UTC)
    info, transport = to.info, to.transport
    run = {
        "schema": SCHEMA,
        "omrig": omrig.__version__,
        "run_id": to.plan.run_id,
        "plan": {**to.plan.public(), "timeout_s": to.timeout_s},
        "sides": list(to.plan.sides),
        "started_at": now.isoformat(timespec="seconds"),
        "started_epoch_seconds": now.timestamp(),
        "environment": {
            **environment.describe(),
            "broker": info.product if info else None,
            "broker_version": info.version if info else None,
        },
        "transport": {
            "url": transport.redacted,
            "source": transport.source,
            "driver": transport.scheme,
            "vhost": transport.login.vhost,
            "tls": transport.login.ssl_options is not None,
            "in_memory": to.broker.one_process,
            "exchange": to.plan.exchange,
            "topic": to.plan.queue_topic,
        },
        "broker_process": dataclasses.asdict(to.process) if to.process else None,
        "pools": to.pools,
        "options": settings.differing_options(transport),
        "settings": {
            name: each.to_json() for name, each in settings.with_sources(transport, to.plan).items()
        },
        "driver_options": dict(transport.options),
        "configuration": {
            "files": to.configuration.read_files(),
            "unreadable": list(to.configuration.unreadable),
            "unknown_options": options.unknown(to.configuration),
        },
        "complete": False,
        "reason": "the run has not ended",
        "ended_because": None,
    }
    writer.write_json(folder / run_folder.RUN, run)
    return run


class _Run:
    """The load: from the start of the measured processes to the end of the last one."""

    def __init__(
        self,
        to: Destination,
        folder: Path,
        run: dict[str, Any],
        progress: "Progress",
        interrupts: Interrupts,
        losses: Losses,
    ) -> None:
        self._to = to
        self._folder = folder
        self._run = run
        self._progress = progress
        self._interrupts = interrupts
        self._losses = losses
        self._events: queue.Queue[Event] = queue.Queue()
        self._children: dict[str, Child] = {}
        self._record: Path | None = None
        self._left: list[dict[str, str]] = []
        self._host: Host | None = None
        self._ended: dict[str, Any] = {}
        self._because: str | None = to.alone
        self._stopping_since: float | None = None
        self._producer_ended_at: float | None = None
        self._changed_at = time.monotonic()
        self._failing = phases.Failing()
        self._tried_at = 0.0
        self._unreachable_since: float | None = None
        self._loading = False
        self._bad_usage = False
        self._unanswered = False
        self._asking = self._make_asking()
        self._sampler = Sampler(folder)
        plan = to.plan
        # In one process nothing is on a wire, and nothing of it would be a measurement.
        sides = () if to.broker.one_process else plan.sides
        self._recent = Recent(folder, plan.pattern, sides)

    def execute(self) -> dict[str, Any]:
        """Run to the end, whatever happens; leaves no process and no queue behind.

        Returns ``run.json`` as it is then, and is written if there is room.
        """
        with contextlib.ExitStack() as ending:
            # Each of them is done, whatever becomes of those before it; the last one first.
            ending.callback(self._note_end)
            if not self._because:
                self._load(ending)
        return self._ended

    def _load(self, ending: contextlib.ExitStack) -> None:
        """From the start of the measured processes to the end of the last one."""
        ending.callback(self._clean_up)
        ending.callback(self._drain_events)
        ending.callback(self._sampler.stop)
        ending.callback(self._stop)
        self._sampler.start()
        if self._to.process and self._to.process.pid:
            self._sampler.watch(series.BROKER, self._to.process.pid)
        self._begin_record()
        try:
            self._start()
        except OSError as error:
            self._end(f"a measured process could not be started: {errors.in_words(error)}")
        while any(child.running for child in self._children.values()):
            self._hear()
            self._decide()

    def _start(self) -> None:
        plan, measured = self._to.plan, self._to.resolved_plan
        groups = [plan.sides] if self._to.broker.one_process else [(s,) for s in plan.sides]
        for sides in groups:
            child = Child(dataclasses.replace(measured, sides=sides), sides, self._folder)
            self._children[sides[0]] = child
            self._sampler.watch(child.name, child.pid, memory="memory" in plan.profiling.modes)
            child.listen(self._events)

    def _stop(self) -> None:
        if self._host:
            self._host.close()
        if self._asking:
            self._asking.close()
        stop_all(list(self._children.values()), STOP_S)

    def _begin_record(self) -> None:
        plan = self._to.plan
        self._record, elsewhere = declared.begin(
            plan, self._to.transport.login, broker_lasts=self._to.has_lasting_broker
        )
        self._to.plan = dataclasses.replace(plan, record=str(self._record))
        if elsewhere and self._to.has_lasting_broker:
            self._progress.tell(elsewhere)

    def _make_asking(self) -> Asking | None:
        if not self._to.needs:
            return None
        return Asking(self._to.broker, self._to.needs)

    def _hear(self) -> None:
        try:
            child, event = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            return
        self._take(child, event)

    def _drain_events(self) -> None:
        while True:
            try:
                self._take(*self._events.get(timeout=_TICK_S))
            except queue.Empty:
                return

    def _take(self, child: Child, event: dict[str, Any] | None) -> None:
        if event is None:
            self._on_end(child)
            return
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler:
            handler(child, event)

    def _on_loaded(self, child: Child, _event: dict[str, Any]) -> None:
        child.phase = phases.waiting()
        # The producer waits for the consumer's queues where both are ours.
        if child.name == "consumer" or "consumer" not in self._children:
            self._begin(child)

    def _begin(self, child: Child) -> None:
        child.phase = phases.starting(child.name, self._to.plan)
        child.send_plan()

    def _on_ready(self, child: Child, _event: dict[str, Any]) -> None:
        self._progress.say("the consumer is ready")
        if child.name == "consumer":
            child.phase = phases.working()
        producer = self._children.get("producer")
        if producer is None:
            # Alone it is not told when the load begins.
            self._loading = True
            self._host = self._meet_producers(child)
        elif not producer.began:
            self._begin(producer)

    def _meet_producers(self, child: Child) -> "Host | None":
        def tell(text: str) -> None:
            self._events.put((child, {"event": "note", "text": text}))

        return self._to.broker.host(self._to.plan, tell)

    def _on_note(self, _child: Child, event: dict[str, Any]) -> None:
        self._progress.say(event["text"])

    def _on_waiting(self, _child: Child, event: dict[str, Any]) -> None:
        self._progress.waiting(event["left_s"])

    def _on_moved(self, child: Child, _event: dict[str, Any]) -> None:
        child.phase = phases.warming_up(self._to.plan)

    def _on_phase(self, child: Child, event: dict[str, Any]) -> None:
        if event["phase"] == "load":
            self._loading, self._changed_at = True, time.monotonic()
            child.phase = phases.working()
        elif event["phase"] == "saving":
            child.phase = phases.saving(child.name)
            if child.name == "consumer" and self._host:
                # It serves nobody any more.
                self._host.close()
        else:
            child.phase = phases.warming_up(self._to.plan)
        self._progress.phase(event["side"], event["phase"])

    def _on_progress(self, child: Child, event: dict[str, Any]) -> None:
        counts = {k: v for k, v in event.items() if isinstance(v, int)}
        moved = {k: v for k, v in counts.items() if k in ("done", "received")}
        if any(child.counts.get(k) != v for k, v in moved.items()):
            self._changed_at = time.monotonic()
            self._failing = phases.Failing()
        if counts.get("errors", 0) > child.counts.get("errors", 0):
            self._failing.add(time.monotonic() - self._changed_at)
        child.counts.update(counts)
        self._progress.counts(event["side"], counts)
        self._progress.processors(self._sampler.cpu())

    def _on_latencies(self, _child: Child, event: dict[str, Any]) -> None:
        self._progress.latencies(event["latencies_ns"])

    def _on_rows(self, _child: Child, event: dict[str, Any]) -> None:
        self._recent.add(event["side"], event["rows"])
        if self._progress.is_seen and (owners := self._recent.owners()):
            self._progress.owners(owners)

    def _on_saved(self, child: Child, _event: dict[str, Any]) -> None:
        child.saved = True

    def _on_unwritten(self, _child: Child, event: dict[str, Any]) -> None:
        self._losses.add(event["paths"])

    def _on_failed(self, child: Child, event: dict[str, Any]) -> None:
        child.failure = event["text"]
        self._unanswered = event["unanswered"]
        self._bad_usage = self._bad_usage or (event["usage"] and self._because is None)
        self._end(child.failure, event["likely"], ask_broker=event["late"])

    def _on_end(self, child: Child) -> None:
        child.close()
        status = child.ended(STOP_S)
        if not child.saved and not child.failure:
            self._end(f"the {child.name} process died (status {status}): {child.last_words()}")
        elif child.name == "producer":
            self._producer_ended_at = time.monotonic()
        elif self._producer_ended_at is None and "producer" in self._children:
            self._check_consumer_was_done()

    def _check_consumer_was_done(self) -> None:
        wanted = self._to.plan.messages or 0
        if self._children["consumer"].counts.get("received", 0) < wanted:
            self._end("the consumer ended before the producer")

    def _decide(self) -> None:
        now = time.monotonic()
        if self._interrupts.count and not self._because:
            self._end("interrupted")
        if self._interrupts.count > 1:
            for child in self._children.values():
                child.kill()
        if self._stopping_since is not None:
            self._enforce_stop(now)
        elif self._producer_ended_at is not None:
            self._let_consumer_drain(now)
        else:
            self._watch_broker(now)

    def _let_consumer_drain(self, now: float) -> None:
        consumer = self._children.get("consumer")
        if consumer and consumer.phase.is_saving:
            if overdue := consumer.phase.overdue():
                self._end(overdue)
            return
        quiet_since = max(self._changed_at, self._producer_ended_at or 0.0)
        if now - quiet_since > DRAIN_S:
            self._stopping_since = now

    def _enforce_stop(self, now: float) -> None:
        since = now - (self._stopping_since or now)
        producer, consumer = self._children.get("producer"), self._children.get("consumer")
        # Calls under way get their reply as long as the consumer lives.
        is_needed = self._loading and producer and producer.running and not producer.saved
        if consumer and (not is_needed or since > 2.0):
            consumer.stop()
        for child in self._children.values():
            if since > self._patience_s(child):
                child.kill()

    def _patience_s(self, child: Child) -> float:
        """How long after the request to end a side may still run."""
        # Before the load there is next to nothing to write.
        if child.saved or not self._loading:
            return STOP_S
        # Nobody waits for a run that came to its end: what was measured is worth the time.
        if not self._because and child.phase.is_saving:
            return phases.SAVE_S
        return ASKED_SAVE_S

    def _watch_broker(self, now: float) -> None:
        embedded = self._to.embedded
        if embedded and not embedded.is_alive():
            self._end("the embedded broker died")
            return
        for child in self._children.values():
            if overdue := child.phase.overdue():
                self._end(overdue, child.last_error(), ask_broker=True)
                return
        quiet = now - self._changed_at
        if not self._loading:
            return
        self._watch_failures(quiet)
        self._watch_refusals(quiet)
        if quiet < STALLED_S or now - self._tried_at < STALLED_S / 2:
            return
        self._tried_at = now
        if self._to.broker.reachable():
            self._unreachable_since = None
            return
        self._unreachable_since = self._unreachable_since or now
        if now - self._unreachable_since >= BROKER_GONE_S:
            self._end(f"the broker at {self._to.transport.redacted} cannot be reached any more")

    def _watch_refusals(self, quiet_s: float) -> None:
        """End a load in which nothing moves and the broker has refused for long what it needs."""
        if not self._asking or "producer" not in self._children:
            return
        if quiet_s < STALLED_S:
            self._asking.forget()
            return
        self._asking.ask()
        if refused := self._asking.refused_for(self._to.plan.patience_s):
            self._end(f"nothing gets through any more: {refused}")

    def _watch_failures(self, quiet_s: float) -> None:
        producer = self._children.get("producer")
        if not producer or producer.phase.limit_s is not None:
            return
        ended = producer.counts.get("done", 0) + producer.counts.get("errors", 0)
        if ended >= (self._to.plan.messages or 0):
            # Nothing is left that could get through: the profilers come to their end.
            return
        limit_s = phases.quiet_limit_s(self._to.plan, self._to.timeout_s)
        if quiet_s > limit_s or self._failing.is_all(self._to.timeout_s, STALLED_S):
            likely = producer.last_error() or "the consumer or the broker is gone"
            self._end(f"no message got through for {quiet_s:.0f} s", likely, ask_broker=True)

    def _end(self, because: str, likely: str = "", ask_broker: bool = False) -> None:
        """Note why the run ends early, the first reason, and ask the producer to stop.

        ``likely`` is what it may come from, unless the broker can be asked and says what it is.
        """
        first = self._because is None
        self._because = self._because or because
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            producer = self._children.get("producer")
            if producer:
                producer.stop()
        if first and (why := (self._ask_broker() if ask_broker else "") or likely):
            self._because = f"{because}: {why}"

    def _ask_broker(self) -> str:
        """Why the broker would not do now what it did before the run, or what it knows of the queue
        where nobody answered; empty when that is nothing."""
        if not self._to.needs:
            return ""
        try:
            self._to.broker.check(STALLED_S, self._to.needs)
        except (RunError, UsageError) as error:
            return str(error)
        if not self._unanswered:
            return ""
        state = self._to.broker.state(self._to.plan.queue_topic)
        return _unanswered(self._to.plan, state) if state else ""

    def _clean_up(self) -> None:
        """Delete what was declared, and the record of it; say what is left, and keep that."""
        if self._record is None:
            return
        try:
            things = declared.read(self._record).things
            lasting = things if self._to.has_lasting_broker else leftovers.of_kind(FILE, things)
            left = self._to.broker.clean_up(lasting)
            if not left:
                self._record.unlink(missing_ok=True)
                return
        except (OSError, ValueError) as error:
            # The load is over, and what it measured is not lost with this.
            self._progress.tell(
                f"the record of what the run declared cannot be used any more ({error}): look for"
                f" queues and exchanges with {self._to.plan.tag} in their names on the broker"
            )
            return
        self._left = [
            {
                "kind": each.thing.kind,
                "name": each.thing.name,
                "reason": each.reason,
                "command": each.command,
            }
            for each in left
        ]
        for line in leftovers.told(left):
            self._progress.tell(line)
        self._progress.tell("or, with the same transport options: omrig clean")

    def _note_end(self) -> None:
        self._ended = {
            **self._run,
            "ended_because": self._because,
            "bad_usage": self._bad_usage,
            "began": [
                side for child in self._children.values() if child.began for side in child.sides
            ],
            "sampling": self._sampler.about(),
            "left_on_broker": self._left,
        }
        with self._losses.noted():
            writer.write_json(self._folder / run_folder.RUN, self._ended)
