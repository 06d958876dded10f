"""``history.csv`` for Apache Otava, a row a run in the order of the versions, and its settings.

Otava takes the rows as they come. Where there are several loads each is a branch, of which Otava
analyses one at a time.
"""

import csv
import datetime
import io
import json
from collections.abc import Sequence

from omrig.compare import metrics
from omrig.history.reading import History, Series

CSV = "history.csv"
SETTINGS = "otava.yaml"

_DIRECTIONS = {True: 1, False: -1}
"""Whether more is better, in Otava's words."""


def table(history: History) -> str:
    """The file; durations in ns, sizes in bytes."""
    columns = _columns(history)
    branched = len(history.series) > 1
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["time", "version", *(["branch"] if branched else []), "run", *columns])
    for series in history.series:
        for point in series.points:
            for stored in point.runs:
                known = metrics.of_run(stored.result)
                branch = [series.name] if branched else []
                values = [f"{known[name]:.9g}" for name in columns]
                about = [_time(stored.started_s), point.version, *branch, str(stored.folder)]
                rows.writerow([*about, *values])
    return file.getvalue()


def _time(epoch_s: float) -> str:
    return datetime.datetime.fromtimestamp(epoch_s, datetime.UTC).isoformat(timespec="seconds")


def settings(history: History) -> str:
    """What Otava must know of the file, as YAML (of which JSON is a part)."""
    told = {
        name: {"column": name, "direction": _DIRECTIONS[metric.higher_is_better]}
        for name in _columns(history)
        if (metric := metrics.find(name))
    }
    test = {
        "type": "csv",
        "file": CSV,
        "time_column": "time",
        "attributes": ["version", "run"],
        "metrics": told,
    }
    return json.dumps({"tests": {"omrig": test}}, indent=1) + "\n"


def _columns(history: History) -> list[str]:
    """The metrics that every run has: Otava takes no row without a number."""
    return [name for name in _all(history.series) if metrics.find(name)]


def _all(series: Sequence[Series]) -> list[str]:
    runs = [
        metrics.of_run(stored.result)
        for each in series
        for point in each.points
        for stored in point.runs
    ]
    return [name for name in runs[0] if all(name in each for each in runs)]
