"""A history as one page that opens anywhere, offline: each metric and stage over the versions."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

import omrig
from omrig.compare import metrics
from omrig.compare.metrics import Metric
from omrig.history import events as happened
from omrig.history import figures
from omrig.history.changes import LEVEL
from omrig.history.events import Event
from omrig.history.reading import History, Series
from omrig.model import units
from omrig.report import comparison_text, history_text, owners
from omrig.report.html import history_charts
from omrig.report.html import page as html
from omrig.report.html.history_charts import Known

_TONES = {"slower": "worse", "faster": "better"}


def render(history: History, events: Sequence[Event]) -> str:
    """The page."""
    from plotly import offline

    known = [figures.of_series(series) for series in history.series]
    drawn = history_charts.drawn(known, events)
    drawings = {
        f"metric-{metric.name}": history_charts.metric_figure(history, known, metric, events)
        for metric in drawn
    }
    for number, (series, each) in enumerate(zip(history.series, known, strict=True)):
        stages = history_charts.stages_figure(history, series, each, events)
        if stages:
            drawings[f"stages-{number}"] = stages
    return (
        html.templates(duration=units.duration, owner=owners.title)
        .get_template("history.html.j2")
        .render(
            _content(history, events, known),
            drawn=drawn,
            figures=drawings,
            version=omrig.__version__,
            plotly=Markup(offline.get_plotlyjs()),  # noqa: S704 - plotly's own
        )
    )


def _content(history: History, events: Sequence[Event], known: Sequence[Known]) -> dict[str, Any]:
    return {
        "head": history_text.head(history, list(events)),
        "package": history.package,
        "versions": history.versions,
        "changes": [_event(event) for event in events],
        "cautions": [
            *happened.too_few(history),
            *dict.fromkeys(filter(None, map(history_text.caution, events))),
        ],
        "series": [
            _series(history, series, each, events)
            for series, each in zip(history.series, known, strict=True)
        ],
        "gaps": [line for series in history.series for line in history_text.gaps(series)],
        "excluded": history.excluded,
        "level": f"{200 * LEVEL:g}",
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "version": event.version,
        "previous": event.previous,
        "series": event.series.name,
        "change": history_text.change(event.lead),
        "stage": history_text.stage(event.explanation),
        "why": event.explanation.text if event.explanation else "",
        "others": history_text.others(event),
        "tone": _TONES.get(event.word, "mixed"),
        "exact": event.lead.times,
    }


def _series(
    history: History, series: Series, known: Known, events: Sequence[Event]
) -> dict[str, Any]:
    named = [metric for name in known if (metric := metrics.find(name))]
    headline = [metric for metric in named if metric.family == "headline"]
    stages = [metric for metric in named if metric.stage and metric.statistic == "mean"]
    of_it = [event for event in events if event.series is series]
    return {
        "name": series.name or history.package,
        "headline": [_row(history, series, known, metric, of_it) for metric in headline],
        "stages": [_row(history, series, known, metric, of_it) for metric in stages],
        "points": [
            (point.version, [(str(each.folder), each.run.started_at) for each in point.runs])
            for point in series.points
        ],
    }


def _row(
    history: History, series: Series, known: Known, metric: Metric, events: Sequence[Event]
) -> dict[str, Any]:
    """A metric of a series: a cell for each version, the marked ones begin something new."""
    begins = {
        event.version: change
        for event in events
        for change in event.changes
        if change.metric == metric
    }
    there = {point.version: number for number, point in enumerate(series.points)}
    cells = []
    for version in history.versions:
        number = there.get(version)
        middle = None if number is None else figures.centre(known[metric.name][number])
        change = begins.get(version)
        cells.append(
            {
                "exact": middle,
                "text": "" if middle is None else comparison_text.value(metric, middle),
                "mark": history_text.times(change.times) if change else "",
                "tone": _tone(metric, change.times) if change else "same",
            }
        )
    return {"name": metric.name, "label": metric.stage or metric.label, "cells": cells}


def _tone(metric: Metric, times: float) -> str:
    better = times > 1 if metric.higher_is_better else times < 1
    return "better" if better and not math.isclose(times, 1) else "worse"
