"""How the arrivals of a member were timed."""

from omrig.model.result import Instrument
from omrig.model.units import NS
from omrig.recordings.stamping import Stamping


def of(stamping: Stamping) -> Instrument:
    """How the arrival clock of a member was run, and what it cost beside the measured process."""
    watcher = stamping.watcher
    return Instrument(
        watcher_alive=watcher.alive,
        watcher_scheduling=watcher.scheduling,
        watcher_cpu_seconds=watcher.cpu_ns / NS,
        watcher_events=watcher.events,
        arrival_clock="capture" if watcher.capturing else "watcher",
        segments_dropped=watcher.dropped,
        receive_buffer_bytes=stamping.receive_buffer_bytes,
        stamps=stamping.stamps,
    )
