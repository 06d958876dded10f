"""What the watcher's logs and packets look like: for who writes and who reads them.

The logs are files in the folder of the side that is watched. It is imported by the watcher process
(:mod:`omrig.watcher.process`) and imports nothing but light standard modules.
"""

import struct

SEGMENTS = "segments.u32"
"""The log of segments: rows of little-endian 32-bit words, ``SEGMENT_COLUMNS``."""

SEGMENT_COLUMNS = (
    "length",  # bytes, from the IP header on
    "seconds",  # CLOCK_REALTIME
    "nanoseconds",
    "ip",  # the first word of the IP header
    "ports4",  # from here on as on the wire: words of the TCP header if it follows one of IPv4
    "sequence4",
    "flags4",
    "ports6",  # ... or one of IPv6
    "sequence6",
    "flags6",
)
"""Columns of ``SEGMENTS``; the three TCP words of one of the two IP versions are meaningless."""

FOLLOWED = "followed.u64"
"""The log of connections: rows of little-endian 64-bit numbers, ``FOLLOWED_COLUMNS``."""

FOLLOWED_COLUMNS = ("connection", "t_ns", "local_port", "remote_port", "bytes")
"""Columns of ``FOLLOWED``: at ``t_ns`` (CLOCK_MONOTONIC) it had received ``bytes`` bytes."""

CLOCK = "clock.u64"
"""The log of clock readings: rows of little-endian 64-bit numbers, ``CLOCK_COLUMNS``."""

CLOCK_COLUMNS = ("t_ns", "realtime_ns")
"""Columns of ``CLOCK``: CLOCK_MONOTONIC, and CLOCK_REALTIME at the same moment."""

ARRIVALS = "arrivals.u64"
"""The log of arrivals: by ``t_ns`` the connection had received ``bytes`` bytes."""

ARRIVAL_COLUMNS = ("connection", "t_ns", "bytes")
"""Columns of ``ARRIVALS``; ``t_ns`` is CLOCK_MONOTONIC."""

TCP_INFO = "tcp_info.u64"
"""The log of samples: once a second, and when a connection is added and dropped."""

TCP_INFO_COLUMNS = (
    "connection",
    "t_ns",
    "rtt_us",  # smoothed
    "rttvar_us",
    "retransmits",  # less those of what the peer had already: nothing was lost, only late
    "bytes_acked",  # by the peer; the opening of the connection counts as one
    "bytes_received",
    "notsent_bytes",
    "min_rtt_us",  # of the last minutes: the network without delayed acknowledgements
    "busy_us",
    "rwnd_limited_us",  # part of busy: the peer's receive window was full
    "sndbuf_limited_us",  # part of busy: our send buffer was too small
    "bytes_sent",  # retransmissions included
    "unread_bytes",  # received and not read by our process
    "send_queue_bytes",  # written by our process and not acknowledged
    "info_bytes",  # what the kernel knows of struct tcp_info: columns beyond it are 0
)
"""Columns of ``TCP_INFO``; all but the rtt and the queues count since the connection began."""

INFO_ENDS = {
    "rtt_us": 72,
    "rttvar_us": 76,
    "retransmits": 104,
    "bytes_acked": 128,
    "bytes_received": 136,
    "notsent_bytes": 148,
    "min_rtt_us": 152,
    "busy_us": 176,
    "rwnd_limited_us": 184,
    "sndbuf_limited_us": 192,
    "bytes_sent": 208,
}
"""A column is available if ``info_bytes`` is at least this."""

COMMAND = struct.Struct("<BBiQ")
"""What, watch flag (ADD), the owner's descriptor number (ADD), connection."""

ADD, WATCH, DROP = range(3)

REPORT = struct.Struct("<6Q")
"""Index into ``SCHEDULING``, ``info_bytes``, arrivals logged, CPU time used in ns, whether the
kernel notes the segments, and how many of these it had no room for."""

SCHEDULING = ("fifo", "nice", "normal")
"""How it is scheduled: real-time, nice -10, or like everybody."""
