"""What a side wrote down while it ran, read back."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.recordings import folder as run_folder

Column = NDArray[Any]
"""Integers, one a message."""


_NOTHING = {"producer": {name: numpy.zeros(0, numpy.int64) for name in ("start_ns", "end_ns")}}
"""The times of a side that had no room for them; its counts are there."""


_FAILED = ("failed_seq", "failed_ns")


@dataclasses.dataclass(frozen=True)
class Recording:
    """One side of a run.

    ``about`` is its ``side.json``, ``times`` the columns of ``messages.npz`` by sequence number
    (ns, 0 for none), ``stamps`` the rows of the stage instrument (None without it), ``meta`` what
    the instrument says of itself. ``failed`` are the columns ``failed_seq`` and ``failed_ns``: when
    which messages failed; empty where that was not recorded.
    """

    side: str
    folder: Path
    run: dict[str, Any]
    about: dict[str, Any]
    times: dict[str, Column]
    stamps: Column | None
    meta: dict[str, Any] | None
    failed: dict[str, Column] = dataclasses.field(default_factory=dict)

    def received(self) -> Column:
        """Arrival times at the endpoint of all producers' messages, in order of arrival."""
        columns = [numpy.zeros(0, numpy.int64), *self.times.values()]
        times = numpy.concatenate(columns)
        return numpy.sort(times[times > 0])


def load(folder: Path) -> dict[str, Recording]:
    """The recordings in a run folder by side; a side that wrote nothing is left out."""
    run = run_folder.read_json(folder / run_folder.RUN)
    found = {}
    for side in run["sides"]:
        about = run_folder.read_json(folder / side / "side.json")
        if about:
            # Where both sides ran in one process, their stamps are in the first side's folder.
            stamps_in = folder / (run["sides"][0] if run["transport"]["in_memory"] else side)
            columns = _read_columns(folder / side / "messages.npz")
            found[side] = Recording(
                side=side,
                folder=folder / side,
                run=run,
                about=about,
                times=_NOTHING.get(side, {}) | _clock_readings(columns),
                stamps=_read_columns(stamps_in / "stamps.npz").get(side),
                meta=run_folder.read_json(stamps_in / "stages.json"),
                failed={n: values for n, values in columns.items() if n in _FAILED},
            )
    return found


def stages(folder: Path) -> dict[str, Column]:
    """What the accounting added to ``messages.npz``: ``stage.<name>`` in ns, rows as in ``seq``."""
    columns = _read_columns(folder / "messages.npz")
    if "seq" not in columns:
        return {}
    return {n: values for n, values in columns.items() if n == "seq" or n.startswith("stage.")}


def _clock_readings(columns: dict[str, Column]) -> dict[str, Column]:
    """The load's own columns: what the accounting added to the file is left out."""
    ours = ("start_ns", "end_ns", "received_ns")
    return {name: column for name, column in columns.items() if name.partition(".")[0] in ours}


def _read_columns(path: Path) -> dict[str, Column]:
    if not path.exists():
        return {}
    with numpy.load(path) as file:
        return {name: file[name].astype(numpy.int64) for name in file.files}
