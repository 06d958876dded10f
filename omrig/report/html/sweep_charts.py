"""What plotly draws of a sweep; see :mod:`omrig.report.html.charts`."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from omrig.model.sweep import Point, Span, Sweep
from omrig.report import owners, sweep_text
from omrig.report.html import charts
from omrig.report.html.charts import Figure

_MOST_STAGES = 9
"""Stages that are drawn by themselves; the rest is one more."""

_BANDS = {"var(--ink)": "rgba(120, 128, 138, .25)", "var(--link)": "rgba(47, 129, 214, .22)"}
"""The band of the interval of a line of this colour, on light and on dark."""

_FURTHEST = 1.6
"""An axis goes on beyond the largest figure by this factor at most."""

_HATCHES = ("", "/", "x", ".", "-")
"""Of the stages of one owner, one after the other."""


def draw(sweep: Sweep) -> dict[str, Figure]:
    """Every figure that the points have something for, by name."""
    made = {
        "throughput": _lines(sweep, {"throughput": "var(--ink)"}, 1.0, "msg/s"),
        "latency": _latency(sweep),
        "cpu": _cpu(sweep),
        "stages": _stages(sweep),
        "grid": _grid(sweep) if len(sweep.factors) == 2 else None,
    }
    return {name: figure for name, figure in made.items() if figure}


def _latency(sweep: Sweep) -> Figure | None:
    factor, unit = charts.unit_of(_largest(sweep, ["p99"]))
    return _lines(sweep, {"p50": "var(--ink)", "p99": "var(--link)"}, factor, f"latency, {unit}")


def _cpu(sweep: Sweep) -> Figure | None:
    factor, unit = charts.unit_of(_largest(sweep, ["cpu"]))
    return _lines(sweep, {"cpu": "var(--ink)"}, factor, f"CPU a message, {unit}")


def _lines(sweep: Sweep, curves: Mapping[str, str], factor: float, title: str) -> Figure | None:
    """Figures over the points, with their intervals: as bands where the levels are numbers."""
    traces: list[dict[str, Any]] = []
    is_line = len(sweep.factors) == 1 and sweep.factors[0].is_numeric
    for name, colour in curves.items():
        spans = {
            at: point.figures[name]
            for at, point in enumerate(sweep.points)
            if name in point.figures
        }
        if not spans:
            continue
        if is_line:
            traces += _band(spans, factor, colour)
        trace = {
            "type": "scatter",
            "mode": "lines+markers" if is_line else "markers",
            "name": "CPU a message" if name == "cpu" else name,
            "x": list(spans),
            "y": [_scaled(span.value, factor) for span in spans.values()],
            "line": {"color": colour, "width": 2},
            "marker": {"color": colour, "size": 9},
            "showlegend": len(curves) > 1,
            "hovertemplate": "%{y:,.4~g}",
        }
        traces.append(trace if is_line else {**trace, "error_y": _bars(spans, factor)})
    if not traces:
        return None
    layout = charts.layout_of(
        xaxis=_axis(sweep),
        yaxis={**charts.axis_of(title), "range": [0, _scaled(_top(sweep, list(curves)), factor)]},
        hovermode="x unified",
        margin={"l": 64, "r": 12, "t": 30, "b": 44},
    )
    return {"height": 340, "data": traces, "layout": {**layout, **_marked(sweep)}}


def _largest(sweep: Sweep, names: Sequence[str]) -> float:
    values = [each.figures[name].value for each in sweep.points for name in names
              if name in each.figures]  # fmt: skip
    return max(values, default=0.0)


def _top(sweep: Sweep, names: Sequence[str]) -> float:
    """Where an axis ends: intervals of few runs may reach as far as they like."""
    highs = [
        each.figures[name].high or 0.0
        for each in sweep.points
        for name in names
        if name in each.figures
    ]
    largest = _largest(sweep, names)
    return max(1.1 * largest, min(1.05 * max(highs, default=0.0), _FURTHEST * largest))


def _scaled(value: float, factor: float) -> float:
    """Six digits are more than a screen shows."""
    return float(f"{value / factor:.6g}")


def _band(spans: Mapping[int, Span], factor: float, colour: str) -> list[dict[str, Any]]:
    known = {at: span for at, span in spans.items() if span.low is not None}
    common = {
        "type": "scatter",
        "mode": "lines",
        "x": list(known),
        "line": {"width": 0},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    ends = [
        [_scaled(end or 0.0, factor) for end in side]
        for side in zip(*((span.low, span.high) for span in known.values()), strict=True)
    ]
    if not ends:
        return []
    return [
        {**common, "y": ends[0]},
        {**common, "y": ends[1], "fill": "tonexty", "fillcolor": _BANDS[colour]},
    ]


def _bars(spans: Mapping[int, Span], factor: float) -> dict[str, Any]:
    both = [(span.value, span.low, span.high) for span in spans.values()]
    return {
        "type": "data",
        "symmetric": False,
        "array": [_scaled((high or value) - value, factor) for value, _, high in both],
        "arrayminus": [
            _scaled(value - (value if low is None else low), factor) for value, low, _ in both
        ],
        "color": "var(--soft)",
        "thickness": 2,
        "width": 6,
    }


def _stages(sweep: Sweep) -> Figure | None:
    """The share of each stage at each point, one on the other, in the order of a message's way."""
    staged = [(at, point) for at, point in enumerate(sweep.points) if point.stages]
    if not staged:
        return None
    largest: dict[str, float] = {}
    buckets: dict[str, str] = {}
    for _, point in staged:
        for stage in point.stages:
            largest[stage.name] = max(largest.get(stage.name, 0.0), stage.share)
            buckets[stage.name] = stage.bucket
    drawn = set(sorted(largest, key=lambda name: -largest[name])[:_MOST_STAGES])
    seen: dict[str, int] = {}
    traces = []
    for name in largest:
        if name in drawn:
            owner = owners.owner_of(owners.bucket_of(name, buckets[name]))
            turn = seen.setdefault(owner, 0)
            seen[owner] += 1
            shares = [_share(point, [name]) for _, point in staged]
            colour = f"var(--{owner})" if owner in owners.TITLES else "var(--soft)"
            traces.append(_stack(html.escape(name), staged, shares, colour, turn))
    rest = [name for name in largest if name not in drawn]
    if rest:
        shares = [_share(point, rest) for _, point in staged]
        traces.append(_stack(f"{len(rest)} more", staged, shares, "var(--rule)", 0))
    layout = charts.layout_of(
        xaxis=_axis(sweep),
        yaxis={**charts.axis_of("% of a message's time"), "range": [0, 100]},
        barmode="stack",
        bargap=0.35,
    )
    layout["legend"] = {"orientation": "v", "x": 1.01, "y": 1, "traceorder": "reversed"}
    return {"height": 420, "data": traces, "layout": layout}


