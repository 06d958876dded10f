"""What a ping came to: how each server was, for how long its replies took, and the caller's half of
the way in stages."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy

import omrig
from omrig.accounting import closure, stamp_table, statistics, timeline
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Flags, Integers
from omrig.model.patterns import PATTERNS
from omrig.model.ping import (
    ALIVE,
    ANSWERED,
    ERROR,
    FAILED,
    OUTCOMES,
    REFUSED,
    SILENT,
    UNROUTED,
    Ping,
    Pinged,
    Server,
    State,
)
from omrig.model.run import Environment, RecordedPlan, RecordedTransport, Run
from omrig.model.units import NS
from omrig.recordings import folder as run_folder
from omrig.recordings import messages, recording, stamping
from omrig.recordings.messages import Messages
from omrig.recordings.recording import Recording


@dataclasses.dataclass(frozen=True)
class Calls:
    """The calls that a ping made, in the order of their sequence numbers.

    ``number`` is the place of the server among those that were asked, ``outcome`` the place in
    :data:`OUTCOMES`. ``failures`` are what exception and what words ended a call, by its number.
    """

    number: Integers
    start_ns: Integers
    end_ns: Integers
    outcome: Integers
    failures: Mapping[int, tuple[str, str]]

    def ended(self, *outcomes: str) -> Flags:
        """Which calls have ended so."""
        places = [OUTCOMES.index(each) for each in outcomes]
        flags: Flags = (self.end_ns > 0) & numpy.isin(self.outcome, places)
        return flags


@dataclasses.dataclass(frozen=True)
class Accounted:
    """How each server was, the stages of all calls, and how they add up."""

    servers: tuple[Pinged, ...]
    timeline: Timeline | None
    within_tolerance: int = 0


def account(folder: Path, ping: Ping, environment: Environment, offset_ns: int) -> Accounted:
    """What the measured process in ``folder`` recorded of ``ping``.

    ``offset_ns`` is how far the system clock is ahead of the load's. Raises ``ValueError`` where it
    recorded nothing.
    """
    read = messages.read(folder)
    about = run_folder.read_json(folder / run_folder.SIDE)
    if read is None or about is None:
        raise ValueError("the measured process wrote nothing")
    calls = Calls(
        number=_column(read, "server"),
        start_ns=_column(read, "start_ns"),
        end_ns=_column(read, "end_ns"),
        outcome=_column(read, "outcome"),
        failures={int(seq): (name, words) for seq, name, words in about["failures"]},
    )
    found = _timeline(folder, calls, read, environment)
    asked = {server.key: number for number, server in enumerate(ping.asked)}
    servers = tuple(
        _of_server(each, calls, calls.number == asked.get(each.key, -1), found, offset_ns)
        for each in ping.servers
    )
    return Accounted(servers, found, _within_tolerance(found, calls) if found else 0)


def _column(read: Messages, name: str) -> Integers:
    return numpy.asarray(read.columns[name]).astype(numpy.int64)


def _timeline(
    folder: Path, calls: Calls, read: Messages, environment: Environment
) -> Timeline | None:
    """The stages of the calls that were replied to; None where nothing stamped them."""
    instrument = stamping.read(folder)
    about = recording.read_about(folder)
    if instrument is None or about is None:
        return None
    run = Run(
        omrig=omrig.__version__,
        plan=RecordedPlan(pattern="call", executor="threading", profile=("stages",)),
        sides=("producer",),
        started_at="",
        started_epoch_seconds=0.0,
        environment=environment,
        transport=RecordedTransport(url="", source="", driver="rabbit", in_memory=False),
    )
    side = Recording(
        "producer", folder, run, about, read,
        stamps_in=folder, stamping=instrument,
    )  # fmt: skip
    table = stamp_table.read(side)
    if table is None:
        return None
    pattern = PATTERNS["call"]
    replied = calls.ended(*ALIVE)
    table = table.take(timeline.whole(pattern, table))
    table = table.take(replied[table["seq"]])
    if not table.rows:
        return None
    return timeline.of_tables(pattern, table, None, None, instrument.lost_stages)


def _within_tolerance(found: Timeline, calls: Calls) -> int:
    seq = found.table["seq"]
    lasted = (calls.end_ns - calls.start_ns)[seq]
    return int(closure.within_tolerance(closure.total(found.durations), lasted).sum())


def _of_server(
    server: Server, calls: Calls, mine: Flags, found: Timeline | None, offset_ns: int
) -> Pinged:
    """How one server was, by the calls that are ``mine``."""
    counts = {each: int((mine & calls.ended(each)).sum()) for each in OUTCOMES}
    heard = mine & calls.ended(*ALIVE)
    numbers = numpy.flatnonzero(mine).tolist()
    words = [calls.failures[seq] for seq in numbers if seq in calls.failures]
    raised = [seq for seq in numbers if calls.ended(ERROR)[seq]]
    lost = mine & calls.ended(SILENT)
    last_heard = int(calls.end_ns[heard].max(initial=0))
    unheard = calls.start_ns[lost & (calls.start_ns > _last_asked(calls, heard))]
    stages = None
    if found is not None:
        rows = found.take(mine[found.table["seq"]])
        stages = statistics.table(rows.durations) if rows.rows else None
    return Pinged(
        server=server,
        state=state_of(server, len(numbers), counts),
        sent=len(numbers),
        answered=counts[ANSWERED],
        refused=counts[REFUSED],
        silent=counts[SILENT],
        unrouted=counts[UNROUTED],
        failed=counts[FAILED],
        errors=dict(Counter(calls.failures[seq][0] for seq in raised)),
        latency=statistics.summary((calls.end_ns - calls.start_ns)[heard]),
        silent_since=_utc(int(unheard.min()) + offset_ns) if len(unheard) else None,
        heard_at=_utc(last_heard + offset_ns) if last_heard else None,
        said=next((text for _, text in words if text), ""),
        stages=stages,
    )


def _last_asked(calls: Calls, heard: Flags) -> int:
    """When the last call began that was replied to."""
    return int(calls.start_ns[heard].max(initial=0))


def state_of(server: Server, sent: int, counts: Mapping[str, int]) -> State:
    """How a server is, by how many calls ended how."""
    ended = sum(counts.values())
    heard = sum(counts[each] for each in ALIVE)
    if not server.consumers:
        return "absent"
    if not sent or not ended:
        return "unasked"
    if not heard:
        if counts[SILENT]:
            return "deaf"
        return "absent" if counts[UNROUTED] else "unsent"
    if heard < ended:
        return "loses"
    if counts[ANSWERED]:
        return "answers"
    return "refuses" if counts[REFUSED] else "fails"


def _utc(realtime_ns: int) -> str:
    when = datetime.datetime.fromtimestamp(realtime_ns / NS, datetime.UTC)
    return when.isoformat(timespec="milliseconds")
