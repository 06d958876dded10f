"""How an open loop went, in words: what was asked for, what was sent and when, and what that means
for the latencies."""

from omrig.model import units
from omrig.model.pacing import Knee, Pacing
from omrig.model.result import Result

WAITED = 0.05
"""Part of the mean latency that messages waited to be sent from which the stages' reader is told:
it is in none of them."""


def asked(pacing: Pacing) -> str:
    """What was asked for and what was sent; where that is less, with what limited it."""
    line = f"asked {_rate(pacing.asked_per_second)}, sent {_rate(pacing.sent_per_second)}"
    limit = pacing.limited_by
    return f"{line}: {limit.text}" if pacing.fell_behind and limit else line


def counts(pacing: Pacing) -> str:
    """How many messages were not sent when they were to be, and how precisely the others were."""
    parts = [
        f"{pacing.late:,} of {pacing.sent:,} late (by more than {_short(pacing.late_after_ns)})",
        f"{pacing.dropped:,} dropped",
        f"sent {_short(pacing.lag_p50_ns)} after it was due (p50), p99 {_short(pacing.lag_p99_ns)}",
        f"gaps wrong by {_short(pacing.gap_error_p50_ns)}, p99 {_short(pacing.gap_error_p99_ns)}",
    ]
    return ", ".join(parts)


def why_late(pacing: Pacing) -> str:
    """What made messages late that were sent in the end; empty where that is said, or none were."""
    if pacing.limited_by is None or pacing.fell_behind:
        return ""
    return f"messages were late: {pacing.limited_by.text}"


def omitted(result: Result) -> str:
    """How far the service time is from the latency; empty where that says nothing."""
    latency, service = result.latency, result.service_time
    if latency is None or service is None:
        return ""
    return (
        f"p99 {units.duration(latency.p99)} from when messages were due,"
        f" {units.duration(service.p99)} from when they were sent: the difference is what a closed"
        " loop would not have seen (coordinated omission)"
    )


def not_in_stages(result: Result) -> str:
    """What of the latency is in no stage; empty where next to nothing is."""
    if result.latency is None or result.service_time is None:
        return ""
    waited = result.latency.mean - result.service_time.mean
    if waited < WAITED * result.latency.mean:
        return ""
    return (
        f"{units.duration(waited)} of the mean latency of {units.duration(result.latency.mean)}"
        f" ({100 * waited / result.latency.mean:.0f} %) went by before the message was sent, for"
        " want of a worker that was free: it is in no stage, and no part of the verdict's shares"
    )


def knee(found: Knee | None, highest: float) -> str:
    """Where throughput stops to follow the rate, in words."""
    if found is None:
        return f"no knee: throughput follows the rate up to {_rate(highest)}"
    at = f"knee at {_rate(found.messages_per_second)}"
    if found.followed_per_second is None:
        return f"{at}: throughput does not follow even the lowest rate"
    tail = f" (p99 {units.duration(found.p99_ns)})" if found.p99_ns is not None else ""
    return (
        f"{at}: throughput follows the rate up to {_rate(found.followed_per_second)}{tail}, and not"
        f" {_rate(found.broken_per_second)}"
    )


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:,.3g}/s"


def _short(nanoseconds: int) -> str:
    return units.duration(nanoseconds) if nanoseconds else "0"
