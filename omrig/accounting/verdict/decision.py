"""The verdict: whose the time of a message is, in which stage it goes, why, and on what evidence.

First comes what forbids a verdict (nothing measured, too little, books that do not close, a side
that is missing), then the owner by share of time, then the owner's largest stage, then the reason
that this stage, the executor and the :class:`Facts` suggest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from omrig.accounting.verdict import evidence, incidents
from omrig.accounting.verdict.owners import Part, is_mixed, named_alone, parts_of, shares_of
from omrig.accounting.verdict.phrases import noun, percent
from omrig.accounting.verdict.reasons import Case, reason_of
from omrig.model import units
from omrig.model.facts import Facts

MIN_MESSAGES = 50
"""Messages with a timeline below which shares are chance."""

MAX_UNEXPLAINED = 0.05
"""Share of the end-to-end time that may be in no stage before the books count as open."""

MIN_MATCHED = 0.9
"""Share of the messages that must have a whole timeline before it speaks for all of them."""

MAX_NEGATIVE = 0.01
"""Share of the messages that may have a stage below zero before no stage is believed."""

DOMINANT = 0.5
"""An owner with more than this share of the time is named alone."""

ONE_SIDED = 0.9
"""A side with this share of the processes' waiting is named as the one whose process it is."""

_NO_VERDICT = "no verdict"


