"""What TCP and the broker say of a side's connections."""

from omrig.model.facts import Blocked, Network
from omrig.recordings import tcp_info
from omrig.recordings.recording import Recording


def of(side: Recording) -> Network | None:
    """The network of a side, of all its members; None where it was not sampled."""
    connections = [
        connection
        for each in side.members
        if each.stamping
        for connection in tcp_info.read(each.folder)
    ]
    if not connections:
        return None
    lasted = sum(
        max(1, connection["last_ns"] - connection["first_ns"]) for connection in connections
    )
    # The smoothed round trip holds the peer's delayed acknowledgements, up to 40 ms of them.
    rtts = [c["min_rtt_us"] for c in connections if c["min_rtt_us"] is not None]

    def added(name: str) -> int:
        return sum(connection[name] or 0 for connection in connections)

    return Network(
        rtt_us=sum(rtts) / len(rtts) if rtts else None,
        retransmits=added("retransmits"),
        rwnd_limited_share=added("rwnd_limited_us") * 1000 / lasted,
        sndbuf_limited_share=added("sndbuf_limited_us") * 1000 / lasted,
        unread_bytes_max=max(c["unread_bytes_max"] or 0 for c in connections),
    )


def blocked(side: Recording) -> list[Blocked]:
    """The broker's connection.blocked notices, each until the next unblocked or the run's end."""
    return [
        Blocked(
            side=recording.side,
            reason=each.reason,
            duration_ns=max(0, each.end_ns - each.begin_ns),
        )
        for recording in side.members
        if recording.stamping
        for each in recording.stamping.blocked()
    ]
