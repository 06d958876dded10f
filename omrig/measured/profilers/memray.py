"""Mode ``memray``: who allocates memory, with every allocation recorded by memray.

Recorded are the allocations from the system, with the stacks of all threads and greenlets: small
objects are cut by Python out of pools of 256 KiB to 1 MiB, and a pool counts for whoever needed it.
memray cannot go on with a recording that was ended, so it is not paused during the load. It begins
before the connections are made and not with the load: of greenlets that began before it, memray
keeps frames that have ended, and with Python 3.13 two runs in five died of that (SIGSEGV in
PyFrame_GetLasti, memray 1.20.0). memray itself calls its support for greenlets experimental.

The flame graph is made after the run, outside of the measured process: it may take longer than
that has to write its results.
"""

import contextlib
import io
import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import memray

from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.model import interpreter
from omrig.recordings import writer

RECORDING, PAGE, SUMMARY = "memray.bin", "memray.html", "profile.memray.json"

TOP = 20
"""So many lines are listed: those that allocated the most."""

REPORT_S = 60.0
"""How long each report of a side may take: that of some 500,000 messages."""

_OFFLINE = ["--no-web", "--force"]
"""The page holds all that it needs; without ``--no-web`` it would fetch that from elsewhere."""

_FIGURES = ("peak_bytes", "allocations", "allocated_bytes")

_OWN_MEMORY = "memray's own tables would count as memory of the process"


class MemrayProfiler(Profiler):
    """Writes ``memray.bin``, and after the run ``memray.html``."""

    name = "memray"
    pausable = False
    refused_with: ClassVar[Mapping[str, str]] = {
        "yappi": "memray takes the interpreter's profile hook, and yappi would see nothing",
        "memory": _OWN_MEMORY,
        "memory-lines": _OWN_MEMORY,
    }

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._tracker: memray.Tracker | None = None

    def install(self) -> None:
        """Begin to record, while no greenlet has begun."""
        self._tracker = memray.Tracker(self._run.folder / RECORDING)
        # Its notice that greenlets are experimental would be the last words in the log of a
        # process that dies.
        with contextlib.redirect_stderr(io.StringIO()):
            self._tracker.__enter__()

    def stop(self) -> None:
        """End recording."""
        if self._tracker is not None:
            self._tracker.__exit__(None, None, None)

    def save(self, folder: Path) -> list[Artefact]:  # noqa: ARG002
        """Nothing more to write: the recording is complete."""
        return [Artefact(RECORDING, "memray", "memray tree {path}")] if self._tracker else []

    @staticmethod
    def report(folder: Path) -> list[Artefact]:
        """See ``Profiler.report``: what a recording in this folder says."""
        recording, page = folder / RECORDING, folder / PAGE
        if not recording.exists():
            return []
        skipped = _draw(recording, page)
        summary = {**_summary(recording, folder / "memray.stats"), "skipped": skipped}
        writer.write_json(folder / SUMMARY, summary)
        return [] if skipped else [Artefact(PAGE, "html", "xdg-open {path}")]


def _draw(recording: Path, page: Path) -> str | None:
    """Make the flame graph; why there is none."""
    command = ["flamegraph", *_OFFLINE, "--output", str(page), str(recording)]
    reason = _memray(command)
    if reason is None:
        return None
    # Half a page opens as an empty one.
    page.unlink(missing_ok=True)
    return f"no flame graph: {reason}; make it with: {shlex.join(['memray', *command])}"


def _summary(recording: Path, scratch: Path) -> dict[str, object]:
    """How much was allocated, and on which lines the most; or why that is not known."""
    reason = _memray(
        ["stats", "--json", "--num-largest", str(TOP), "--output", str(scratch), str(recording)]
    )
    if reason is not None:
        scratch.unlink(missing_ok=True)
        return {"failed": reason, **dict.fromkeys(_FIGURES), "lines": []}
    found = json.loads(scratch.read_text())
    scratch.unlink()
    return {
        "failed": None,
        "peak_bytes": found["metadata"]["peak_memory"],
        "allocations": found["total_num_allocations"],
        "allocated_bytes": found["total_bytes_allocated"],
        "lines": [
            {**_place(each["location"]), "bytes": each["size"]}
            for each in found["top_allocations_by_size"]
        ],
    }


def _place(location: str) -> dict[str, object]:
    """Where memray means by ``function:file:line``; it has words for what it does not know."""
    parts = location.rsplit(":", 2)
    if len(parts) < 3:
        return {"function": location, "file": None, "line": None}
    function, file, line = parts
    return {"function": function, "file": file, "line": int(line)}


def _memray(arguments: list[str]) -> str | None:
    """Run memray's own command; why it failed."""
    try:
        subprocess.run(
            interpreter.tethered("memray", *arguments),
            env=interpreter.environment(),
            check=True,
            capture_output=True,
            text=True,
            timeout=REPORT_S,
        )
    except subprocess.TimeoutExpired:
        return f"memray {arguments[0]} takes longer than {REPORT_S:g} s"
    except subprocess.CalledProcessError as error:
        said: str = error.stderr.strip().rpartition("\n")[2]
        return said or f"memray {arguments[0]} ended with status {error.returncode}"
    return None
