"""What plotly draws of a comparison: both sides over each other, as plain values.

A colour ``var(--ink)`` is looked up by the page's script when it draws, so that the same figure
serves light, dark and paper.
"""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from omrig.compare.comparison import Comparison
from omrig.compare.conclusion import worse
from omrig.compare.runs import Messages
from omrig.compare.table import Row, by_name

Figure = dict[str, Any]
"""``data`` and ``layout`` as plotly takes them, and ``height`` in pixels."""

Side = Sequence[Messages | None]
"""The messages of a side's runs, in their order; None where they are gone."""

_NAMES = ("BASE", "NEW")
_LINES: tuple[dict[str, Any], ...] = (
    {"color": "var(--soft)", "width": 2.5, "dash": "dash"},
    {"color": "var(--link)", "width": 2.5},
)
_POINTS = 240
"""Of a latency curve."""

_TIME_BINS = 50
"""Of throughput over time, at most."""

_BIN_MESSAGES = 25
"""Fewer messages a bin draw their own noise."""

_MS = 1e6
_NINES = (1, 2, 10, 100, 1_000, 10_000, 100_000)
_ROW_HEIGHT = 26
_NEAR_ONE = 2.0
_MOST_TICKS = 7


def draw(comparison: Comparison, messages: tuple[Side, Side]) -> dict[str, Figure]:
    """Every figure that the recordings suffice for, by name."""
    headline = [
        row
        for row in comparison.rows
        if row.metric.family == "headline" and row.ratio and row.ratio.low > 0
    ]
    stages = [row for row in comparison.rows if row.metric.statistic == "mean" and row.difference]
    figures = {
        "ratios": _ratios(headline) if headline else None,
        "stages": _stages(stages, by_name(comparison.rows)) if stages else None,
        "latency": _latency(messages),
        "time": _over_time(messages),
        "runs": _runs(comparison) if len(comparison.base.runs + comparison.new.runs) > 2 else None,
    }
    return {name: figure for name, figure in figures.items() if figure}


