"""Two recordings of services beside each other: method by method what changed, how sure that is."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from omrig.compare import gates, table
from omrig.compare.conclusion import signed_percent
from omrig.compare.conditions import Difference, Instability
from omrig.compare.gates import Gate, Ruling
from omrig.compare.resample import CONFIDENCE, RESAMPLES
from omrig.compare.services import conditions, methods
from omrig.compare.services.methods import Compared, Messages
from omrig.compare.table import Row
from omrig.model import units
from omrig.model.errors import UsageError
from omrig.model.service import Method, MethodName, ServiceResult
from omrig.model.values import Json

SCHEMA = 1

_TOLD = 3
"""So many changed methods are told in the sentence, and stages of each."""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A recording: its ``folder``, its result, and the messages of its methods.

    ``unread`` is why their rows could not be read; empty where they were.
    """

    folder: Path
    result: ServiceResult
    messages: Mapping[MethodName, Messages]
    unread: str = ""


@dataclasses.dataclass(frozen=True)
class MethodGate:
    """A limit for a figure of the method that ``method`` names; ``text`` as it was given."""

    text: str
    method: str
    gate: Gate


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All that is known of two recordings beside each other."""

    base: Recorded
    new: Recorded
    methods: tuple[Compared, ...]
    only_base: tuple[Method, ...]
    only_new: tuple[Method, ...]
    differences: tuple[Difference, ...]
    instabilities: tuple[Instability, ...]
    rulings: tuple[Ruling, ...]
    text: str

    @property
    def failed(self) -> list[Ruling]:
        """The gates that were not met."""
        return [ruling for ruling in self.rulings if ruling.outcome == "failed"]


def compare(base: Recorded, new: Recorded, wanted: Sequence[MethodGate] = ()) -> Comparison:
    """Compare ``new`` with ``base``, and hold it to the gates ``wanted``.

    Raises ``UsageError`` where a gate names no method of both, or cannot be answered.
    """
    ours = {each.name: each for each in base.result.methods}
    theirs = {each.name: each for each in new.result.methods}
    shared = sorted(
        ours.keys() & theirs.keys(),
        key=lambda name: (-max(ours[name].share, theirs[name].share), name.label),
    )
    pairs = [(ours[name], theirs[name]) for name in shared]
    found = methods.compare(pairs, base.messages, new.messages)
    return Comparison(
        base=base,
        new=new,
        methods=tuple(found),
        only_base=tuple(each for each in base.result.methods if each.name not in theirs),
        only_new=tuple(each for each in new.result.methods if each.name not in ours),
        differences=tuple(conditions.differences(base.result, new.result)),
        instabilities=tuple(conditions.instabilities(base.result, new.result)),
        rulings=tuple(_rule(each, found) for each in wanted),
        text=_text(found),
    )


def parse_gate(text: str) -> MethodGate:
    """The gate that ``METHOD:METRIC<=LIMIT`` asks for.

    Raises ``UsageError`` when it asks for none.
    """
    method, colon, rest = text.rpartition(":")
    if not colon or not method.strip():
        raise UsageError(
            f"--gate: {text!r} names no method; of recordings write METHOD:METRIC<=LIMIT, for"
            " example 'build_instances:p99<=+5%'"
        )
    return MethodGate(text, method.strip(), gates.parse(rest))


def _rule(wanted: MethodGate, found: Sequence[Compared]) -> Ruling:
    named = [each for each in found if each.name.is_called(wanted.method)]
    if len(named) != 1:
        known = ", ".join(each.name.label for each in found) or "none"
        what = "no method of both recordings is" if not named else "several methods are"
        raise UsageError(
            f"--gate: {wanted.text!r}: {what} called {wanted.method!r}; there are: {known}"
        )
    (method,) = named
    errors = method.new.timed_out + sum(method.new.raised.values())
    row = method.row(wanted.gate.metric)
    if row is not None and row.tested is None and (row.base or row.new):
        raise UsageError(
            f"--gate: {wanted.text!r}: nothing is known of chance in {method.name.label}:"
            f" {method.untested}"
        )
    ruling = gates.rule(wanted.gate, method.rows, errors)
    return dataclasses.replace(ruling, gate=dataclasses.replace(ruling.gate, text=wanted.text))


def _text(found: Sequence[Compared]) -> str:
    """What changed, in a sentence or two."""
    tested = [each for each in found if not each.untested]
    changed = [each for each in tested if each.changed]
    if not found:
        return "The recordings have no method in common: nothing can be compared."
    if not tested:
        return f"Nothing was tested: of {_count(found)} none has enough messages in both."
    left = len(found) - len(tested)
    rest = f"; {left} more could not be tested" if left else ""
    if not changed:
        inside = [
            f"{each.name.label}: {', '.join(_stage(row) for row in each.changed_stages[:_TOLD])}"
            for each in tested
            if each.changed_stages
        ]
        but = f", but of stages: {'; '.join(inside[:_TOLD])}" if inside else ""
        latency = " of latency" if inside else ""
        return f"No significant change{latency}, {_count(tested)} tested{rest}{but}."
    told = "; ".join(_told(each) for each in changed[:_TOLD])
    more = f"; and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
    return (
        f"{len(changed)} of {_count(tested)} that were tested changed{rest}: {told}{more}. One"
        " recording each: another pair may differ as much as parts of these do, or more."
    )


def _count(found: Sequence[Compared]) -> str:
    return "1 method" if len(found) == 1 else f"{len(found)} methods"


def _told(each: Compared) -> str:
    row = each.changed[0]
    how = signed_percent(row.ratio.value) if row.ratio else "changed"
    span = ""
    if row.ratio:
        low, high = signed_percent(row.ratio.low), signed_percent(row.ratio.high)
        span = f" (95 % interval {low} to {high})"
    text = f"{each.name.label}: {row.metric.label} {how}{span}"
    stages = [_stage(stage) for stage in each.changed_stages[:_TOLD]]
    return f"{text}, above all {', '.join(stages)}" if stages else text


def _stage(row: Row) -> str:
    sign = "+" if row.change > 0 else "-"
    return f"{row.metric.stage} {sign}{units.duration(abs(row.change))}"


def as_json(comparison: Comparison) -> dict[str, Json]:
    """The comparison for a JSON file; durations in ns, ratios of NEW to BASE."""
    return {
        "schema": SCHEMA,
        "kind": "services",
        "text": comparison.text,
        "stable": not comparison.instabilities,
        "method": {
            "design": methods.DESIGN.kind,
            "confidence": CONFIDENCE,
            "family_level": table.FAMILY_LEVEL,
            "resamples": RESAMPLES,
        },
        "base": str(comparison.base.folder),
        "new": str(comparison.new.folder),
        "methods": [_as_json(each) for each in comparison.methods],
        "only_base": [each.name.label for each in comparison.only_base],
        "only_new": [each.name.label for each in comparison.only_new],
        "differences": [dataclasses.asdict(each) for each in comparison.differences],
        "instabilities": [dataclasses.asdict(each) for each in comparison.instabilities],
        "gates": [gates.as_json(each) for each in comparison.rulings],
    }


def _as_json(each: Compared) -> dict[str, Json]:
    return {
        "label": each.name.label,
        "name": each.name.to_json(),
        "untested": each.untested,
        "messages": {"base": count_of(each.base), "new": count_of(each.new)},
        "rows": [table.as_json(row) for row in each.rows],
    }


def count_of(method: Method) -> int:
    """How many messages of a method were recorded, by those who sent or, without them, served."""
    return method.sent or method.served