def decide(
    result: Mapping[str, Any], facts: Facts, rest: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The verdict on ``result`` (the keys of ``result.json``), ready for JSON.

    ``rest`` are ``stages`` and ``latency`` without the messages of ``result["stalls"]``, where the
    verdict is to be on the others; ``facts`` are then of these, too.

    Returns ``owner``, ``bucket``, ``stage``, ``share`` (of the owner's part of the time, 0 to 1;
    of the two largest owners together when ``mixed``), ``text`` (one sentence) and ``evidence``
    (a list of lines). ``bucket`` is that of ``stage``, the largest of the owner's stages; both
    are None when the owner is ``unknown`` for want of any usable stage. The parts of the sentence
    are ``head`` and ``reason``, ``without`` (which messages were left out, or None) and ``besides``
    (what was to be said of some messages, a list).
    """
    verdict = _decided({**result, **(rest or {})}, facts)
    told = incidents.Told(result, rest is not None, facts.blocked)
    sentence = f"{verdict['head']}: {verdict['reason']}"
    return {
        **verdict,
        "text": told.around(sentence),
        "without": told.without(),
        "besides": told.besides(sentence),
        "evidence": [*told.evidence(), *verdict["evidence"]],
    }


def _decided(result: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    lines = evidence.lines(result, facts)
    objection = _objection(result, facts)
    if objection:
        return _verdict("unknown", None, 0.0, (_NO_VERDICT, objection), lines)
    parts = parts_of(result, facts)
    shares = shares_of(parts)
    largest = max(result["stages"], key=lambda stage: stage["share"])
    owners = named_alone(shares, DOMINANT)
    if is_mixed(largest) or (len(owners) > 1 and "remote" in owners):
        return _remote(result, lines)
    part = _largest(parts, owners)
    doubt = _doubt(result, facts, owners, part)
    if doubt:
        return _verdict("unknown", part.stage, part.share, (_NO_VERDICT, doubt), lines)
    text = (_head(result, parts, owners, part), reason_of(Case(result, facts, part)))
    share = sum(shares[owner] for owner in owners)
    return _verdict(owners[0] if len(owners) == 1 else "mixed", part.stage, share, text, lines)


def _largest(parts: Sequence[Part], owners: Sequence[str]) -> Part:
    return max((part for part in parts if part.owner in owners), key=lambda part: part.share)


def _doubt(
    result: Mapping[str, Any], facts: Facts, owners: Sequence[str], part: Part
) -> str | None:
    """Why it cannot be told whose time a stage is in which prefetch holds messages back."""
    name = part.stage["name"]
    side = {"amqp_request": "consumer", "amqp_reply": "producer"}.get(name, "")
    prefetch, held = facts.prefetch.get(side, 0), facts.held.get(name)
    # In a closed loop of calls no more messages are under way than there are workers.
    limits = result.get("pattern") != "call" or not 0 < facts.workers <= prefetch
    if prefetch and held is None and limits:
        return (
            f"{percent(part.share)} of {_subject(result)} is {name}, and with"
            f" rabbit_qos_prefetch_count {prefetch} messages may wait there for our own process;"
            f" {_why_not_told(facts)}"
        )
    at_most = parts_of(result, facts, at_most=True)
    if held is None or set(named_alone(shares_of(at_most), DOMINANT)) == set(owners):
        return None
    whole = part.stage["share"]
    return (
        f"{percent(held.waited_share * whole)} of {_subject(result)} is messages that the broker"
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


def _verdict(
    owner: str,
    stage: Mapping[str, Any] | None,
    share: float,
    text: tuple[str, str],
    evidence: list[str],
) -> dict[str, Any]:
    head, reason = text
    return {
        "owner": owner,
        "bucket": stage and stage["bucket"],
        "stage": stage and stage["name"],
        "share": round(float(share), 4),
        "head": head,
        "reason": reason,
        "evidence": evidence,
    }


def _objection(result: Mapping[str, Any], facts: Facts) -> str | None:
    if not facts.is_measurement:
        return (
            "the in-memory transport has no broker and no network and polls on its own terms, so"
            " its times are for function only"
        )
    failed = incidents.failures(result)
    if not any(stage["share"] for stage in result.get("stages") or ()):
        if failed and not result.get("latency"):
            return failed
        return "no stage was measured; run with --profile stages"
    closure = result.get("closure") or {}
    messages = closure.get("messages") or 0
    if messages < MIN_MESSAGES:
        return f"not enough messages: {messages:,} with stages, and {MIN_MESSAGES} are needed"
    return _open_books(closure, messages)


def _open_books(closure: Mapping[str, Any], messages: int) -> str | None:
    matched = closure.get("matched")
    # One side alone has nothing to match.
    if matched is not None and matched < MIN_MATCHED * messages:
        return (
            f"the books do not close: only {matched:,} of {messages:,} messages have a whole"
            " timeline; look for lost messages or a side that was not recorded"
        )
    negative = closure.get("negative_stages") or 0
    if negative > MAX_NEGATIVE * messages:
        return (
            f"the books do not close: {negative:,} of {messages:,} messages have a stage below"
            " zero; a stamp is wrong, please report it with the run folder"
        )
    unexplained = closure.get("unexplained_share")
    if unexplained is None and matched is None:
        return (
            "a consumer alone has no end-to-end time; merge with the producer's run:"
            " omrig report P C"
        )
    if unexplained is None:
        return "the books do not close: nobody compared the stages with the end-to-end time"
    if abs(unexplained) > MAX_UNEXPLAINED:
        return (
            f"the books do not close: {percent(abs(unexplained))} of the end-to-end time is in"
            " no stage; the stage map may not fit this version of the driver"
        )
    return None


def _remote(result: Mapping[str, Any], lines: list[str]) -> dict[str, Any]:
    stage = next(stage for stage in result["stages"] if is_mixed(stage))
    reason = (
        f"{percent(stage['share'])} of {_subject(result)} is {stage['name']}"
        f" (mean {units.duration(stage['mean_ns'])}), which holds broker, network and the whole"
        " other side; merge with the consumer's run: omrig report P C"
    )
    return _verdict("unknown", stage, stage["share"], (_NO_VERDICT, reason), lines)


def _subject(result: Mapping[str, Any]) -> str:
    subject = f"a {noun(result)}"
    sides: Sequence[str] = result.get("sides") or ()
    if len(set(sides)) != 1 or (subject == "a call" and "producer" in sides):
        return subject
    return f"the {sides[0]}'s part of {subject}"


def _head(
    result: Mapping[str, Any], parts: Sequence[Part], owners: Sequence[str], part: Part
) -> str:
    shares = shares_of(parts)
    subject = _subject(result)
    name = part.stage["name"]
    named = f"{name} ({percent(part.share)})"
    first = owners[0]
    if len(owners) == 1:
        above_all = f", above all {named}" if name != first else ""
        return f"{percent(shares[first])} of {subject} is {_title(parts, first)}{above_all}"
    titles = " and ".join(f"{_title(parts, owner)} ({percent(shares[owner])})" for owner in owners)
    return f"{titles} share {subject}, above all {named}"


def _title(parts: Sequence[Part], owner: str) -> str:
    if owner != "process":
        return {"amqp": "AMQP", "unknown": "an unknown stage"}.get(owner, f"the {owner}")
    sides: dict[str, float] = {}
    for part in parts:
        if part.owner == owner:
            sides[part.side] = sides.get(part.side, 0.0) + part.share
    side = max(sides, key=lambda side: sides[side], default="")
    if sides and sides[side] >= ONE_SIDED * sum(sides.values()):
        return f"the {side}'s own process"
    return "our own processes"
