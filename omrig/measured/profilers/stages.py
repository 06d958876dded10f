"""Mode `stages`: the stamps of every message, from which its stages are accounted.

The probes are put in before the transport exists and stamp nothing until the load begins.
"""

import array
import contextlib
import heapq
import sys
from collections.abc import Sequence
from pathlib import Path

from omrig.drivers import maps
from omrig.measured.probes import cost, install
from omrig.measured.probes.learning import Learner
from omrig.measured.probes.stamp import IMPLEMENTATION, clock, now
from omrig.measured.probes.state import State, realtime_offset_ns
from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.whereabouts import Passed, Whereabouts
from omrig.model import interpreter
from omrig.model.connections import LOST
from omrig.model.places import PLACES
from omrig.model.profiling import OPTIONS, SAMPLE, TARGETS
from omrig.model.stamps import COLUMNS, CPU, ID
from omrig.model.values import Json
from omrig.recordings import writer
from omrig.watcher.client import Watcher

RECENT_ROWS = 25
"""How many messages a side shows of those since the last time."""


class StagesProfiler(Profiler):
    """Writes `stamps.npz`, the arrival clock's logs and `stages.json` for the accounting."""

    name = "stages"
    is_slow = False
    options = OPTIONS["stages"]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._watcher = Watcher()
        self._state = State(
            self._watcher,
            context.profiling.value(SAMPLE),
            native=context.executor == "threading",
            side=context.side,
        )
        self._others = set(context.profiling.modes) - {self.name, "resources", "memory"}
        self._learner: Learner | None = None
        self._installed = contextlib.ExitStack()
        self._stamping = contextlib.ExitStack()
        self._sites: list[maps.Site] = []
        self._missing: list[str] = []
        self._lost: set[str] = set()
        self._cost = cost.Cost(0.0, 0.0)
        self._offsets: list[tuple[int, int]] = []
        self._scheduling = ""
        self._told: dict[str, int] = {}
        self._cpu_logged = 0

    @staticmethod
    def check_targets(targets: Sequence[str]) -> set[str]:
        """The files of stage maps."""
        files = {target for target in targets if target.endswith(".toml")}
        for file in files:
            maps.read(file)
        return files

    def whereabouts(self) -> Whereabouts:
        """In which stage the code is, for who knows code and no stages."""
        return Whereabouts(self._state.stamps.where, PLACES[1:], self._passed)

    def _passed(self) -> Sequence[Sequence[Passed]]:
        return self._learner.passed() if self._learner else ()

    def install(self) -> None:
        """Start the watcher, note every connection that is made, and time what a stamp costs."""
        targets = self._run.profiling.value(TARGETS)
        extra = [maps.read(path) for path in targets if path.endswith(".toml")]
        chosen = maps.for_scheme(self._run.scheme, extra)
        sites, self._missing = maps.resolve(chosen)
        self._lost = maps.lost_stages(chosen)
        bound, self._sites, _ = install.split(sites)
        self._cost = cost.calibrated(self._state.stamps.native)
        self._watcher.start(self._run.folder, interpreter.without_options())
        self._installed.enter_context(install.installed(self._state, bound))
        if self._others:
            # Before other modes look at the code, as lines does: it must not change under them.
            self._installed.enter_context(install.installed(self._state, self._sites))
            self._sites = []

    def start(self) -> None:
        """Begin to stamp."""
        self._stamping.enter_context(install.stamping(self._state, self._sites))
        self._note_offset()
        if self._learner is None and self._others:
            self._learner = Learner(self._state)
        self._state.stamps.on = True
        clock.put_in(self._state.stamps)

    def stop(self) -> None:
        """Take the probes out; what is under way still ends its record."""
        self._stamping.close()
        self._note_offset()
        # Not the clock: a message under way still ends its record.

    def save(self, folder: Path) -> list[Artefact]:
        """Write what was stamped."""
        self._installed.close()
        self._scheduling = self._watcher.finish()
        if not self._offsets:
            return []
        stamps = writer.save_stamps(folder, self._meta(), self._state.rows())
        self._log_cpu(folder)
        return [Artefact(stamps, "stamps of every message", "numpy.load")]

    def recent(self) -> dict[str, list[list[int]]]:
        """Rows of some messages that ended since the last time, by side, in stamped columns.

        Those with the smallest ids: they are random, and so both sides take the same messages.
        """
        rows = self._state.rows()
        if self._run.side == "consumer" and rows["producer"]:
            # Its endpoint calls, and serves its own calls: its rows are not all of one load.
            chosen = {}
        else:
            chosen = {side: self._recent(side, each) for side, each in rows.items()}
        # What finds no room now is tried again with the rest.
        with contextlib.suppress(OSError):
            self._log_cpu(self._run.folder)
        return chosen

    def _recent(self, side: str, rows: "array.array[int]") -> list[list[int]]:
        width = len(COLUMNS[side])
        begin, end = self._told.get(side, 0), len(rows) // width
        self._told[side] = end
        ids = rows[begin * width + ID : end * width : width]
        chosen = heapq.nsmallest(RECENT_ROWS, range(begin, end), key=lambda row: ids[row - begin])
        return [rows[row * width : (row + 1) * width].tolist() for row in chosen]

    def _log_cpu(self, folder: Path) -> None:
        """Append what was noted since the last time; there is a log if there are native threads."""
        if not self._state.stamps.native:
            return
        notes = self._state.cpu_notes()[self._cpu_logged :]
        logged = len(notes)
        if sys.byteorder == "big":
            notes.byteswap()
        writer.append(folder / CPU, notes.tobytes())
        self._cpu_logged += logged

    def _note_offset(self) -> None:
        self._offsets.append((now(), realtime_offset_ns()))

    def _failures(self) -> list[str]:
        broken = self._state.stamps.failure
        return [*self._state.failures, *([f"stamps were turned off: {broken}"] if broken else [])]

    def _connections(self) -> dict[str, Json]:
        """What happened to all connections, where one of them was lost."""
        noted = [
            (when, number, what, address)
            for number, each in self._state.connections.items()
            for when, what, address in each
        ]
        is_lost = any(what == LOST for _, _, what, _ in noted)
        return {"connections": sorted(noted)} if is_lost else {}

    def _meta(self) -> dict[str, Json]:
        return {
            "realtime_offsets": self._offsets,
            "missing": self._missing,
            "lost_stages": sorted(self._lost | self._state.lost_stages),
            "blocked": self._state.blocked,
            **self._connections(),
            "sample": self._state.sample,
            "stamps": IMPLEMENTATION,
            "cost": {"made": self._state.stamps.made, **self._cost._asdict()},
            "failures": self._failures(),
            "receive_buffer_bytes": self._state.receive_buffer_bytes,
            "columns": dict(COLUMNS),
            "watcher": {
                "alive": self._watcher.alive,
                "missed": self._watcher.missed,
                "scheduling": self._scheduling,
                "events": self._watcher.events,
                "cpu_ns": self._watcher.cpu_ns,
                "pid": self._watcher.pid,
                "capturing": self._watcher.capturing,
                "dropped": self._watcher.dropped,
            },
        }
