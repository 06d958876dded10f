"""The figure of a ramp; see :mod:`omrig.report.html.charts`."""

from typing import Any

from omrig.model.pacing import Ramp
from omrig.report.html import charts
from omrig.report.html.charts import Figure


def ramp(found: Ramp) -> Figure:
    """Throughput above latency over the rate that was asked for, with the knee across both."""
    rows = found.rows
    rates = [row.asked_per_second for row in rows]
    factor, unit = charts.unit_of(max((row.p99_ns or 0 for row in rows), default=0))
    common = {"type": "scatter", "mode": "lines+markers", "x": rates}
    dotted = {"color": "var(--soft)", "width": 1, "dash": "dot"}
    done = [row.messages_per_second for row in rows]
    traces: list[dict[str, Any]] = [
        {**common, "name": "asked", "mode": "lines", "y": rates, "line": dotted},
        {**common, "name": "throughput", "y": done, "line": {"color": "var(--ink)", "width": 2}},
    ]
    traces = [{**trace, "hovertemplate": "%{y:,.0f} msg/s"} for trace in traces]
    for name, values in (
        ("p50", [row.p50_ns for row in rows]),
        ("p99", [row.p99_ns for row in rows]),
    ):
        traces.append(
            {
                **common,
                "name": f"{name} latency",
                "y": [None if value is None else charts.scaled(value, factor) for value in values],
                "yaxis": "y2",
                "line": charts.CURVES[name],
                "hovertemplate": f"%{{y:,.3~f}} {unit}",
            }
        )
    axis = {**charts.axis_of("msg/s asked for"), "hoverformat": ",.0f", "anchor": "y2"}
    layout = charts.layout_of(xaxis=axis, hovermode="x unified")
    layout["yaxis"] = {**charts.axis_of("msg/s"), "domain": (0.56, 1.0)}
    # Beyond the knee a message waits for seconds, before it for milliseconds.
    layout["yaxis2"] = {**charts.axis_of(f"latency, {unit}"), "type": "log", "domain": (0.0, 0.5)}
    if found.knee:
        layout["shapes"] = [_across(found.knee.messages_per_second)]
    return {"height": 460, "data": traces, "layout": layout}


def _across(at: float) -> dict[str, Any]:
    line = {"color": "var(--warn)", "width": 2, "dash": "dash"}
    ends = {"x0": at, "x1": at, "y0": 0, "y1": 1}
    return {"type": "line", "xref": "x", "yref": "paper", "line": line, **ends}
