"""The calls that endpoints made, in words."""

from omrig.model import units
from omrig.model.result import Nested, Result
from omrig.report import notes


def lines(result: Result) -> list[tuple[str, str]]:
    """What the nested calls came to: lines of a label and a text; none where there were none."""
    found = result.nested
    if found is None:
        return []
    told = [
        ("calls", _counts(found)),
        ("endpoint", _split(result, found)),
        ("books", notes.books(found.closure)),
    ]
    return [(label, line) for label, line in told if line]


def _counts(found: Nested) -> str:
    messages, latency = found.messages, found.latency
    parts = [
        f"{count:,} {name}"
        for name, count in (
            ("sent", messages.sent),
            ("received", messages.received),
            ("replied", messages.replied),
            ("lost", messages.lost),
            *((f"failed with {name}", count) for name, count in messages.errors.items()),
        )
        if count is not None
    ]
    if latency:
        parts += [f"{name} {units.duration(latency.named(name))}" for name in ("p50", "p99", "max")]
    return ", ".join(parts)


def _split(result: Result, found: Nested) -> str:
    endpoint = result.stage("endpoint")
    if endpoint is None or found.own_ns is None:
        return ""
    return (
        f"{units.duration(endpoint.mean_ns)} of a mean message, of which"
        f" {units.duration(found.calls_ns)} in nested calls and {units.duration(found.own_ns)} its"
        " own"
    )
