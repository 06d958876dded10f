"""What one process leaves in one recording: its rows, kinds and connections, and how it went."""

import json
import posix
from collections.abc import Mapping, Sequence
from typing import Any

from omrig.measured.attached import files, process
from omrig.measured.probes.stamp import now
from omrig.measured.probes.state import realtime_offset_ns
from omrig.measured.probes.tables import Table
from omrig.model import tables
from omrig.model.stamps import COLUMNS, CPU_COLUMNS
from omrig.model.values import Json

INSTRUMENT = "instrument.json"
KINDS = "kinds.jsonl"
LINKS = "links.jsonl"
SIDES = ("producer", "consumer")

WIDTHS = {
    "producer": len(COLUMNS["producer"]),
    "consumer": len(COLUMNS["consumer"]),
    "cpu": len(CPU_COLUMNS),
}
"""Words a row, by what the rows are of: a side's messages, the CPU time of the process."""


def nowhere(of: str) -> memoryview:
    """A chunk that is in no file."""
    chunk = memoryview(bytearray(tables.CHUNK_BYTES))
    header = chunk[: tables.HEADER * tables.WORD_BYTES].cast("Q")
    header[tables.WIDTH], header[tables.CAPACITY] = WIDTHS[of], tables.capacity(WIDTHS[of])
    return chunk


class Rows:
    """A table of this process, and how many rows it was given."""

    def __init__(self, path: str, width: int, limit_bytes: int) -> None:
        self._table = Table(path, width, limit_bytes)
        self._chunk: memoryview | None = None

    def next_chunk(self) -> memoryview:
        """As :meth:`Table.next_chunk` says."""
        self._chunk = chunk = self._table.next_chunk()
        return chunk

    @property
    def count(self) -> int:
        """How many rows were written, with those that were overwritten."""
        if self._chunk is None:
            return 0
        words = self._chunk[: tables.HEADER * tables.WORD_BYTES].cast("Q")
        return (words[tables.NUMBER] - 1) * words[tables.CAPACITY] + words[tables.ROWS]

    @property
    def overwritten(self) -> int:
        """How many of them there is nothing left of."""
        return self._table.overwritten

    def close(self) -> int:
        """Let go of the file and of its mapping; how many rows there were."""
        count = self.count
        self._chunk = None
        self._table.close()
        return count


class Recording:
    """The files of this process in the recording ``name``, in the folder ``of`` of its ``root``.

    One message in ``sample`` is kept, in tables of ``limit_bytes`` each. Raises ``OSError`` where
    the files cannot be made.
    """

    def __init__(self, root: str, name: str, of: str, sample: int, limit_bytes: int) -> None:
        self.name = name
        self._sample = sample
        self.folder = f"{root}/{of}"
        _make(root)
        _make(self.folder)
        self.rows = {
            of: Rows(f"{self.folder}/{of}.rows", width, limit_bytes) for of, width in WIDTHS.items()
        }
        self._began_ns = now()
        self._turning_on_ns = 0
        self._cpu_ns = process.cpu_ns()
        self._offsets = [[self._began_ns, realtime_offset_ns()]]

    def add_kind(self, kind: Mapping[str, Any]) -> None:
        """A kind of message, or an outcome, has got its number. Raises ``OSError``."""
        files.append(f"{self.folder}/{KINDS}", f"{json.dumps(kind)}\n")

    def add_link(self, line: str) -> None:
        """A connection is stamped from now on. Raises ``OSError``."""
        files.append(f"{self.folder}/{LINKS}", line)

    def counts(self) -> dict[str, int]:
        """How many messages' rows were written, by side."""
        return {side: self.rows[side].count for side in SIDES}

    def begun(self, about: Mapping[str, Json]) -> None:
        """The instrument is on; ``about`` are facts of the process. Raises ``OSError``."""
        self._turning_on_ns = now() - self._began_ns
        self._describe(about, {"ended_ns": None, "cpu_ns_end": None, "complete": False})

    def ended(self, about: Mapping[str, Json], in_flight: Sequence[Sequence[Any]]) -> None:
        """The instrument is off, and nothing is written any more. Raises ``OSError``."""
        self._offsets.append([now(), realtime_offset_ns()])
        for rows in self.rows.values():
            rows.close()
        end = {"ended_ns": now(), "cpu_ns_end": process.cpu_ns(), "complete": True}
        self._describe(about, end, in_flight)

    def abandon(self) -> None:
        """Let go of the files: in a child they are its parent's."""
        for rows in self.rows.values():
            rows.close()

    def _describe(
        self,
        about: Mapping[str, Json],
        end: Mapping[str, Json],
        in_flight: Sequence[Sequence[Any]] = (),
    ) -> None:
        value = {
            "began_ns": self._began_ns,
            "turning_on_ns": self._turning_on_ns,
            "cpu_ns_begin": self._cpu_ns,
            "realtime_offsets": self._offsets,
            "overwritten": {side: self.rows[side].overwritten for side in SIDES},
            "sample": self._sample,
            "in_flight": list(in_flight),
            **end,
            **about,
        }
        files.replace(self.folder, INSTRUMENT, json.dumps(value))


def _make(folder: str) -> None:
    try:
        posix.mkdir(folder, 0o700)
    except FileExistsError:
        # The recorder's, or that of an earlier beginning of the same recording.
        return
