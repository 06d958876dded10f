"""What plotly draws of a history: a metric a figure over the versions, and the stages as areas."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from omrig.compare import metrics
from omrig.compare.metrics import Metric
from omrig.history import figures
from omrig.history.events import Event
from omrig.history.reading import History, Series
from omrig.model.columns import Floats
from omrig.model.stages import BY_NAME
from omrig.report import history_text, owners
from omrig.report.html.comparison_charts import Figure

Known = Mapping[str, Sequence[Floats]]
"""The figures of a series: by metric the runs of each point."""

LINES: tuple[dict[str, Any], ...] = (
    {"color": "var(--link)", "width": 2, "dash": "solid", "shape": "hvh"},
    {"color": "var(--process)", "width": 2, "dash": "dash", "shape": "hvh"},
    {"color": "var(--warn)", "width": 2, "dash": "dot", "shape": "hvh"},
    {"color": "var(--soft)", "width": 2, "dash": "longdashdot", "shape": "hvh"},
)
"""The line of each series, one after the other."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up")

_DRAWN = (*history_text.SHOWN, "memory")
"""The metrics that have a figure whether they changed or not."""

_DECADE = 8.0
"""Largest over smallest from which an axis is logarithmic."""

_HEIGHT = 330
_ROW = 15
"""In pixels, also of a line of words."""

_SECONDS, _MIBS, _MS = 1e9, 1 << 20, 1e6
_UNITS = {"rate": (1.0, "msg/s"), "size": (_MIBS, "MiB"), "count": (1.0, "")}

_PATTERNS = ("", "/", ".", "\\", "x", "-")
"""Of the areas of one owner, so that neighbours are told apart."""

_HATCHED: dict[str, Any] = {
    "fillmode": "overlay",
    "fgcolor": "var(--paper)",
    "fgopacity": 0.6,
    "size": 7,
}


def drawn(known: Sequence[Known], events: Sequence[Event]) -> list[Metric]:
    """The metrics that have a figure: the telling ones, and what else changed.

    Of latency two percentiles are enough; the table has the others.
    """
    changed = [
        each.metric.name
        for event in events
        for each in event.changes
        if each.metric.family == "headline" and each.metric.name not in metrics.LATENCIES
    ]
    there = {name for each in known for name in each}
    names = [name for name in dict.fromkeys([*_DRAWN, *changed]) if name in there]
    return [metric for name in names if (metric := metrics.find(name))]


def metric_figure(
    history: History, known: Sequence[Known], metric: Metric, events: Sequence[Event]
) -> Figure:
    """A metric over the versions: the runs as points, their middles as a line, changes marked."""
    everything = [
        float(value) for each in known for runs in each.get(metric.name, ()) for value in runs
    ]
    factor, unit = _unit(metric, max(everything))
    traces: list[dict[str, Any]] = []
    for number, (series, each) in enumerate(zip(history.series, known, strict=True)):
        if metric.name in each:
            traces += _traces(history, series, each[metric.name], number, (factor, unit))
    marked = [event for event in events if any(each.metric == metric for each in event.changes)]
    positive = min(everything) > 0
    is_log = positive and max(everything) / min(everything) > _DECADE
    axis = {**_GRID, "title": {"text": f"{metric.label}, {unit}" if unit else metric.label}}
    axis |= {"type": "log"} if is_log else {"rangemode": "tozero"}
    shapes, notes = _marks(history, _lacking(history, history.series), marked, metric)
    layout = _layout(history, axis, shapes, notes)
    return {"height": _HEIGHT + _ROW * len(marked), "data": traces, "layout": layout}


def _traces(
    history: History,
    series: Series,
    runs: Sequence[Floats],
    number: int,
    scale: tuple[float, str],
) -> list[dict[str, Any]]:
    line, symbol = LINES[number % len(LINES)], _SYMBOLS[number % len(_SYMBOLS)]
    factor, unit = scale
    name = html.escape(series.name or history.package)
    by_version = {point.version: each for point, each in zip(series.points, runs, strict=True)}
    centres = [_middle(by_version.get(version), factor) for version in history.versions]
    points = [
        (version, _short(float(value) / factor))
        for version in history.versions
        for value in by_version.get(version, ())
    ]
    hover = f"%{{x}}: %{{y:,.4~g}} {html.escape(unit)}<extra>{name}</extra>"
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [version for version, _ in points],
            "y": [value for _, value in points],
            "marker": {"color": line["color"], "size": 6, "opacity": 0.55, "symbol": symbol},
            "legendgroup": name,
            "showlegend": False,
            "hovertemplate": hover,
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(history.versions),
            "y": centres,
            # A gap is a gap: nothing is drawn across a version that was not measured.
            "connectgaps": False,
            "line": line,
            "legendgroup": name,
            "showlegend": len(history.series) > 1,
            "hovertemplate": hover,
        },
    ]


def _middle(runs: Floats | None, factor: float) -> float | None:
    middle = None if runs is None else figures.centre(runs)
    return None if middle is None else _short(middle / factor)


