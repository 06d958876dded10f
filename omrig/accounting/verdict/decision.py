"""The verdict: whose the time of a message is, in which stage it goes, why, and on what evidence.

First comes what forbids a verdict, then the owner by share of time, then the owner's largest stage,
then the reason that this stage, the executor and the :class:`Facts` suggest.
"""

import dataclasses
from collections.abc import Sequence

from omrig.accounting.verdict import evidence, incidents, objections
from omrig.accounting.verdict.case import Case
from omrig.accounting.verdict.objections import Objection
from omrig.accounting.verdict.owners import Part, named_alone, parts_of, shares_of
from omrig.accounting.verdict.phrases import percent, subject, under
from omrig.accounting.verdict.reasons import reason_of
from omrig.accounting.verdict.thresholds import DOMINANT, ONE_SIDED
from omrig.model.facts import Facts
from omrig.model.result import Result
from omrig.model.verdict import Verdict

_NO_VERDICT = "no verdict"


def decide(result: Result, facts: Facts, rest: Result | None = None) -> Verdict:
    """The verdict on ``result``, which has none yet.

    ``rest`` is the result without the messages of ``result.stalls``, where the verdict is to be on
    the others; ``facts`` are then of these, too.
    """
    verdict = _decided(rest or result, facts)
    told = incidents.Told(result, rest is not None, facts.blocked)
    sentence = f"{verdict.head}: {verdict.why}"
    return dataclasses.replace(
        verdict,
        text=told.around(sentence),
        without=told.without(),
        besides=tuple(told.besides(sentence)),
        evidence=(*told.evidence(), *verdict.evidence),
    )


def _decided(result: Result, facts: Facts) -> Verdict:
    objection = objections.before(result, facts)
    if objection:
        return _refused(result, facts, objection)
    parts = parts_of(result.stages or (), facts)
    shares = shares_of(parts)
    owners = named_alone(shares, DOMINANT)
    part = max((part for part in parts if part.owner in owners), key=lambda part: part.share)
    objection = objections.of_mixed(result, facts, owners) or objections.of_prefetch(
        result, facts, owners, part
    )
    if objection:
        return _refused(result, facts, objection)
    return Verdict(
        owner=owners[0] if len(owners) == 1 else "mixed",
        bucket=part.stage.bucket,
        stage=part.stage.name,
        share=_rounded(sum(shares[owner] for owner in owners)),
        head=_head(result, facts, parts, owners, part),
        why=reason_of(Case(result, facts, part)),
        evidence=tuple(evidence.lines(result, facts)),
        text="",
    )


def _refused(result: Result, facts: Facts, objection: Objection) -> Verdict:
    stage = objection.stage
    return Verdict(
        owner="unknown",
        bucket=stage.bucket if stage else None,
        stage=stage.name if stage else None,
        share=_rounded(objection.share),
        head=_NO_VERDICT,
        why=objection.text,
        evidence=tuple(evidence.lines(result, facts)),
        text="",
        objection=objection.kind,
    )


def _rounded(share: float) -> float:
    return round(float(share), 4)


def _head(
    result: Result, facts: Facts, parts: Sequence[Part], owners: Sequence[str], part: Part
) -> str:
    shares = shares_of(parts)
    name = part.stage.name
    named = f"{name} ({percent(part.share)})"
    first = owners[0]
    if len(owners) == 1:
        above_all = f", above all {named}" if name != first else ""
        share = f"{percent(shares[first])} of {subject(result)}"
        return f"{under(result)}{share} is {_title(parts, first, facts)}{above_all}"
    titles = " and ".join(
        f"{_title(parts, owner, facts)} ({percent(shares[owner])})" for owner in owners
    )
    return f"{under(result)}{titles} share {subject(result)}, above all {named}"


def _title(parts: Sequence[Part], owner: str, facts: Facts) -> str:
    if owner != "process":
        return {"amqp": "AMQP", "unknown": "an unknown stage"}.get(owner, f"the {owner}")
    sides: dict[str, float] = {}
    for part in parts:
        if part.owner == owner:
            sides[part.side] = sides.get(part.side, 0.0) + part.share
    side = max(sides, key=lambda side: sides[side], default="")
    if sides and sides[side] >= ONE_SIDED * sum(sides.values()):
        several = facts.of_services and facts.processes.get(side, 1) > 1
        return f"{facts.whose(side)} own {'processes' if several else 'process'}"
    return "the services' own processes" if facts.of_services else "our own processes"
