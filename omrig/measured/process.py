"""The measured process: fresh, patched before anything else, one side (or both in memory).

Started by the supervisor as ``omrig.measured.process MEMBER EXECUTOR DESCRIPTOR PARENT`` (the name
is for people who look at the process list); the plan, which may hold a password, comes as the first
line on standard input, questions and answers (:mod:`omrig.model.events`) as the others; events go
to DESCRIPTOR, and without PARENT nobody waits for the results.
"""

import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.measured import tethered
from omrig.measured.executors import base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omrig.measured.executors.base import Executor
    from omrig.measured.load.consumer import Consumer
    from omrig.measured.load.control import Relayed
    from omrig.measured.load.messaging import Messaging
    from omrig.measured.load.producer import Producer
    from omrig.measured.load.side import Stop
    from omrig.measured.measurement import Measurement
    from omrig.model.events import Emit
    from omrig.model.plan import Plan

ORPHAN_S = 8.0
"""So long may a process without its parent still write what it measured."""

_LOOK_S = 1.0

_STDIN = 0


def main() -> None:
    """Measure what the plan on standard input says; never returns."""
    executor = base.load(sys.argv[2])
    executor.patch()
    # Only now: these import what patching has to precede.
    from omrig.measured import pipe

    emit = pipe.emitter(int(sys.argv[3]))
    status = 1
    try:
        end_when_orphaned(executor, int(sys.argv[4]))
        status = _measure(executor, emit)
    except BaseException:  # noqa: BLE001 - whatever it is, it is the last thing said
        traceback.print_exc()
    finally:
        # A worker that waits for a dead broker must not keep the process.
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.flush()
        os._exit(status)


def end_when_orphaned(executor: "Executor", parent: int) -> None:
    """Stop when the parent has ended; do not stay longer than ``ORPHAN_S``, whatever hangs."""

    def watch() -> None:
        while os.getppid() == parent:
            executor.native_sleep(_LOOK_S)
        executor.native_sleep(ORPHAN_S)
        os._exit(1)

    executor.start_native_thread(watch, "omrig orphaned")
    tethered.die_with_parent(parent, signal.SIGTERM)


def _measure(executor: "Executor", emit: "Emit") -> int:
    import oslo_messaging  # noqa: F401 - imported while the parent still prepares

    from omrig.measured import pipe
    from omrig.model import events
    from omrig.model.errors import RunError, UsageError
    from omrig.model.plan import Plan

    try:
        from omrig.measured.load import deadline
        from omrig.measured.load.side import Stop
        from omrig.measured.probes import stamp
    except UsageError as error:
        emit(events.Failed(text=str(error), usage=True))
        return 1
    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emit(events.Loaded(stamp.IMPLEMENTATION))
    # Green threads go on while one waits for a line.
    os.set_blocking(_STDIN, executor.name != "eventlet")
    lines = pipe.lines(_STDIN)
    line = next(lines, None)
    if line is None:
        return 1
    # Only now: before, there is nothing to save, and SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, stop.request)
    plan = Plan.from_json(line)
    set_up_logging(plan)
    try:
        _run(plan, executor, emit, stop, lines)
    except (UsageError, RunError) as error:
        emit(
            events.Failed(
                text=str(error),
                usage=isinstance(error, UsageError),
                late=isinstance(error, deadline.Late),
                unanswered=isinstance(error, deadline.NoAnswer),
                likely=error.likely if isinstance(error, deadline.Late) else "",
            )
        )
        return 1
    except Exception as error:
        emit(events.Failed(text=deadline.words(error)))
        if plan.output.debug:
            raise
        return 1
    return 0


def set_up_logging(plan: "Plan") -> None:
    """Log what a service would, and remember the last error."""
    import logging

    from omrig.measured.load import deadline

    # A service's log level: a warning a message would measure logging, not messaging.
    level = logging.DEBUG if plan.output.debug else logging.ERROR
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger().addHandler(deadline.last_error)


