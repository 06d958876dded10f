"""How every renderer of a history says what changed."""

from omrig.compare.explanation import Explanation, signed
from omrig.compare.resample import Estimate
from omrig.history.events import Change, Event
from omrig.history.reading import History, Series
from omrig.report import comparison_text

SHOWN = ("throughput", "p50", "p99", "cpu")
"""The metrics of the table: a column each."""

_TWICE = 2.0
"""From which a change is told as a factor, and below as a percentage."""


def head(history: History, events: list[Event]) -> str:
    """What a history comes to, in a sentence."""
    versions = len({point.version for series in history.series for point in series.points})
    told = f"{versions} version{'s' if versions > 1 else ''} of {history.package}"
    if versions == 1:
        return f"{told}: one alone has no history"
    if not events:
        return f"nothing changed significantly over {told}"
    first = events[0]
    of = f", {first.series.name}" if first.series.name else ""
    more = len(events) - 1
    rest = f" and {more} more change{'s' if more > 1 else ''}" if more else ""
    return f"{first.version}: {change(first.lead)}{of}{rest}, over {told}"


def line(event: Event) -> str:
    """A change in a line: the version, what changed, the stage that explains it, the load."""
    parts = [change(event.lead)]
    told = stage(event.explanation) if event.lead.metric.family == "headline" else ""
    if told:
        parts.append(told)
    of = f"; {event.series.name}" if event.series.name else ""
    return f"{event.version}: {', '.join(parts)}{of}"


def others(event: Event) -> str:
    """What else changed with that version; empty where nothing did."""
    named = [brief(each) for each in event.changes[1:] if each.metric.family == "headline"]
    stages = [brief(each) for each in event.changes[1:] if each.metric.family != "headline"]
    if stages:
        named.append(f"{len(stages)} figure{'s' if len(stages) > 1 else ''} of stages")
    return ", ".join(named)


def caution(event: Event) -> str:
    """What one should know before one leans on it; empty where there is nothing."""
    if not event.apart:
        return ""
    return (
        f"no run from before {event.version} was made among those after it: what changed on the"
        " machine meanwhile counts, too"
    )


def change(each: Change) -> str:
    """A change with its interval."""
    return f"{brief(each)}{_interval(each.ratio)}"


def brief(each: Change) -> str:
    """A change by how much."""
    name = each.metric.name.removeprefix("stage.")
    name = name if each.metric.stage is None else f"`{name}`"
    if each.ratio is None:
        values = (comparison_text.value(each.metric, value) for value in (each.before, each.after))
        return f"{name} {' to '.join(values)}"
    return f"{name} {times(each.ratio.value)}"


def times(ratio: float) -> str:
    """A ratio as people say it: a factor where it is a large one, else per cent."""
    if ratio >= _TWICE:
        return f"x {_three(ratio)}"
    if ratio <= 1 / _TWICE:
        return f"/ {_three(1 / ratio)}"
    return f"{100 * (ratio - 1):+.1f} %"


def stage(explanation: Explanation | None) -> str:
    """The stage that explains a change, and by how much it did."""
    if explanation is None:
        return ""
    cause = explanation.cause
    told = f"`{cause.stage}` {signed(cause.difference_ns)}"
    shows = explanation.shows_in
    if shows and shows.stage != cause.stage:
        told += f" (shows in `{shows.stage}`: {signed(shows.difference_ns)})"
    return told


def gaps(series: Series) -> list[str]:
    """The versions that were not measured, each with the reason."""
    of = f" ({series.name})" if series.name else ""
    return [f"{gap.version}{of}: {gap.reason}" for gap in series.gaps]


def _interval(ratio: Estimate | None) -> str:
    if ratio is None:
        return ""
    ends = (ratio.low, ratio.high) if ratio.value >= 1 / _TWICE else (ratio.high, ratio.low)
    if ratio.value >= _TWICE:
        return f" ({_three(ends[0])} to {_three(ends[1])})"
    if ratio.value <= 1 / _TWICE:
        return f" ({_three(1 / ends[0])} to {_three(1 / ends[1])})"
    return f" ({100 * (ends[0] - 1):+.1f} to {100 * (ends[1] - 1):+.1f} %)"


def _three(value: float) -> str:
    """Three digits, or as many as it has before the point."""
    if value >= 1e6:
        return "over 1,000,000"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