def _share(point: Point, names: Sequence[str]) -> float:
    return sum(100 * stage.share for stage in point.stages if stage.name in names)


def _stack(
    name: str,
    staged: Sequence[tuple[int, Point]],
    shares: Sequence[float],
    colour: str,
    turn: int,
) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "x": [at for at, _ in staged],
        "y": [round(share, 3) for share in shares],
        "marker": {
            "color": colour,
            "pattern": {
                "shape": _HATCHES[min(turn, len(_HATCHES) - 1)],
                "fillmode": "overlay",
                "fgcolor": "var(--paper)",
                "solidity": 0.3,
            },
            "line": {"color": "var(--paper)", "width": 1},
        },
        "hovertemplate": f"{name}: %{{y:.1f}} %<extra></extra>",
    }


def _grid(sweep: Sweep) -> Figure:
    """Throughput over both factors; the first one goes up."""
    rows, columns = sweep.factors
    known = {point.levels: point for point in sweep.points}
    spans = [
        [known[one, other].figures.get("throughput") for other in columns.levels]
        for one in rows.levels
    ]
    heat = {
        "type": "heatmap",
        "x": list(range(len(columns.levels))),
        "y": list(range(len(rows.levels))),
        "z": [[span and _scaled(span.value, 1.0) for span in line] for line in spans],
        "text": [[sweep_text.rate(span) for span in line] for line in spans],
        "texttemplate": "%{text}",
        "colorscale": [[0, "var(--panel)"], [1, "var(--endpoint)"]],
        "colorbar": {"title": {"text": "msg/s"}},
        "hovertemplate": "%{text} msg/s<extra></extra>",
        "xgap": 2,
        "ygap": 2,
    }
    chosen = sweep.point(sweep.recommended).levels
    at = (columns.levels.index(chosen[1]), rows.levels.index(chosen[0]))
    mark = {
        "type": "rect",
        "x0": at[0] - 0.48,
        "x1": at[0] + 0.48,
        "y0": at[1] - 0.47,
        "y1": at[1] + 0.47,
        "line": {"color": "var(--warn)", "width": 3},
    }
    layout = charts.layout_of(
        xaxis=_ticks(columns.name, columns.levels),
        yaxis=_ticks(rows.name, rows.levels),
        shapes=[mark],
    )
    return {"height": 120 + 56 * len(rows.levels), "data": [heat], "layout": layout}


def _axis(sweep: Sweep) -> dict[str, Any]:
    labels = [sweep_text.levels(point) for point in sweep.points]
    return {**_ticks(sweep_text.factors(sweep), labels), "range": [-0.5, len(labels) - 0.5]}


def _ticks(title: str, labels: Sequence[str]) -> dict[str, Any]:
    return {
        **charts.axis_of(html.escape(title)),
        "tickvals": list(range(len(labels))),
        "ticktext": [html.escape(label) for label in labels],
        "zeroline": False,
        "fixedrange": False,
    }


def _marked(sweep: Sweep) -> dict[str, Any]:
    """A line through the point that is recommended."""
    at = [point.name for point in sweep.points].index(sweep.recommended)
    line = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "line": {"color": "var(--warn)", "width": 2, "dash": "dash"},
    }
    said = {
        "xref": "x",
        "yref": "paper",
        "x": at,
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "text": "knee" if sweep.knee else "recommended",
        "font": {"color": "var(--warn)"},
    }
    return {"shapes": [line], "annotations": [said]}
