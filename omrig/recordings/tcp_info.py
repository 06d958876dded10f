"""What the kernel knew of each connection, sampled by a watcher: ``struct tcp_info``, queues."""

from pathlib import Path
from typing import Any

import numpy

from omrig.model.columns import Integers
from omrig.recordings import logs
from omrig.watcher import layout

_SERIES = ("t_ns", "rtt_us", "unread_bytes", "send_queue_bytes", "rwnd_limited_us")


def sampled(folder: Path) -> bool:
    """Whether a watcher sampled the connections of this side."""
    return (folder / layout.TCP_INFO).exists()


def read(folder: Path) -> list[dict[str, Any]]:
    """What the samples of each connection say: the network's part, and ours, in a delay.

    Per connection: ``connection``, ``first_ns``, ``last_ns``; ``rtt_us`` ``_mean`` and ``_max``,
    ``min_rtt_us``;
    ``unread_bytes`` ``_mean`` and ``_max``; ``send_queue_bytes_max``; over the time sampled
    ``retransmits``, ``busy_us`` and the parts of it in which the peer's receive window
    (``rwnd_limited_us``) or our send buffer (``sndbuf_limited_us``) held us up; and ``series``,
    the samples themselves by column. None is what this kernel does not tell. Raises OSError
    without a log.
    """
    rows = logs.rows(folder / layout.TCP_INFO, len(layout.TCP_INFO_COLUMNS)).astype(numpy.int64)
    return [_summary(part) for part in logs.by_connection(rows)]


def _summary(rows: Integers) -> dict[str, Any]:
    column = dict(zip(layout.TCP_INFO_COLUMNS, rows.T, strict=True))
    known = int(column["info_bytes"].min())

    def told(name: str) -> bool:
        return layout.INFO_ENDS.get(name, 0) <= known

    def grown(name: str) -> int | None:
        return max(0, int(column[name][-1] - column[name][0])) if told(name) else None

    return {
        "connection": int(rows[0, 0]),
        "first_ns": int(column["t_ns"][0]),
        "last_ns": int(column["t_ns"][-1]),
        "rtt_us_mean": float(column["rtt_us"].mean()),
        "rtt_us_max": int(column["rtt_us"].max()),
        "min_rtt_us": int(column["min_rtt_us"].min()) if told("min_rtt_us") else None,
        "unread_bytes_mean": float(column["unread_bytes"].mean()),
        "unread_bytes_max": int(column["unread_bytes"].max()),
        "send_queue_bytes_max": int(column["send_queue_bytes"].max()),
        "retransmits": grown("retransmits"),
        "busy_us": grown("busy_us"),
        "rwnd_limited_us": grown("rwnd_limited_us"),
        "sndbuf_limited_us": grown("sndbuf_limited_us"),
        "series": {name: column[name].tolist() if told(name) else None for name in _SERIES},
    }
