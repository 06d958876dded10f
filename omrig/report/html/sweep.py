"""A sweep as one page that opens anywhere, offline: the recommendation, and what it rests on."""

from typing import Any

from markupsafe import Markup

import omrig
from omrig.model.sweep import Point, Sweep
from omrig.report import owners, sweep_text
from omrig.report.html import page as html
from omrig.report.html import sweep_charts

PAGE = "sweep.html"

_SECTIONS = {
    "points": "What was measured",
    "latency": "Latency",
    "cpu": "CPU",
    "stages": "Stages",
    "method": "Method",
}


def render(sweep: Sweep, folder: str) -> str:
    """The page of a sweep whose runs are in ``folder``."""
    from plotly import offline

    figures = sweep_charts.draw(sweep)
    page = html.templates(duration=html.shown_duration, owner=owners.title)
    return page.get_template("sweep.html.j2").render(
        sweep=sweep,
        folder=folder,
        factors=sweep_text.factors(sweep),
        method=sweep_text.method(sweep),
        rounds=sweep_text.rounds(sweep.rounds),
        rows=[_row(sweep, point) for point in sweep.points],
        stages=_stages(sweep),
        figures=figures,
        sections=_sections(figures),
        version=omrig.__version__,
        plotly=Markup(offline.get_plotlyjs()) if figures else "",  # noqa: S704 - plotly's own
    )


def _sections(figures: dict[str, Any]) -> dict[str, str]:
    absent = {name for name in ("latency", "cpu", "stages") if name not in figures}
    return {name: title for name, title in _SECTIONS.items() if name not in absent}


def _row(sweep: Sweep, point: Point) -> dict[str, Any]:
    """A point as the table has it, with the exact numbers beside those that people read."""
    return {
        "name": point.name,
        "levels": sweep_text.levels(point),
        "standing": point.standing,
        "is_recommended": point.name == sweep.recommended,
        "told": sweep_text.standing(sweep, point),
        "rate": sweep_text.rate(point.figures.get("throughput")),
        "exact_rate": point.figures["throughput"].value if "throughput" in point.figures else "",
        "interval": sweep_text.interval_of_rate(point.figures.get("throughput")),
        "ratio": sweep_text.ratio(point),
        "durations": [point.figures.get(name) for name in ("p50", "p99", "cpu")],
        "rounds": point.rounds,
    }


def _stages(sweep: Sweep) -> list[dict[str, Any]]:
    """Each stage and its mean and share at each point, in the order of a message's way."""
    found: dict[str, dict[str, Any]] = {}
    for place, point in enumerate(sweep.points):
        for stage in point.stages:
            owner = owners.owner_of(owners.bucket_of(stage.name, stage.bucket))
            row = found.setdefault(
                stage.name,
                {"name": stage.name, "owner": owner, "points": [None] * len(sweep.points)},
            )
            row["points"][place] = stage
    return list(found.values())