def _ratios(rows: Sequence[Row]) -> Figure:
    """A ratio and its interval a row, 1 being no change."""
    spans = [(row, row.ratio) for row in rows if row.ratio]
    ticks = _ratio_ticks(
        min(estimate.low for _, estimate in spans), max(estimate.high for _, estimate in spans)
    )
    axis = {
        "type": "log",
        "title": {"text": "ratio of NEW to BASE"},
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
    trace = {
        **_intervals([(estimate.value, estimate.low, estimate.high) for _, estimate in spans]),
        "y": [html.escape(row.metric.label) for row in rows],
        "marker": {"color": [_colour(row) for row in rows], "size": 9},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    return _rowed([trace], axis, len(rows), 1)


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Round numbers, 1 among them, few enough for a narrow screen."""
    low, high = min(low, 1.0), max(high, 1.0)
    if high / low < _NEAR_ONE:
        steps = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
        step = next((step for step in steps if (high - low) / step <= _MOST_TICKS), 0.5)
        first = math.ceil((low - 1) / step)
        last = math.floor((high - 1) / step)
        return [round(1 + number * step, 3) for number in range(first, last + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= _MOST_TICKS:
            break
    return inside


def _stages(rows: Sequence[Row], named: Mapping[str, Row]) -> Figure:
    """How much longer each stage takes, with its interval."""
    axis = {"title": {"text": "change of the mean, ms a message"}}
    spans = [row.difference for row in rows if row.difference]
    trace = {
        **_intervals([(each.value / _MS, each.low / _MS, each.high / _MS) for each in spans]),
        "y": [html.escape(str(row.metric.stage)) for row in rows],
        "marker": {
            "color": [_colour(row, named[f"{row.metric.name}.p50"]) for row in rows],
            "size": 9,
        },
        "hovertemplate": "%{y}: %{x:+.4~f} ms<extra></extra>",
    }
    return _rowed([trace], axis, len(rows), 0)


def _intervals(spans: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    error = {
        "type": "data",
        "symmetric": False,
        "array": [_short(high - value) for value, _, high in spans],
        "arrayminus": [_short(value - low) for value, low, _ in spans],
        "color": "var(--soft)",
        "thickness": 2,
        "width": 5,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [_short(value) for value, _, _ in spans],
        "error_x": error,
        "showlegend": False,
    }


def _colour(*rows: Row) -> str:
    changed = next((row for row in rows if row.significant), None)
    if changed is None:
        return "var(--ink)"
    return "var(--bad)" if worse(changed) else "var(--endpoint)"


def _rowed(traces: list[dict[str, Any]], xaxis: dict[str, Any], count: int, none: float) -> Figure:
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": none, "x1": none}
    shape = {**line, "line": {"color": "var(--muted)", "width": 1, "dash": "dot"}}
    yaxis = {"autorange": "reversed", "automargin": True, "gridcolor": "var(--rule)"}
    layout = _layout(xaxis={**_GRID, **xaxis}, yaxis=yaxis, shapes=[shape])
    return {"height": 90 + _ROW_HEIGHT * count, "data": traces, "layout": layout}


def _latency(messages: tuple[Side, Side]) -> Figure | None:
    """Latency by percentile, each step to the right another nine; all runs of a side as one."""
    traces, most = [], 0
    for name, line, side in zip(_NAMES, _LINES, messages, strict=True):
        recorded = [each.latency_ns for each in side if each and each.latency_ns is not None]
        if not recorded:
            return None
        values = numpy.sort(numpy.concatenate(recorded))
        most = max(most, len(values))
        inverse = numpy.geomspace(1, len(values), _POINTS)
        ranks = numpy.minimum(len(values) - 1, (len(values) * (1 - 1 / inverse)).astype(int))
        traces.append(
            {
                **_curve(name, line),
                "x": [_short(x) for x in inverse],
                "y": [_short(value / _MS) for value in values[ranks]],
                "customdata": [_short(100 * (1 - 1 / x)) for x in inverse],
                "hovertemplate": "%{customdata:.4~f} %: %{y:,.4~g} ms",
            }
        )
    ticks = [x for x in _NINES if x <= most]
    axis = {
        **_GRID,
        "type": "log",
        "tickvals": ticks,
        "ticktext": [f"{100 * (1 - 1 / x):.10g} %" for x in ticks],
        "title": {"text": "percentile"},
    }
    yaxis = {**_GRID, "title": {"text": "latency, ms"}, "type": "log"}
    return {"height": 380, "data": traces, "layout": _layout(xaxis=axis, yaxis=yaxis)}


def _over_time(messages: tuple[Side, Side]) -> Figure | None:
    """Throughput since each run's begin; a line a run."""
    traces = []
    for name, line, side in zip(_NAMES, _LINES, messages, strict=True):
        recorded = [each for each in side if each and len(each.ended_ns) > 1]
        if not recorded:
            return None
        for number, each in enumerate(recorded):
            since = (each.ended_ns - each.began_ns) / 1e9
            bins = max(2, min(_TIME_BINS, len(since) // _BIN_MESSAGES))
            counts, edges = numpy.histogram(since, bins, (0.0, float(since[-1])))
            width = float(edges[1] - edges[0])
            traces.append(
                {
                    **_curve(name, {**line, "width": 2 if len(recorded) == 1 else 1}),
                    "x": [_short(x) for x in (edges[:-1] + edges[1:]) / 2],
                    "y": [_short(count / width) for count in counts],
                    "legendgroup": name,
                    "showlegend": number == 0,
                    "hovertemplate": "%{y:,.0f} msg/s at %{x:.3~f} s",
                }
            )
    xaxis = {**_GRID, "title": {"text": "seconds since the load began"}, "zeroline": False}
    yaxis = {**_GRID, "title": {"text": "msg/s"}, "rangemode": "tozero"}
    return {"height": 340, "data": traces, "layout": _layout(xaxis=xaxis, yaxis=yaxis)}


def _runs(comparison: Comparison) -> Figure:
    """The throughput of each run when it was made: whether they came in turn, and what drifted."""
    traces = []
    sides = (comparison.base.runs, comparison.new.runs)
    first = min(stored.started_s for side in sides for stored in side)
    for name, line, side in zip(_NAMES, _LINES, sides, strict=True):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [_short(stored.started_s - first) for stored in side],
                "y": [stored.messages_per_second for stored in side],
                "text": [html.escape(stored.folder.name) for stored in side],
                "marker": {
                    "color": line["color"],
                    "size": 11,
                    "symbol": "circle-open" if name == "BASE" else "diamond",
                },
                "hovertemplate": "%{text}: %{y:,.1f} msg/s",
            }
        )
    xaxis = {**_GRID, "title": {"text": "seconds since the first run began"}, "zeroline": False}
    yaxis = {**_GRID, "title": {"text": "msg/s"}, "rangemode": "tozero"}
    return {"height": 320, "data": traces, "layout": _layout(xaxis=xaxis, yaxis=yaxis)}


def _curve(name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "line": line}


_GRID: dict[str, Any] = {
    "gridcolor": "var(--rule)",
    "zerolinecolor": "var(--rule)",
    "automargin": True,
}


def _layout(**changes: Any) -> dict[str, Any]:
    return {
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--muted)", "size": 12},
        "hoverlabel": {"bgcolor": "var(--paper)", "font": {"color": "var(--ink)"}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        **changes,
    }


def _short(value: float) -> float:
    """Six digits are more than a screen shows."""
    return float(f"{value:.6g}")
