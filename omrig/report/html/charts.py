"""The figures that plotly draws, as plain values; colours are names of the page's own.

A colour ``var(--ink)`` is looked up by the page's script when it draws, so that the same figure
serves light, dark and paper.
"""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

from omrig.model.latency import Latency
from omrig.model.members import side_of
from omrig.report.html.events import Event
from omrig.report.html.messages import Series
from omrig.report.html.usage import MACHINE, Usage

Figure = dict[str, Any]
"""``data`` and ``layout`` as plotly takes them, and ``height`` in pixels."""

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_MARKED = {"p50": 2.0, "p90": 10.0, "p99": 100.0, "p999": 1000.0}
"""Where percentiles lie on the axis of 1 / (1 - p)."""

_LABELS = {"p50": "bottom right", "p90": "bottom right", "p99": "top left", "p999": "top left"}

_NINES = {
    2: "50 %",
    10: "90 %",
    100: "99 %",
    1_000: "99.9 %",
    10_000: "99.99 %",
    100_000: "99.999 %",
    1_000_000: "99.9999 %",
}

CURVES = {
    "p50": {"color": "var(--ink)", "width": 2},
    "p90": {"color": "var(--soft)", "width": 1.5, "dash": "dash"},
    "p99": {"color": "var(--soft)", "width": 1.5, "dash": "dot"},
}
"""The line of each percentile."""

_EVENTS = {
    "unanswered": ("x", "var(--bad)", "errors"),
    "blocked": ("square", "var(--warn)", "blocked"),
    "opened": ("triangle-up-open", "var(--ink)", "connection opened"),
    "lost": ("triangle-down", "var(--ink)", "connection lost"),
    "node": ("square", "var(--bad)", "node of the broker lost"),
}
"""The kinds of events, a row each; the last one is there only where there is one of it."""

_SIDES = {
    "producer": {"color": "var(--ink)", "width": 2},
    "consumer": {"color": "var(--link)", "width": 2, "dash": "dash"},
    "broker": {"color": "var(--warn)", "width": 2, "dash": "dot"},
    MACHINE: {"color": "var(--soft)", "width": 1.5, "dash": "longdashdot"},
}


def latency(curve: tuple[list[float], list[int]], summary: Latency) -> Figure:
    """Latency by percentile on the HdrHistogram's axis: each step to the right is another nine."""
    inverse, values = curve
    factor, unit = unit_of(summary.max)
    marked = {name: x for name, x in _MARKED.items() if x <= summary.count}
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [round(x, 4) for x in inverse],
        "y": [scaled(value, factor) for value in values],
        "customdata": [100 * (1 - 1 / x) for x in inverse],
        "hovertemplate": f"%{{customdata:.4~f}} % of the messages took up to %{{y:,.3~f}} {unit}"
        "<extra></extra>",
        "line": {"color": "var(--ink)", "width": 2},
        "showlegend": False,
    }
    points = {
        "type": "scatter",
        "mode": "markers+text",
        "x": list(marked.values()),
        "y": [scaled(summary.named(name), factor) for name in marked],
        "text": [_shown(name) for name in marked],
        "textposition": [_LABELS[name] for name in marked],
        "marker": {"color": "var(--ink)", "size": 8},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    ticks = [x for x in _NINES if x <= summary.count]
    axis = {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [_NINES[x] for x in ticks],
        "title": {"text": "percentile"},
    }
    layout = layout_of(xaxis=axis, yaxis=axis_of(f"latency, {unit}"))
    return {"height": 360, "data": [line, points], "layout": layout}


@dataclasses.dataclass(frozen=True)
class Line:
    """A percentile by size of payload: ``sizes`` in words, and ns for each of them, or None."""

    statistic: str
    sizes: Sequence[str]
    values: Sequence[int | None]


_OF_PARTS = ("var(--ink)", "var(--link)", "var(--warn)", "var(--bad)")
"""The colours of the parts that a figure shows, one after the other."""


def by_size(parts: Mapping[str, Sequence[Line]]) -> Figure:
    """Latency by size of payload: a line for each percentile of each part."""
    largest = max(
        value for lines in parts.values() for line in lines for value in line.values if value
    )
    factor, unit = unit_of(largest)
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{name} {line.statistic}",
            "x": list(line.sizes),
            "y": [None if value is None else scaled(value, factor) for value in line.values],
            "hovertemplate": f"%{{y:,.3~f}} {unit}",
            "line": {
                "color": _OF_PARTS[number % len(_OF_PARTS)],
                "dash": "solid" if line.statistic == "p50" else "dot",
                "width": 2,
            },
        }
        for number, (name, lines) in enumerate(parts.items())
        for line in lines
    ]
    axis = {"type": "category", "title": {"text": "payload from"}}
    layout = layout_of(xaxis=axis, yaxis=axis_of(f"latency, {unit}"), hovermode="x unified")
    return {"height": 360, "data": traces, "layout": layout}


