"""``history.json``: a history for programs.

``schema`` is 1. ``series`` are the loads, each with its ``versions`` in order (the runs of each
with their figures, in the unit of each metric: msg/s, ns, bytes), ``gaps`` and ``changes``;
``changes`` of the whole are those of all series, the largest first, by series and version.
"""

import dataclasses

import omrig
from omrig.compare import metrics
from omrig.compare.resample import CONFIDENCE
from omrig.history import changes
from omrig.history.events import Change, Event
from omrig.history.reading import History, Series
from omrig.model.values import Json

SCHEMA = 1


def as_json(history: History, events: list[Event]) -> dict[str, Json]:
    """The history for a JSON file; ratios are of after to before."""
    return {
        "schema": SCHEMA,
        "omrig": omrig.__version__,
        "package": history.package,
        "versions": list(history.versions),
        "method": {
            "test": "e-divisive",
            "alpha": 1,
            "figures": "logarithms of the runs",
            "family_level": changes.LEVEL,
            "most_shuffles": changes.MOST_SHUFFLES,
            "seed": changes.SEED,
            "confidence": CONFIDENCE,
        },
        "series": [_series(series) for series in history.series],
        "changes": [_event(event) for event in events],
        "excluded": [{"run": folder, "reason": reason} for folder, reason in history.excluded],
    }


def _series(series: Series) -> dict[str, Json]:
    return {
        "name": series.name,
        "versions": [
            {
                "version": point.version,
                "runs": [
                    {
                        "run": str(stored.folder),
                        "started_at": stored.run.started_at,
                        "figures": metrics.of_run(stored.result),
                    }
                    for stored in point.runs
                ],
            }
            for point in series.points
        ],
        "gaps": [dataclasses.asdict(gap) for gap in series.gaps],
    }


def _event(event: Event) -> dict[str, Json]:
    return {
        "series": event.series.name,
        "version": event.version,
        "previous": event.previous,
        "word": event.word,
        "apart": event.apart,
        "explanation": dataclasses.asdict(event.explanation) if event.explanation else None,
        "metrics": [_change(each) for each in event.changes],
    }


def _change(change: Change) -> dict[str, Json]:
    return {
        "metric": change.metric.name,
        "unit": change.metric.unit,
        "before": change.before,
        "after": change.after,
        "ratio": dataclasses.asdict(change.ratio) if change.ratio else None,
    }
