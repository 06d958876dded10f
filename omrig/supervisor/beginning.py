"""What a run has before its load: room on the disk, and ``run.json``."""

import contextlib
import dataclasses
import datetime
from pathlib import Path

import omrig
from omrig.drivers import options, settings
from omrig.model import errors
from omrig.model.plan import Plan
from omrig.model.run import RecordedConfiguration, RecordedPlan, RecordedTransport, Run
from omrig.recordings import environment, writer
from omrig.recordings import folder as run_folder
from omrig.supervisor.destination import Destination

_MESSAGE_BYTES = 16
"""Of a message in ``messages.npz`` before the accounting."""

_KIND_BYTES = 5
"""... and what more is written of each where messages differ."""

_RESERVED_BYTES = 256 * 1024
"""For ``run.json`` and ``result.json``; for what a side says of itself, and messages unforeseen."""


def begin(folder: Path, to: Destination) -> Run:
    """Keep room in ``folder``, and write ``run.json`` as it is before the load; the run.

    Raises ``UsageError`` where there is no room.
    """
    with errors.naming("--output"):
        _reserve(folder, to.plan)
        run = describe(to)
        writer.write_json(folder / run_folder.RUN, run.to_json())
    return run


def forget(folder: Path, plan: Plan) -> None:
    """Remove the folders of a run that has not begun; a folder with anything in it stays."""
    release(folder, plan)
    if (folder / run_folder.RUN).exists():
        return
    with contextlib.suppress(OSError):
        for path in [*(folder / name for name in plan.members), folder]:
            path.rmdir()


def _reserve(folder: Path, plan: Plan) -> None:
    """Keep room for what must not be lost when the disk fills up during the load."""
    writer.reserve(folder, _RESERVED_BYTES)
    differ = bool(plan.load.mix or plan.load.sizes)
    each_bytes = _MESSAGE_BYTES + _KIND_BYTES * differ
    for name in plan.members:
        writer.reserve(folder / name, _RESERVED_BYTES + each_bytes * (plan.load.messages or 0))


def release(folder: Path, plan: Plan) -> None:
    """Give the room that was kept to what is written now."""
    for each in (folder, *(folder / name for name in plan.members)):
        writer.release(each)


def describe(to: Destination) -> Run:
    """The run as it is before the load."""
    now = datetime.datetime.now(datetime.UTC)
    return Run(
        omrig=omrig.__version__,
        run_id=to.plan.run_id,
        plan=RecordedPlan.from_json({**to.plan.public(), "timeout_s": to.timeout_s}),
        sides=to.plan.sides,
        started_at=now.isoformat(timespec="seconds"),
        started_epoch_seconds=now.timestamp(),
        environment=dataclasses.replace(
            environment.describe(to.transport.broker),
            broker=to.info.product if to.info else None,
            broker_version=to.info.version if to.info else None,
        ),
        transport=_transport(to),
        broker_process=to.process,
        broker_nodes=to.nodes,
        pools=to.pools,
        options=settings.differing_options(to.transport),
        settings=settings.with_sources(to.transport, to.plan),
        driver_options=to.transport.options,
        configuration=RecordedConfiguration(
            files=tuple(to.configuration.read_files()),
            unreadable=tuple(to.configuration.unreadable),
            unknown_options=tuple(options.unknown(to.configuration)),
        ),
        complete=False,
        reason="the run has not ended",
    )


def _transport(to: Destination) -> RecordedTransport:
    return RecordedTransport(
        url=to.transport.redacted,
        source=to.transport.source,
        driver=to.transport.scheme,
        vhost=to.transport.login.vhost,
        tls=to.transport.login.ssl_options is not None,
        in_memory=to.broker.one_process,
        is_mock=True if to.is_mock else None,
        exchange=to.plan.exchange,
        topic=to.plan.queue_topic,
    )
