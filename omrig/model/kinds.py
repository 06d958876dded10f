"""The kinds of probes that a stage map may ask for; what each does, the measured process knows."""

KINDS = frozenset(
    {
        # A record begins, is found again, and ends
        "call",
        "serialize",
        "reply_put",
        "incoming",
        "process",
        # Out
        "send",
        "reply",
        "json_out",
        "pool_get",
        "connect",
        "reconnect",
        "reconnect_delay",
        # What the broker says
        "confirm",
        "blocked",
        "unblocked",
        # In
        "delivery",
        "json_in",
        "submit",
        "endpoint",
        "reply_get",
        # The socket
        "transport",
        "tls_transport",
        "transport_close",
        "consume",
    }
)
