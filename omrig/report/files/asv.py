"""A history as the results of airspeed velocity (asv), for its ``publish`` and ``show``.

asv asks a repository for the order of what it draws, and releases come without one: there is one
here with an empty commit for each version and a tag of its name. Each load is an environment, each
metric a benchmark; durations are in seconds, as asv has them.
"""

import hashlib
import json
import platform
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy

from omrig.compare import metrics
from omrig.compare.metrics import Metric
from omrig.history import figures
from omrig.history.reading import History, Point, Series
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.model.values import Json
from omrig.recordings import writer

FOLDER = "asv"

_RESULTS, _BENCHMARKS, _MACHINES, _CONFIGURATION = 2, 2, 1, 1
"""The versions of asv's files that these are."""

_COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples"),
)

_REPOSITORY = "versions.git"
_BRANCH = "main"

_EMPTY_TREE = b""
_MINUTE_S = 60

_UNITS = {"rate": "msg/s", "duration": "seconds", "size": "bytes", "count": ""}


def write(folder: Path, history: History) -> None:
    """Write asv's files into ``folder``. Raises OSError where that is refused."""
    folder.mkdir(exist_ok=True)
    commits = _write_repository(folder / _REPOSITORY, history)
    _write(folder / "asv.conf.json", _configuration(history))
    _write(folder / "results" / "benchmarks.json", _benchmarks(history))
    known = [figures.of_series(series) for series in history.series]
    for series, values in zip(history.series, known, strict=True):
        for number, point in enumerate(series.points):
            commit, date_s = commits[point.version]
            place = folder / "results" / _machine(point.runs[0].run)
            _write(place / "machine.json", {**_about(point.runs[0].run), "version": _MACHINES})
            environment = _environment(point.runs[0].run, series)
            at = {name: runs[number] for name, runs in values.items() if len(runs[number])}
            _write(
                place / f"{commit[:8]}-{environment}.json",
                _results(point, series, (commit, environment, date_s), at),
            )


def _write(path: Path, content: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writer.writing(path) as file:
        file.write(json.dumps(content, indent=1, allow_nan=False) + "\n")


def _configuration(history: History) -> dict[str, Json]:
    return {
        "version": _CONFIGURATION,
        "project": history.package,
        "project_url": "",
        "repo": _REPOSITORY,
        "branches": [_BRANCH],
        "environment_type": "virtualenv",
        "results_dir": "results",
        "html_dir": "html",
    }


def _benchmarks(history: History) -> dict[str, Json]:
    names = dict.fromkeys(
        name
        for series in history.series
        for point in series.points
        for stored in point.runs
        for name in metrics.of_run(stored.result)
    )
    found: dict[str, Json] = {"version": _BENCHMARKS}
    for name in names:
        metric = metrics.find(name)
        if metric:
            found[name] = {
                "name": name,
                "pretty_name": metric.label,
                "code": "",
                "type": "track",
                "unit": _UNITS[metric.unit],
                "param_names": [],
                "params": [],
                "timeout": 60.0,
                "version": "1",
            }
    return found


def _results(
    point: Point,
    series: Series,
    identity: tuple[str, str, int],
    known: dict[str, numpy.ndarray[tuple[int], numpy.dtype[numpy.float64]]],
) -> dict[str, Json]:
    commit, environment, date_s = identity
    run = point.runs[0].run
    started_ms = int(run.started_epoch_seconds * 1000)
    results: dict[str, Json] = {}
    for name, values in known.items():
        metric = metrics.find(name)
        centre = figures.centre(values)
        if metric and centre is not None:
            samples = [_in_unit(metric, float(value)) for value in values]
            row: list[Json] = [[_in_unit(metric, centre)], [], "1", started_ms]
            results[name] = [*row, *([None] * 7), [samples]]
    return {
        "version": _RESULTS,
        "commit_hash": commit,
        "env_name": environment,
        "date": date_s * 1000,
        "params": {**_about(run), "python": run.environment.python, "load": series.name or "run"},
        "python": run.environment.python,
        "requirements": {},
        "env_vars": {},
        "result_columns": list(_COLUMNS),
        "results": results,
        "durations": {},
    }


def _in_unit(metric: Metric, value: float) -> float:
    return value / NS if metric.unit == "duration" else value


def _about(run: Run) -> dict[str, Json]:
    where = run.environment
    return {
        "machine": _machine(run),
        "os": where.kernel,
        "arch": platform.machine(),
        "cpu": "",
        "num_cpu": str(where.cpu_count),
        "ram": "",
    }


def _machine(run: Run) -> str:
    return _plain(run.environment.host) or "machine"


def _environment(run: Run, series: Series) -> str:
    load = _plain(series.name)
    # Of a name of 128 letters or more asv makes another one.
    return f"python{run.environment.python}{f'-{load}' if load else ''}"[:120]


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("_.")


def _write_repository(folder: Path, history: History) -> dict[str, tuple[str, int]]:
    """A bare git repository with a commit a version; of each its hash and date in s."""
    first = min(
        stored.started_s
        for series in history.series
        for point in series.points
        for stored in point.runs
    )
    # Before the first run, and after the beginning of the epoch, where git's dates begin.
    begin_s = max(_MINUTE_S, int(first) - _MINUTE_S * len(history.versions))
    tree = _write_object(folder, "tree", _EMPTY_TREE)
    commits: dict[str, tuple[str, int]] = {}
    parent = ""
    for number, version in enumerate(history.versions):
        date_s = begin_s + _MINUTE_S * number
        who = f"omrig <omrig@localhost> {date_s} +0000"
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
        lines += [f"author {who}", f"committer {who}", "", version, ""]
        parent = _write_object(folder, "commit", "\n".join(lines).encode())
        commits[version] = parent, date_s
    tags = {_plain(version): commit for version, (commit, _) in commits.items()}
    _write_references(folder, parent, tags)
    return commits


def _write_object(folder: Path, kind: str, content: bytes) -> str:
    """Put an object into a git repository; its name there."""
    whole = f"{kind} {len(content)}\0".encode() + content
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    path = folder / "objects" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(zlib.compress(whole))
    return name


def _write_references(folder: Path, head: str, tags: dict[str, str]) -> None:
    for kind in ("heads", "tags"):
        (folder / "refs" / kind).mkdir(parents=True, exist_ok=True)
    texts: Sequence[tuple[str, str]] = [
        ("HEAD", f"ref: refs/heads/{_BRANCH}\n"),
        ("config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"),
        (f"refs/heads/{_BRANCH}", f"{head}\n"),
        *((f"refs/tags/{tag}", f"{commit}\n") for tag, commit in tags.items()),
    ]
    for name, text in texts:
        (folder / name).write_text(text)
