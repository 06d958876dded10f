"""What TCP and the broker say of a member's connections."""

from omrig.model.facts import Blocked, Network
from omrig.recordings import tcp_info
from omrig.recordings.recording import Recording


def of(recording: Recording) -> Network | None:
    """The network of a member; None where it was not sampled."""
    connections = tcp_info.read(recording.folder) if recording.stamping else []
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


def blocked(recording: Recording) -> list[Blocked]:
    """The broker's connection.blocked notices, each until the next unblocked or the run's end."""
    if recording.stamping is None:
        return []
    return [
        Blocked(
            side=recording.side,
            reason=each.reason,
            duration_ns=max(0, each.end_ns - each.begin_ns),
        )
        for each in recording.stamping.blocked()
    ]
