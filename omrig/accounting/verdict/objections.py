"""What forbids a verdict: nothing measured, too little, books that do not close, a missing side."""

import dataclasses
from collections.abc import Sequence

from omrig.accounting.verdict import incidents
from omrig.accounting.verdict.owners import Part, is_mixed, named_alone, parts_of, shares_of
from omrig.accounting.verdict.phrases import percent, subject
from omrig.accounting.verdict.thresholds import (
    DOMINANT,
    MAX_NEGATIVE,
    MAX_UNEXPLAINED,
    MIN_MATCHED,
    MIN_MESSAGES,
)
from omrig.model import units
from omrig.model.facts import Facts
from omrig.model.patterns import PATTERNS
from omrig.model.result import Closure, Result, StageRow
from omrig.model.verdict import ObjectionKind

MERGE = "omrig report P C"
"""What adds the other side's recording."""

ATTACH = "omrig exec"
"""What starts a service so that it can be recorded."""


@dataclasses.dataclass(frozen=True)
class Objection:
    """Why there is no verdict; ``stage`` is the one that it is about, if any."""

    kind: ObjectionKind
    text: str
    stage: StageRow | None = None
    share: float = 0.0


def before(result: Result, facts: Facts) -> Objection | None:
    """What forbids any verdict, whatever the shares are; None where nothing does."""
    if not facts.is_measurement:
        return Objection(
            "not a measurement",
            "the in-memory transport has no broker and no network and polls on its own terms, so"
            " its times are for function only",
        )
    if not any(row.share for row in result.stages or ()):
        failed = incidents.failures(result)
        if failed and not result.latency:
            return Objection("all failed", failed)
        return Objection("no stages", "no stage was measured")
    closure = result.closure or Closure(messages=0)
    if closure.messages < MIN_MESSAGES:
        return Objection(
            "few messages",
            f"not enough messages: {closure.messages:,} with stages, and {MIN_MESSAGES} are needed",
        )
    return _open_books(closure, facts)


def _open_books(closure: Closure, facts: Facts) -> Objection | None:
    messages, matched = closure.messages, closure.matched
    # One side alone has nothing to match.
    if matched is not None and matched < MIN_MATCHED * messages:
        return Objection(
            "not matched",
            f"the books do not close: only {matched:,} of {messages:,} messages have a whole"
            " timeline; look for lost messages or a side that was not recorded",
        )
    if closure.negative_stages > MAX_NEGATIVE * messages:
        return Objection(
            "negative stages",
            f"the books do not close: {closure.negative_stages:,} of {messages:,} messages have a"
            " stage below zero; a stamp is wrong, please report it with the run folder",
        )
    unexplained = closure.unexplained_share
    if unexplained is None and matched is None:
        return Objection(
            "one side",
            "a consumer alone has no end-to-end time; "
            + (
                f"start with {ATTACH} what sends them, too"
                if facts.of_services
                else f"merge with the producer's run: {MERGE}"
            ),
        )
    if unexplained is None:
        return Objection(
            "not checked",
            "the books do not close: nobody compared the stages with the end-to-end time",
        )
    if abs(unexplained) > MAX_UNEXPLAINED:
        return Objection(
            "unexplained",
            f"the books do not close: {percent(abs(unexplained))} of the end-to-end time is in"
            " no stage; the stage map may not fit this version of the driver",
        )
    return None


def of_mixed(result: Result, facts: Facts, owners: Sequence[str]) -> Objection | None:
    """That a stage which is everybody's time is too large to name anybody."""
    stages = result.stages or ()
    largest = max(stages, key=lambda row: row.share)
    if not (is_mixed(largest) or (len(owners) > 1 and "remote" in owners)):
        return None
    row = next(row for row in stages if is_mixed(row))
    text = (
        f"{percent(row.share)} of {subject(result)} is {row.name}"
        f" (mean {units.duration(row.mean_ns)}), which holds broker, network and the whole"
        " other side; "
        + (
            f"start with {ATTACH} what serves it, too"
            if facts.of_services
            else f"merge with the consumer's run: {MERGE}"
        )
    )
    return Objection("mixed stage", text, row, row.share)


def of_prefetch(
    result: Result, facts: Facts, owners: Sequence[str], part: Part
) -> Objection | None:
    """That it cannot be told whose time a stage is in which prefetch holds messages back."""
    text = _of_prefetch(result, facts, owners, part)
    return Objection("prefetch", text, part.stage, part.share) if text else None


def _of_prefetch(result: Result, facts: Facts, owners: Sequence[str], part: Part) -> str | None:
    name = part.stage.name
    side = {"amqp_request": "consumer", "amqp_reply": "producer"}.get(name, "")
    prefetch, held = facts.prefetch.get(side, 0), facts.held.get(name)
    # In a closed loop with replies no more messages are under way than there are workers.
    workers = facts.workers if side == "producer" else facts.all_workers
    limits = not PATTERNS[result.pattern].replies or not 0 < workers <= prefetch
    if prefetch and held is None and limits:
        return (
            f"{percent(part.share)} of {subject(result)} is {name}, and with"
            f" rabbit_qos_prefetch_count {prefetch} messages may wait there for our own process;"
            f" {_why_not_told(facts)}"
        )
    at_most = parts_of(result.stages or (), facts, at_most=True)
    if held is None or set(named_alone(shares_of(at_most), DOMINANT)) == set(owners):
        return None
    whole = part.stage.share
    return (
        f"{percent(held.waited_share * whole)} of {subject(result)} is messages that the broker"
        f" holds back (rabbit_qos_prefetch_count {prefetch}), between"
        f" {percent(held.own_share * whole)} and {percent(held.own_most_share * whole)} for our own"
        " process, the rest for acknowledgements under way; a larger prefetch would tell them apart"
    )


def _why_not_told(facts: Facts) -> str:
    if facts.sample > 1:
        return "a sample cannot tell: run without --sample"
    return (
        "what this run recorded does not tell for how long; with rabbit_qos_prefetch_count 0 none"
        " has to"
    )
