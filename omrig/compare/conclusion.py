"""What is said of a comparison: one word for programs, one sentence for people."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from omrig.compare.explanation import Explanation
from omrig.compare.resample import Estimate
from omrig.compare.table import Design, Row, by_name, excludes_no_change
from omrig.model.counts import SIDES

Word = Literal["slower", "faster", "mixed", "resources", "stages", "none", "unknown"]
"""``mixed``: some of throughput and latency better, some worse. ``resources``: only CPU or memory
changed, ``stages``: only stages. ``none``: nothing significant. ``unknown``: nothing was tested."""

_SPEED = ("throughput", "p50", "p99", "mean", "p90", "p999", "max")
"""In the order in which a change is worth telling."""

_FAMILY = "throughput, latency, CPU or memory"


@dataclasses.dataclass(frozen=True)
class Call:
    """The outcome of a comparison.

    ``significant`` is whether anything is called at all. ``head`` says what changed, ``text`` what
    explains it as well.
    """

    word: Word
    significant: bool
    head: str
    text: str


def worse(row: Row) -> bool:
    """Whether the change of a row is one that nobody wants."""
    return (row.change < 0) if row.metric.higher_is_better else (row.change > 0)


def sign_of(rows: Sequence[Row]) -> int:
    """Whether messages take longer (1), less (-1) or nobody knows (0)."""
    return {"slower": 1, "faster": -1}.get(_word(rows), 0)


def decide(
    rows: Sequence[Row], design: Design, explanation: Explanation | None, mover: str = ""
) -> Call:
    """The call on rows whose significance is known; ``mover`` names the functions, if any do."""
    counts = counted(rows)
    rows = [row for row in rows if row.metric.family != "counts"]
    word = _word(rows)
    head = f"{_finding(rows, word)}, {design.text}"
    but = "but " if word == "stages" else ""
    text = f"{head}; {but}{explanation.text}" if explanation else head
    if mover:
        text = f"{text}; {mover}"
    text = f"{text}; {counts}" if counts else text
    return Call(word, word not in ("none", "unknown"), head, text)


_COUNTS_TOLD = 3


def counted(rows: Sequence[Row]) -> str:
    """Which exact counts a message differ, in words; empty where none does."""
    differ = [row for row in rows if row.exact and row.significant]
    wholes = [row for row in differ if row.metric.name.rpartition(".")[2] not in SIDES] or differ
    if not wholes:
        return ""
    told = [f"{row.metric.label} {row.change:+,.6g}" for row in wholes[:_COUNTS_TOLD]]
    more = f" and {len(wholes) - _COUNTS_TOLD} more" if len(wholes) > _COUNTS_TOLD else ""
    return f"counts a message differ: {', '.join(told)}{more}"


def _word(rows: Sequence[Row]) -> Word:
    called = [row for row in rows if row.significant]
    speed = [worse(row) for row in called if row.metric.name in _SPEED]
    if speed:
        return "slower" if all(speed) else "mixed" if any(speed) else "faster"
    if any(row.metric.family == "headline" for row in called):
        return "resources"
    if called:
        return "stages"
    return "unknown" if all(row.significant is None for row in rows) else "none"


def _finding(rows: Sequence[Row], word: Word) -> str:
    named = by_name(rows)
    called = [row for row in rows if row.significant and row.metric.family == "headline"]
    called.sort(key=lambda row: _SPEED.index(row.metric.name) if row.metric.name in _SPEED else 99)
    if word == "mixed":
        better = next(row for row in called if not worse(row))
        bad = next(row for row in called if worse(row))
        return f"{_told(bad)}, but {_brief(better)}"
    if called:
        cpu = named.get("cpu")
        more = f" and {_brief(cpu)}" if cpu and cpu.significant and called[0] is not cpu else ""
        return f"{_told(called[0])}{more}"
    lead = named.get("throughput")
    known = f": {_brief(lead)} ({_interval(lead.ratio)})" if lead and lead.ratio else ""
    if word == "unknown":
        return f"too little is known to call any change{_values(lead)}"
    nothing = f"no significant change of {_FAMILY}" if word == "stages" else "no significant change"
    if lead and excludes_no_change(lead):
        tested = sum(row.significant is not None for row in rows)
        nothing = f"{nothing} for one of {tested} figures"
    return f"{nothing}{known}"


def _told(row: Row) -> str:
    """A significant row in words, with its interval."""
    if row.ratio is None:
        return f"NEW has another {row.metric.label}"
    ratio = row.ratio.value
    if ratio >= _TIMES:
        how = "fast" if row.metric.name == "throughput" else "high"
        what = "NEW" if row.metric.name == "throughput" else f"{row.metric.label} of NEW"
        return f"{what} is {ratio:,.3g} times as {how} ({_span(row.ratio)})"
    if row.metric.name == "throughput":
        how = "slower" if row.ratio.value < 1 else "faster"
        return f"NEW is {percent(row.ratio.value)} {how} ({_span(row.ratio)})"
    how = "higher" if row.ratio.value > 1 else "lower"
    return f"{row.metric.label} of NEW is {percent(row.ratio.value)} {how} ({_span(row.ratio)})"


def _brief(row: Row) -> str:
    return (
        f"{row.metric.label} {signed_percent(row.ratio.value)}" if row.ratio else row.metric.label
    )


def _values(row: Row | None) -> str:
    return f": {row.metric.label} {signed_percent(row.new / row.base)}" if row else ""


def _interval(ratio: Estimate | None) -> str:
    if ratio is None:
        return ""
    return f"95 % interval {signed_percent(ratio.low)} to {signed_percent(ratio.high)}"


def _span(ratio: Estimate) -> str:
    """The interval of a ratio that excludes 1, without signs."""
    near, far = sorted((ratio.low, ratio.high), key=lambda end: abs(end - 1))
    return f"95 % interval {percent(near).removesuffix(' %')} to {percent(far)}"


def percent(ratio: float) -> str:
    """By how much a ratio differs from 1, without its sign."""
    return signed_percent(ratio)[1:]


def signed_percent(ratio: float) -> str:
    """By how much a ratio differs from 1."""
    change = 100 * (ratio - 1)
    if change >= _ENDLESS:
        return f"+over {_ENDLESS:,} %"
    return f"{change:+,.1f} %"


_TIMES = 10.0
"""From this ratio on it is told as one: 4,565 % more is nothing that anybody can imagine."""

_ENDLESS = 100_000
"""Per cent from which the number itself says nothing: an interval without an end."""
