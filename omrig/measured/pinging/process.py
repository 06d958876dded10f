"""The measured process of a ping: ``omrig.measured.pinging.process MEMBER EXECUTOR DESCRIPTOR
PARENT``, as :mod:`omrig.measured.process`; after the plan comes what to ask whom."""

import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig.measured import process
from omrig.measured.executors import base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omrig.measured.executors.base import Executor
    from omrig.measured.load.side import Stop
    from omrig.measured.measurement import Measurement
    from omrig.measured.pinging.calls import Calls
    from omrig.model.events import Emit
    from omrig.model.ping import Ping
    from omrig.model.plan import Plan

_STDIN = 0

CONNECT_S = 10.0
"""How long it may take until the connections are there."""


def main() -> None:
    """Do what is said on standard input; never returns."""
    executor = base.load(sys.argv[2])
    executor.patch()
    # Only now: these import what patching has to precede.
    from omrig.measured import pipe

    emit = pipe.emitter(int(sys.argv[3]))
    status = 1
    try:
        process.end_when_orphaned(executor, int(sys.argv[4]))
        status = _heard(executor, emit)
    except BaseException:  # noqa: BLE001 - whatever it is, it is the last thing said
        traceback.print_exc()
    finally:
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.flush()
        os._exit(status)


def _heard(executor: "Executor", emit: "Emit") -> int:
    from omrig.measured import pipe
    from omrig.measured.load import deadline
    from omrig.measured.load.side import Stop
    from omrig.model import events
    from omrig.model.errors import RunError, UsageError
    from omrig.model.plan import Plan

    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = pipe.lines(_STDIN)
    line = next(lines, None)
    ping = _asked(lines)
    if line is None or ping is None:
        return 1
    signal.signal(signal.SIGTERM, stop.request)
    plan = Plan.from_json(line)
    process.set_up_logging(plan)
    try:
        _ping(plan, ping, executor, emit, stop)
    except (UsageError, RunError) as error:
        emit(events.Failed(text=str(error), usage=isinstance(error, UsageError)))
        return 1
    except Exception as error:
        emit(events.Failed(text=deadline.words(error)))
        if plan.output.debug:
            raise
        return 1
    return 0


def _asked(lines: "Iterator[str]") -> "Ping | None":
    from omrig.model import events
    from omrig.model.ping import Ping

    for line in lines:
        match events.decode(line):
            case events.Ask(_, _, arguments):
                return Ping.from_json(arguments)
    return None


def _ping(plan: "Plan", ping: "Ping", executor: "Executor", emit: "Emit", stop: "Stop") -> None:
    import oslo_messaging

    from omrig.drivers import configuration, settings
    from omrig.measured.load import deadline, identity
    from omrig.measured.load.side import SHUT_DOWN_S
    from omrig.measured.measurement import Measurement
    from omrig.measured.pinging import calls
    from omrig.measured.profilers import registry
    from omrig.measured.profilers.base import Context

    found = configuration.load(plan)
    url = configuration.find_url(found, plan) or configuration.default_url(found)
    folder = Path(plan.output.folder) / plan.members[0]
    context = Context(
        executor=plan.load.executor,
        side=plan.side,
        scheme=settings.resolve(found, url).scheme,
        folder=folder,
        profiling=plan.profiling,
    )
    measurement = Measurement(registry.make(plan.profiling.modes, context))
    for profiler in measurement.profilers:
        profiler.install()
    taken = identity.take(found.conf, plan, url.url)
    calls.declare_nothing()
    transport = oslo_messaging.get_rpc_transport(found.conf, taken)
    is_connected = deadline.within(
        executor,
        stop,
        CONNECT_S,
        lambda: _connect(transport),
        "no connection for calls and no queue for replies could be had",
    )
    if not is_connected:
        return
    made = calls.Calls(ping, calls.callers(transport, ping), executor, stop, emit)
    measurement.start()
    try:
        made.run()
    finally:
        measurement.stop()
        _save(plan, made, measurement, emit)
        executor.spawn(transport.cleanup, "main").join(SHUT_DOWN_S)


def _connect(transport: Any) -> None:
    """Have the connections that the first call would make, and which are no part of its way."""
    from oslo_messaging._drivers import common

    driver = transport._driver
    driver._get_reply_q()
    with driver._get_connection(common.PURPOSE_SEND):
        pass


def _save(plan: "Plan", made: "Calls", measurement: "Measurement", emit: "Emit") -> None:
    from omrig.measured.load.side import member, told
    from omrig.model import events
    from omrig.recordings import writer

    folder = Path(plan.output.folder) / plan.members[0]
    about = {**told(member("producer")), "failures": made.errors}
    writer.save_recording(folder, about, made.columns())
    for profiler in measurement.profilers:
        profiler.save(folder)
    emit(events.Saved(list(plan.members)))


if __name__ == "__main__":
    main()
