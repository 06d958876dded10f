"""The page's view of a recording of services, computed once and shown by the templates."""

import dataclasses
import datetime
from typing import Any

from omrig.model.result import StageRow
from omrig.model.service import Method, Request, ServiceResult
from omrig.model.stages import BY_NAME
from omrig.report import owners
from omrig.report.html import bars
from omrig.report.html.bars import Message
from omrig.report.html.services import curve
from omrig.report.layout import TITLES
from omrig.report.services import names, words

_SECTIONS = {
    "methods": "Methods",
    "each": "Method by method",
    "unanswered": "Not answered well",
    "use": "Threads and connections in use",
    "requests": "Requests",
    "processes": "Processes",
    "trust": "How far to trust this",
}

_OWNERS = ("amqp", "driver", "process", "endpoint", "remote")

_UNSEEN = 0.0005
"""A stage below this share is shown as 0.0 %, and need not be looked at."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A row of a stage table."""

    row: StageRow
    owner: str
    bucket: str
    percentage: float
    what: str
    named: bool
    unseen: bool


@dataclasses.dataclass(frozen=True)
class Shown:
    """A method with all that the page says of it; ``number`` is its place."""

    number: int
    method: Method
    count: int
    latency: dict[str, str]
    ends: str
    matters: bool
    parts: list[tuple[str, float]]
    evidence: list[str]
    said: str
    facts: list[tuple[str, str]]
    messages: list[tuple[str, str, Message]]
    stages: list[Stage]
    curve: curve.Curve | None


@dataclasses.dataclass(frozen=True)
class Branch:
    """A message of a request: how deep it is nested, and where it lies in percent of the whole."""

    label: str
    depth: int
    begin_ns: int
    total_ns: int
    self_ns: int
    left: float
    width: float


def page(result: ServiceResult) -> dict[str, Any]:
    """Everything that the templates show."""
    methods = [_shown(number, each) for number, each in enumerate(result.methods, 1)]
    requests = result.requests
    content: dict[str, Any] = {
        "result": result,
        **_headline(result),
        "began": _began(result),
        "matched": words.matched(result.closure),
        "closes": words.closes(result.closure),
        "caveats": words.warnings(result),
        "others": words.verdicts(result)[1:],
        "methods": methods,
        "owners": _seen_owners(result),
        "unanswered": words.unanswered(result.methods),
        "pools": words.pools(result.processes),
        "requests": words.requests(result) if requests.count else "",
        "tree": _tree(requests.typical) if requests.typical else [],
        "slowest": [(each, words.made_of(each)) for each in requests.slowest],
        "processes": [(each, words.took_to_turn_on(each)) for each in result.processes],
        "hosts": len({each.host for each in result.processes}) > 1,
        "arrivals": words.arrivals(result.processes),
        "trust": words.trust(result),
        "sampled": result.sample > 1,
        "share": words.share,
    }
    return {**content, "sections": _sections(content)}


def _sections(content: dict[str, Any]) -> dict[str, str]:
    has = {
        "each": content["methods"],
        "unanswered": content["unanswered"],
        "use": content["pools"],
        "requests": content["requests"],
        "processes": content["processes"],
    }
    return {name: title for name, title in _SECTIONS.items() if has.get(name, True)}


def _headline(result: ServiceResult) -> dict[str, str]:
    """The verdict on the method with most time, and its reason; else how much was recorded."""
    first = result.methods[0] if result.methods else None
    if first is None:
        return {"head": "No message was recorded", "why": ""}
    name = first.name.method or first.name.label
    share = f"{first.name.label} has {100 * first.share:.1f} % of the time of all messages"
    if first.verdict is None:
        return {"head": f"{name}: {words.no_verdict(first)}", "why": share}
    why = "; ".join(part for part in (share, first.verdict.why, *first.verdict.besides) if part)
    return {"head": f"{name}: {first.verdict.head or first.verdict.text}", "why": why}


def _began(result: ServiceResult) -> str:
    if not result.started_at:
        return ""
    return datetime.datetime.fromisoformat(result.started_at).strftime("%d %B %Y, %H:%M UTC")


def _seen_owners(result: ServiceResult) -> list[str]:
    """Whose time has a column: what is remote only where something is."""
    return [
        owner
        for owner in _OWNERS
        if owner != "remote" or any(each.owners.get(owner) for each in result.methods)
    ]


def _shown(number: int, method: Method) -> Shown:
    count = method.latency.count if method.latency else 0
    verdict = method.verdict
    return Shown(
        number=number,
        method=method,
        count=words.count(method),
        latency={
            name: words.latency(method, name)
            for name in ("mean", "p50", "p90", "p99", "p999", "max")
        },
        ends=names.ends(method),
        matters=method.share >= words.WORTH_A_VERDICT,
        parts=[(owner, 100 * method.owners.get(owner, 0.0)) for owner in _OWNERS],
        evidence=[each.text for each in verdict.evidence if each.kind != "closure"]
        if verdict
        else [],
        said=verdict.text if verdict else words.no_verdict(method),
        facts=words.facts(method),
        messages=_messages(method),
        stages=_stages(method),
        curve=curve.draw(words.percentiles(method), count),
    )


def _messages(method: Method) -> list[tuple[str, str, Message]]:
    """A mean and a p99 message: its kind, what it is called, and its bars."""
    if not method.waterfall:
        return []
    found = method.waterfall
    drawn = bars.draw([found.message(name) for name in TITLES], words.pattern(method))
    return [
        (kind, f"{title[:1].upper()}{title[1:]}", message)
        for (kind, title), message in zip(TITLES.items(), drawn, strict=True)
    ]


def _stages(method: Method) -> list[Stage]:
    rows = method.stages or ()
    named = method.verdict.stage if method.verdict else None
    percentages = owners.percentages([row.share for row in rows])
    return [
        Stage(
            row=row,
            owner=owners.owner_of(bucket := owners.bucket_of(row.name, row.bucket)),
            bucket=bucket,
            percentage=percentage,
            what=BY_NAME[row.name].what if row.name in BY_NAME else "",
            named=row.name == named,
            unseen=abs(row.share) < _UNSEEN,
        )
        for row, percentage in zip(rows, percentages, strict=True)
    ]


def _tree(request: Request) -> list[Branch]:
    found = list(words.tree(request))
    ends = [each.node.begin_ns + each.node.total_ns for each in found]
    whole = max([request.duration_ns, *ends, 1])
    return [
        Branch(
            label=words.called(each.node),
            depth=len(each.above),
            begin_ns=each.node.begin_ns,
            total_ns=each.node.total_ns,
            self_ns=each.node.self_ns,
            left=round(100 * each.node.begin_ns / whole, 3),
            width=round(100 * each.node.total_ns / whole, 3),
        )
        for each in found
    ]