def _marks(
    history: History, lacking: Sequence[str], events: Sequence[Event], metric: Metric | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A vertical line and its words where something new begins, and a band for what is lacking."""
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for version in lacking:
        place = history.versions.index(version)
        shapes.append({"type": "rect", "yref": "paper", "y0": 0, "y1": 1, **_band(place)})
        notes.append({"x": place, "y": 0.03, "yref": "paper", "text": "not measured", **_ASIDE})
    for row, event in enumerate(sorted(events, key=lambda each: each.size)):
        at = history.versions.index(event.version) - 0.5
        line = {"color": _colour(history, event), "width": 1.5, "dash": "dot"}
        span = {"yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1}
        shapes.append({"type": "line", **span, "line": line})
        notes.append(_words(history, event, metric, at, row))
    return shapes, notes


def _band(at: float) -> dict[str, Any]:
    """It lies above the areas, as these do not end where nothing was measured."""
    return {"x0": at - 0.5, "x1": at + 0.5, "fillcolor": "var(--panel)", "line": {"width": 0}}


_ASIDE: dict[str, Any] = {
    "textangle": -90,
    "yanchor": "bottom",
    "showarrow": False,
    "font": {"color": "var(--muted)", "size": 11},
}


def _words(
    history: History, event: Event, metric: Metric | None, at: float, row: int
) -> dict[str, Any]:
    change = next((each for each in event.changes if each.metric == metric), event.lead)
    told = history_text.brief(change).replace("`", "")
    if metric:
        told = told.removeprefix(f"{change.metric.name} ")
    # Above the figure, a row each; what begins late would run out of the page to the right.
    return {
        "x": at,
        "y": 1,
        "yref": "paper",
        "yshift": _ROW * row,
        "text": html.escape(f"{event.version}: {told}"),
        "xanchor": "right" if at > len(history.versions) / 2 else "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": _colour(history, event)},
    }


def _colour(history: History, event: Event) -> str:
    number = next(n for n, series in enumerate(history.series) if series is event.series)
    return str(LINES[number % len(LINES)]["color"])


def _lacking(history: History, series: Sequence[Series]) -> list[str]:
    """The versions that none of those loads was measured with."""
    there = {point.version for each in series for point in each.points}
    return [version for version in history.versions if version not in there]


def stages_figure(
    history: History, series: Series, known: Known, events: Sequence[Event]
) -> Figure | None:
    """The stages of a mean message stacked over the versions; None where none were recorded."""
    names = [name for name in BY_NAME if f"stage.{name}" in known]
    if not names:
        return None
    traces: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for name in names:
        owner = owners.owner_of(owners.bucket_of(name, BY_NAME[name].bucket))
        runs = known[f"stage.{name}"]
        values = [_middle(each, _MS) for each in runs]
        pattern = _PATTERNS[seen.get(owner, 0) % len(_PATTERNS)]
        seen[owner] = seen.get(owner, 0) + 1
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name} ({owners.title(owner)})",
                "stackgroup": "stages",
                "stackgaps": "interpolate",
                "x": [point.version for point in series.points],
                "y": values,
                "line": {"width": 0.5, "color": f"var(--{owner})", "shape": "hvh"},
                "fillcolor": f"var(--{owner})",
                "fillpattern": {**_HATCHED, "shape": pattern},
                "hovertemplate": "%{y:,.4~g} ms",
            }
        )
    of_it = [event for event in events if event.series is series]
    shapes, notes = _marks(history, _lacking(history, [series]), of_it, None)
    axis = {**_GRID, "title": {"text": "mean message, ms"}, "rangemode": "tozero"}
    layout = _layout(history, axis, shapes, notes)
    layout |= {"hovermode": "x unified", "legend": {"traceorder": "reversed", "font": {"size": 11}}}
    return {"height": 440 + _ROW * len(of_it), "data": traces, "layout": layout}


def _unit(metric: Metric, largest: float) -> tuple[float, str]:
    if metric.unit != "duration":
        return _UNITS[metric.unit]
    for factor, unit in ((_SECONDS, "s"), (_MS, "ms"), (1e3, "µs")):
        if largest >= factor:
            return factor, unit
    return 1.0, "ns"


_GRID: dict[str, Any] = {
    "gridcolor": "var(--rule)",
    "zerolinecolor": "var(--rule)",
    "automargin": True,
}


def _layout(
    history: History,
    yaxis: dict[str, Any],
    shapes: list[dict[str, Any]],
    notes: list[dict[str, Any]],
) -> dict[str, Any]:
    marked = sum(shape["type"] == "line" for shape in shapes)
    xaxis = {
        **_GRID,
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(history.versions),
        "range": [-0.6, len(history.versions) - 0.4],
    }
    return {
        "margin": {"l": 64, "r": 16, "t": 16 + _ROW * marked, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--muted)", "size": 12},
        "hoverlabel": {"bgcolor": "var(--paper)", "font": {"color": "var(--ink)"}},
        "legend": {"orientation": "h", "x": 0, "y": -0.12, "yanchor": "top"},
        "xaxis": xaxis,
        "yaxis": yaxis,
        "shapes": shapes,
        "annotations": notes,
    }


def _short(value: float) -> float:
    """Six digits are more than a screen shows."""
    return float(f"{value:.6g}")
