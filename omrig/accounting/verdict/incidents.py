"""What happened to some of the messages, in the words of the verdict: failures, and stalls."""

import dataclasses
from collections.abc import Sequence

from omrig.accounting.verdict.phrases import counted, noun, percent, words
from omrig.accounting.verdict.thresholds import BLOCKING, QUEUED
from omrig.model import units
from omrig.model.facts import Blocked, LostConnections, Outage
from omrig.model.result import Result
from omrig.model.stalls import Stalls
from omrig.model.units import NS
from omrig.model.verdict import Evidence

_OWNERS = {
    "amqp": "AMQP",
    "driver": "the driver",
    "process": "our own processes",
    "endpoint": "the endpoint",
}


def failures(result: Result) -> str | None:
    """How many messages failed, of how many, and of what; None where none did."""
    failed = result.messages.failed
    if not failed:
        return None
    sent = result.messages.sent or failed
    names = ", ".join(f"{name} {count:,}" for name, count in result.messages.errors.items())
    if failed >= sent:
        which = f"all {sent:,} {noun(result)}s" if sent > 1 else f"the only {noun(result)}"
        return f"{which} failed: {names}"
    return f"{failed:,} of {sent:,} {noun(result)}s failed: {names}"


def outage(lost: Outage) -> str:
    """Which node of the broker was lost, when, and for how long nothing moved then."""
    what = f"the broker's node {lost.node} ended" if lost.ended else f"the broker at {lost.node}"
    verb = "" if lost.ended else " was lost"
    at = f"{what}{verb} at {lost.at_ns / NS:.1f} s of the load"
    if not lost.ended_again:
        return f"{at}, and nothing moved any more"
    return f"{at}, and for {_seconds(lost.still_ns)} nothing moved"


def recovery(lost: LostConnections, node: str) -> str:
    """How a side lost its connections to a node, and when it had others."""
    line = f"the {lost.side} lost {counted(lost.lost, 'connection')} to {node}"
    line += f", the first at {lost.at_ns / NS:.2f} s"
    if lost.first_again_ns is None:
        return f"{line}, and opened none again"
    first = _seconds(lost.first_again_ns - lost.at_ns)
    if lost.all_again_ns is None:
        when = f"the first was open again {first} later, not as many were needed"
    elif lost.lost == 1:
        when = f"it was open again {first} later"
    else:
        every = _seconds(lost.all_again_ns - lost.at_ns)
        when = f"the first was open again {first} later, as many {every} later"
    return f"{line}; {when} (to {', '.join(lost.nodes)})"


@dataclasses.dataclass(frozen=True)
class Told:
    """Failures, stalls and lost nodes of a ``result`` around its verdict.

    ``left_out`` says that the verdict is on the messages without those of the stalls, ``blocked``
    when the broker took nothing from those that publish.
    """

    result: Result
    left_out: bool
    blocked: Sequence[Blocked] = ()

    def around(self, verdict: str) -> str:
        """The verdict with what is to be said before and after it."""
        stalls = self.result.stalls
        told = self.besides(verdict)
        if stalls and self.left_out:
            which = "it" if stalls.messages == 1 else "them"
            verdict = f"{told.pop(0)}; without {which} {verdict}"
        return "; ".join([verdict, *told])

    def besides(self, verdict: str) -> list[str]:
        """What is to be said beside the verdict, the stalls first."""
        stalls, failed = self.result.stalls, failures(self.result)
        told = [self._few(stalls)] if stalls else []
        lost = (outage(each) for each in self.result.outages or ())
        told += [text for text in lost if text not in verdict]
        return [*told, failed] if failed and failed not in verdict else told

    def without(self) -> str | None:
        """Which messages the verdict leaves out; None where it is on all of them."""
        stalls = self.result.stalls
        if not stalls or not self.left_out:
            return None
        count, share = stalls.messages, percent(stalls.share)
        if count == 1:
            return f"without the one message that is {share} of all time"
        return f"without the {count:,} messages that are {share} of all time"

    def _few(self, stalls: Stalls) -> str:
        count = stalls.messages
        held = "one message is" if count == 1 else f"{count:,} of {stalls.of:,} messages are"
        how = f"{_how(stalls)}{self._while(stalls)}{_whose(stalls)}"
        return f"{held} {percent(stalls.share)} of all time: {how}"

    def _while(self, stalls: Stalls) -> str:
        """The broker's blocking, where it lasted long enough to be why nothing moved."""
        if not self.blocked:
            return ""
        longest = max(self.blocked, key=lambda each: each.duration_ns)
        if longest.duration_ns < BLOCKING * stalls.stalled_ns:
            return ""
        lasted = units.duration(longest.duration_ns)
        return (
            f", while the {longest.side} was blocked by the broker ({words(longest.reason)}) for"
            f" {lasted}"
        )

    def evidence(self) -> list[Evidence]:
        """Lines for what the sentence has no room for."""
        stalls = self.result.stalls
        recovered = [
            Evidence("outage", recovery(side, each.node))
            for each in self.result.outages or ()
            for side in each.sides
        ]
        if not stalls:
            return recovered
        line = (
            "a closed loop sends nothing new while it waits: the percentiles have no message of"
            " those that would have come meanwhile"
        )
        lines = [line] if stalls.stalls else []
        if self.left_out:
            lines.append(f"what follows is without the {counted(stalls.messages, 'message')}")
        return [*recovered, *(Evidence("stalls", line) for line in lines)]


def _how(stalls: Stalls) -> str:
    found = stalls.stalls
    if not found:
        took = _seconds(stalls.longest_ns)
        return f"{'it' if stalls.messages == 1 else 'the longest'} took {took} while others went on"
    longest = max(found, key=lambda each: each.ends_ns - each.begins_ns)
    begins, ends = longest.begins_ns, longest.ends_ns
    digits = 1 if ends - begins >= NS else 2
    when = f"from {begins / NS:.{digits}f} s to {ends / NS:.{digits}f} s of the load"
    stalled = _seconds(stalls.stalled_ns)
    if len(found) == 1:
        return f"for {stalled} nothing moved, {when}"
    return f"{len(found):,} times nothing moved, {stalled} in all, the longest {when}"


def _whose(stalls: Stalls) -> str:
    owner = _OWNERS.get(stalls.owner or "")
    if not owner:
        return ""
    time = "its time" if stalls.messages == 1 else "their time"
    queued = stalls.queue_share or 0.0
    behind = f" and {percent(queued)} queues behind that" if queued >= QUEUED else ""
    return f", {percent(stalls.owner_share or 0.0)} of {time} {owner}{behind}"


def _seconds(nanoseconds: int) -> str:
    if nanoseconds >= NS:
        return f"{nanoseconds / NS:.1f} s"
    return units.duration(nanoseconds)
