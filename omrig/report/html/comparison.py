"""A comparison as one page that opens anywhere, offline: both sides drawn over each other."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

import omrig
from omrig.compare import decided
from omrig.compare.comparison import Comparison
from omrig.compare.conclusion import worse
from omrig.compare.runs import RunSet
from omrig.compare.table import Row, by_name
from omrig.model import units
from omrig.report import comparison_text, functions, owners
from omrig.report.flames import Flames
from omrig.report.html import comparison_charts, flame_charts
from omrig.report.html import page as html
from omrig.report.html.comparison_charts import Side

_SECTIONS = {
    "changes": "What changed",
    "gates": "Gates",
    "stages": "Stages",
    "counts": "Counts a message",
    "functions": "Functions",
    "latency": "Latency",
    "time": "Over time",
    "conditions": "Conditions",
    "method": "Method",
}


def render(
    comparison: Comparison, messages: tuple[Side, Side], flames: Sequence[Flames] = ()
) -> str:
    """The page; ``messages`` are of the runs of BASE and of NEW, ``flames`` of both."""
    from plotly import offline

    figures = comparison_charts.draw(comparison, messages)
    figures |= {flame_charts.name(each): flame_charts.draw(each) for each in flames}
    templates = html.templates(duration=units.duration, owner=owners.title)
    page = templates.get_template("compare.html.j2")
    return page.render(
        _content(comparison),
        figures=figures,
        sections=_sections(comparison, figures),
        version=omrig.__version__,
        plotly=Markup(offline.get_plotlyjs()) if figures else "",  # noqa: S704 - plotly's own
    )


def _sections(comparison: Comparison, figures: dict[str, Any]) -> dict[str, str]:
    absent = {name for name in ("latency", "time") if name not in figures}
    if not comparison.rulings:
        absent.add("gates")
    if not comparison.functions:
        absent.add("functions")
    if not any(row.metric.stage for row in comparison.rows):
        absent.add("stages")
    if not comparison_text.counted(comparison.rows):
        absent.add("counts")
    return {name: title for name, title in _SECTIONS.items() if name not in absent}


def _content(comparison: Comparison) -> dict[str, Any]:
    named = by_name(comparison.rows)
    explanation, decision = comparison.explanation, comparison.decision
    return {
        "call": comparison.call,
        "why": explanation.text if explanation else None,
        "margin": decision.text if decision and not comparison.is_sequential else None,
        "stopped": decided.NOTE if comparison.is_sequential else None,
        "duet": decided.DUET_NOTE if comparison.is_duet else None,
        "design": comparison.design,
        "by_chance": comparison_text.by_chance(comparison.rows),
        "headline": [_shown(row) for row in comparison.rows if row.metric.family == "headline"],
        "stages": [
            {**_shown(row), "p50": _shown(named[f"{row.metric.name}.p50"])}
            for row in comparison.rows
            if row.metric.statistic == "mean" and (row.base or row.new)
        ],
        "counts": [
            _shown(row) | ({} if row.exact else {"call": "not exact"})
            for row in comparison_text.counted(comparison.rows)
        ],
        "mover": comparison.mover.text if comparison.mover else "",
        "profiled": [
            {
                "figure": f"flames-{each.mode}-{each.side}",
                "heading": functions.heading(each),
                "rows": functions.rows(each),
                "notes": functions.notes(each),
            }
            for each in comparison.functions
        ],
        "gates": [
            {"outcome": ruling.outcome, "line": comparison_text.ruling(ruling)}
            for ruling in comparison.rulings
        ],
        "instabilities": [each.text for each in comparison.instabilities],
        "differences": comparison.differences,
        "not_compared": comparison.not_compared,
        "sides": {"BASE": _side(comparison.base), "NEW": _side(comparison.new)},
    }


def _shown(row: Row) -> dict[str, Any]:
    """A row as the tables have it, with the exact numbers beside those that people read."""
    estimate = row.ratio
    return {
        "metric": row.metric.name,
        "label": row.metric.label,
        "stage": row.metric.stage,
        "base": comparison_text.value(row.metric, row.base),
        "new": comparison_text.value(row.metric, row.new),
        "exact": (row.base, row.new),
        "ratio": comparison_text.ratio(estimate.value) if estimate else "",
        "exact_ratio": estimate.value if estimate else "",
        "interval": comparison_text.interval(estimate) if estimate else "",
        "call": comparison_text.verdict(row),
        "tone": ("worse" if worse(row) else "better") if row.significant else "same",
    }


def _side(side: RunSet) -> dict[str, Any]:
    return {
        "runs": [(str(stored.folder), stored.run.started_at) for stored in side.runs],
        "excluded": side.excluded,
    }