def _run(
    plan: "Plan", executor: "Executor", emit: "Emit", stop: "Stop", lines: "Iterator[str]"
) -> None:
    from omrig.drivers import configuration, settings
    from omrig.measured.load import control, identity
    from omrig.measured.load.consumer import Consumer
    from omrig.measured.load.messaging import Messaging
    from omrig.measured.load.producer import Producer
    from omrig.measured.load.side import SHUT_DOWN_S
    from omrig.measured.measurement import Measurement
    from omrig.measured.profilers import registry
    from omrig.measured.profilers.base import Context
    from omrig.model import events

    found = configuration.load(plan)
    url = configuration.find_url(found, plan) or configuration.default_url(found)
    transport = settings.resolve(found, url)
    context = Context(
        executor=plan.load.executor,
        side=plan.side,
        scheme=transport.scheme,
        folder=Path(plan.output.folder) / plan.members[0],
        profiling=plan.profiling,
    )
    measurement = Measurement(registry.make(plan.profiling.modes, context))
    for profiler in measurement.profilers:
        profiler.install()
    taken = identity.take(found.conf, plan, url.url)
    messaging = Messaging(found.conf, taken, plan, transport.broker, executor)
    consumer = producer = None
    relayed = control.Relayed(emit, stop)
    way: control.Control = relayed
    if "consumer" in plan.sides:
        consumer = Consumer(plan, executor, emit, stop, measurement.offer(plan.profiling.twin))
        way = control.Direct(consumer.answer)
    if "producer" in plan.sides:
        producer = Producer(plan, executor, emit, stop, way)
    executor.spawn(lambda: _hear(lines, emit, consumer, relayed), "main")
    try:
        _load(plan, executor, emit, messaging, consumer, producer, measurement, stop)
    finally:
        emit(events.Phase(plan.members[0], "saving"))
        _save(plan, emit, [side for side in (producer, consumer) if side], measurement)
        executor.spawn(messaging.cleanup, "main").join(SHUT_DOWN_S)


def _hear(
    lines: "Iterator[str]", emit: "Emit", consumer: "Consumer | None", control: "Relayed"
) -> None:
    """Take the questions and answers of others, until nobody says anything any more."""
    from omrig.model import events

    for line in lines:
        match events.decode(line):
            case events.Ask(number, method, arguments) if consumer:
                emit(events.Answer(number, {consumer.name: consumer.answer(method, arguments)}))
            case events.Answer() as answer:
                control.heard(answer)


def _load(
    plan: "Plan",
    executor: "Executor",
    emit: "Emit",
    messaging: "Messaging",
    consumer: "Consumer | None",
    producer: "Producer | None",
    measurement: "Measurement",
    stop: "Stop",
) -> None:
    from omrig.measured.load import deadline
    from omrig.measured.load.side import DRAIN_S, SHUT_DOWN_S
    from omrig.model import events

    serving = None
    if consumer:
        listens = deadline.within(
            executor,
            stop,
            plan.load.patience_s,
            lambda: consumer.connect(messaging),
            "the consumer could not declare its queues and listen to them",
        )
        if not listens:
            return
        emit(events.Ready(consumer.name))
    if producer:
        producer.connect(messaging)
        if consumer:
            serving = executor.spawn(lambda: consumer.run(measurement), "main")
        try:
            producer.run(measurement)
            if serving:
                # It ends when it has all: casts may still be under way.
                serving.join(DRAIN_S)
        finally:
            if consumer and serving:
                stop.request()
                serving.join(2 * SHUT_DOWN_S)
    elif consumer:
        consumer.run(measurement)


def _save(
    plan: "Plan", emit: "Emit", sides: "list[Producer | Consumer]", measurement: "Measurement"
) -> None:
    from omrig.model import events
    from omrig.model.errors import Losses
    from omrig.recordings import writer

    measurement.stop()
    losses = Losses(Path(plan.output.folder))
    for side in sides:
        writer.release(Path(plan.output.folder) / side.name)
        with losses.noted():
            side.save(Path(plan.output.folder) / side.name, measurement)
    name = plan.members[0]
    folder = Path(plan.output.folder) / name
    whose = name if len(sides) == 1 else plan.side
    artefacts: list[dict[str, str]] = []
    for profiler in measurement.profilers:
        with losses.noted():
            artefacts += [each.listed(name, whose) for each in profiler.save(folder)]
    with losses.noted():
        writer.save_artefacts(folder, artefacts)
    if losses:
        emit(events.Unwritten(losses.paths))
    emit(events.Saved([side.name for side in sides]))


if __name__ == "__main__":
    main()