def by_pattern(curves: Mapping[str, tuple[list[float], list[int]]], messages: int) -> Figure:
    """Latency by percentile of each pattern, up to the last of so many ``messages``."""
    factor, unit = unit_of(max(values[-1] for _, values in curves.values()))
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [round(x, 4) for x in inverse],
            "y": [scaled(value, factor) for value in values],
            "hovertemplate": f"%{{y:,.3~f}} {unit}",
            "line": {"color": _OF_PARTS[number % len(_OF_PARTS)], "width": 2},
        }
        for number, (name, (inverse, values)) in enumerate(curves.items())
    ]
    ticks = [x for x in _NINES if x <= messages]
    axis = {
        "type": "log",
        "tickvals": ticks,
        "ticktext": [_NINES[x] for x in ticks],
        "title": {"text": "percentile"},
    }
    layout = layout_of(xaxis=axis, yaxis=axis_of(f"latency, {unit}"))
    return {"height": 360, "data": traces, "layout": layout}


def _shown(percentile: str) -> str:
    return "p99.9" if percentile == "p999" else percentile


def over_time(series: Series, events: Sequence[Event], length_s: float) -> Figure:
    """Throughput above latency on one time axis; below both, what happened when."""
    traces = [_throughput(series)]
    layout = layout_of(xaxis=_time_axis(length_s), hovermode="x unified")
    has_latency, has_events = bool(series.percentiles), bool(events)
    floor = 0.12 if has_events else 0.0
    middle = floor + (1 - floor) * 0.52
    top = (middle + 0.06 if has_latency else floor, 1.0)
    layout["yaxis"] = {**axis_of("msg/s"), "domain": top}
    if has_latency:
        largest = max(value or 0 for value in series.percentiles["max"])
        factor, unit = unit_of(largest)
        traces += _latencies(series, factor, unit)
        layout["yaxis2"] = {**axis_of(f"latency, {unit}"), "domain": (floor, middle)}
    if has_events:
        traces += _events(events)
        layout["yaxis3"] = {
            "domain": (0.0, 0.07),
            "visible": False,
            "range": (-0.5, len(_EVENTS) - (0.5 if _has_node(events) else 1.5)),
            "fixedrange": True,
        }
        layout["shapes"] = [_shape(event) for event in events if event.kind != "opened"]
    layout["xaxis"]["anchor"] = "free"
    layout["xaxis"]["position"] = 0
    return {"height": 520 if has_latency else 320, "data": traces, "layout": layout}


def _has_node(events: Sequence[Event]) -> bool:
    return any(event.kind == "node" for event in events)


def _throughput(series: Series) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(series.at) > 1 else "markers",
        "name": "throughput",
        "x": _seconds(series.at),
        "y": [round(rate, 2) for rate in series.rate],
        "hovertemplate": "%{y:,.0f} msg/s",
        "line": {"color": "var(--ink)", "width": 2, "shape": "hvh"},
        "fill": "tozeroy",
        "fillcolor": "var(--fill)",
    }


def _latencies(series: Series, factor: float, unit: str) -> list[dict[str, Any]]:
    common = {"type": "scatter", "x": _seconds(series.at), "yaxis": "y2"}
    values = {
        name: [None if value is None else scaled(value, factor) for value in column]
        for name, column in series.percentiles.items()
    }
    hover = f"%{{y:,.3~f}} {unit}"
    lines = [
        {
            **common,
            "mode": "lines" if len(series.at) > 1 else "markers",
            "name": f"{name} latency",
            "y": values[name],
            "line": line,
            "hovertemplate": hover,
        }
        for name, line in CURVES.items()
    ]
    largest = {
        **common,
        "mode": "markers",
        "name": "largest latency",
        "y": values["max"],
        "marker": {"color": "var(--soft)", "size": 4, "symbol": "line-ew-open"},
        "hovertemplate": hover,
    }
    return [*lines, largest]


