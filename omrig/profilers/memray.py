"""Mode `memray`: who allocates memory, with every allocation recorded by memray.

Recorded are the allocations from the system, with the stacks of all threads and greenlets: small
objects are cut by Python out of pools of 256 KiB to 1 MiB, and a pool counts for whoever needed it.
memray cannot go on with a recording that was ended, so it is not paused during the load.

The flame graph is made after the run, outside of the measured process: it may take longer than
that has to write its results.
"""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import memray

from omrig.profilers import Artefact, ProfilerContext
from omrig.results import folder as run_folder

RECORDING, PAGE, SUMMARY = "memray.bin", "memray.html", "profile.memray.json"

REPORT_S = 60.0
"""How long the flame graph of a side may take: a million messages or so."""

_FLAMEGRAPH = ["memray", "flamegraph", "--no-web", "--force"]
"""The page holds all that it needs; without `--no-web` it would fetch that from elsewhere."""

_OWN_MEMORY = "memray's own tables would count as memory of the process"


class MemrayProfiler:
    """Writes `memray.bin`, and after the run `memray.html`."""

    name = "memray"
    coexists_with = frozenset({"stages", "resources"})
    pausable = False
    refused_with: ClassVar[Mapping[str, str]] = {
        "yappi": "memray takes the interpreter's profile hook, and yappi would see nothing",
        "memory": _OWN_MEMORY,
        "memory-lines": _OWN_MEMORY,
    }

    def __init__(self, context: ProfilerContext) -> None:
        self._run = context
        self._tracker: memray.Tracker | None = None

    def install(self) -> None:
        """Nothing to prepare."""

    def start(self) -> None:
        """Begin to record; for the first time only."""
        if self._tracker is None:
            self._tracker = memray.Tracker(self._run.folder / RECORDING)
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
        """See :func:`omrig.profilers.report`: the flame graph of a recording in this folder."""
        recording, page = folder / RECORDING, folder / PAGE
        if not recording.exists():
            return []
        skipped = _draw(recording, page)
        run_folder.write_json(folder / SUMMARY, {**_summary(recording), "skipped": skipped})
        return [] if skipped else [Artefact(PAGE, "html", "xdg-open {path}")]


def _draw(recording: Path, page: Path) -> str | None:
    """Make the flame graph; why there is none."""
    command = [*_FLAMEGRAPH, "--output", str(page), str(recording)]
    try:
        subprocess.run(
            [sys.executable, "-m", *command],
            check=True,
            capture_output=True,
            text=True,
            timeout=REPORT_S,
        )
    except subprocess.TimeoutExpired:
        reason = f"it takes longer than {REPORT_S:g} s"
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        reason = said[-1]
    else:
        return None
    # Half a page opens as an empty one.
    page.unlink(missing_ok=True)
    return f"no flame graph: {reason}; make it with: {shlex.join(command)}"


def _summary(recording: Path) -> dict[str, Any]:
    try:
        with memray.FileReader(recording) as reader:
            about = reader.metadata
    except OSError as error:
        # A process that was killed could not end its recording.
        return {"failed": str(error), "peak_bytes": None, "allocations": None}
    return {
        "failed": None,
        "peak_bytes": about.peak_memory,
        "allocations": about.total_allocations,
    }