def _events(events: Sequence[Event]) -> list[dict[str, Any]]:
    traces = []
    for row, (kind, (symbol, color, name)) in enumerate(_EVENTS.items()):
        mine = [event for event in events if event.kind == kind]
        if mine:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "yaxis": "y3",
                    "x": [round(event.at_ns / 1e9, 3) for event in mine],
                    "y": [row] * len(mine),
                    # The broker's words are anybody's; plotly reads tags in text.
                    "text": [html.escape(f"{event.side}: {event.words}") for event in mine],
                    "hovertemplate": "%{text}<extra></extra>",
                    "marker": {"symbol": symbol, "color": color, "size": 9},
                }
            )
    return traces


def _shape(event: Event) -> dict[str, Any]:
    """Across both curves: a band for what lasted, else a line."""
    color = _EVENTS[event.kind][1]
    begin, end = event.at_ns / 1e9, (event.until_ns or event.at_ns) / 1e9
    common = {"xref": "x", "yref": "paper", "x0": begin, "x1": end, "y0": 0, "y1": 1}
    if event.until_ns is None:
        line = {"color": color, "width": 1, "dash": "dot"}
        return {**common, "type": "line", "line": line, "layer": "below"}
    return {
        **common,
        "type": "rect",
        "fillcolor": color,
        "opacity": 0.18,
        "line": {"width": 0},
        "layer": "below",
    }


def usage(usages: Sequence[Usage], length_s: float) -> Figure:
    """CPU above memory on one time axis, for both sides, the broker and the machine."""
    traces: list[dict[str, Any]] = []
    for each in usages:
        common: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "x": each.at,
            "line": _SIDES[side_of(each.name)],
            "legendgroup": each.name,
        }
        hover = "%{y:.2f} cores" if each.name == MACHINE else "%{y:.2f} of a core"
        traces.append({**common, "name": each.name, "y": each.cpu, "hovertemplate": hover})
        if each.rss_bytes:
            memory = [
                None if value is None else round(value / 2**20, 2) for value in each.rss_bytes
            ]
            traces.append(
                {
                    **common,
                    "name": f"{each.name}, memory",
                    "y": memory,
                    "yaxis": "y2",
                    "showlegend": False,
                    "hovertemplate": "%{y:,.1f} MiB",
                }
            )
    layout = layout_of(xaxis=_time_axis(length_s), hovermode="x unified")
    layout["yaxis"] = {**axis_of("CPU, cores"), "domain": (0.56, 1.0)}
    layout["yaxis2"] = {**axis_of("memory (RSS), MiB"), "domain": (0.0, 0.5)}
    layout["xaxis"]["anchor"] = "y2"
    return {"height": 460, "data": traces, "layout": layout}


def layout_of(**changes: Any) -> dict[str, Any]:
    """What all figures have in common, with ``changes``."""
    return {
        "margin": {"l": 64, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--muted)", "size": 12},
        "hoverlabel": {
            "bgcolor": "var(--paper)",
            "bordercolor": "var(--muted)",
            "font": {"color": "var(--ink)"},
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        **changes,
    }


def axis_of(title: str) -> dict[str, Any]:
    """An axis with this title."""
    return {
        "title": {"text": title, "standoff": 8},
        "rangemode": "tozero",
        "gridcolor": "var(--rule)",
        "zerolinecolor": "var(--rule)",
        "fixedrange": True,
        "automargin": True,
    }


def _time_axis(length_s: float) -> dict[str, Any]:
    return {
        "title": {"text": "seconds since the load began"},
        "range": (0, length_s),
        "gridcolor": "var(--rule)",
        "zeroline": False,
        "hoverformat": ".3~f",
        "unifiedhovertitle": {"text": "%{x} s"},
    }


def unit_of(largest_ns: float) -> tuple[float, str]:
    """By what a time in ns is multiplied to be in the unit, and that."""
    for factor, unit in _UNITS:
        if largest_ns >= factor:
            return factor, unit
    return _UNITS[-1]


def scaled(value_ns: int, factor: float) -> float:
    """A time in the unit."""
    return round(value_ns / factor, 6)


def _seconds(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
