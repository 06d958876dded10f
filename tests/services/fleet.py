"""Services under omrig, and recorders of them, as somebody types it."""

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from omrig.model.service import Method, ServiceResult

ON_SECONDS = 30.0

END_SECONDS = 60.0
"""How long a recorder may take to account for what it has."""

OMRIG = (sys.executable, "-m", "omrig")


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Services that are recorded together, in ``folder``."""

    folder: Path

    def under(self, name: str) -> Sequence[str]:
        """What stands before a program that is to belong to it."""
        return [*OMRIG, "exec", "--run", str(self.folder), "--name", name, "--"]

    def processes(self) -> list[Path]:
        """The folders of the processes that have connected."""
        return sorted(path.parent for path in self.folder.glob("*/process.json"))

    @contextlib.contextmanager
    def recorded(self, *options: str) -> Iterator["Recording"]:
        """Record for the length of the block, or as ``options`` say: what came of it."""
        name = f"rec-{len(list(self.folder.glob('rec-*'))) + 1}"
        recording = Recording(self.folder / name)
        recorder = subprocess.Popen(
            [*OMRIG, "record", str(self.folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self._wait_on(recording, recorder)
            yield recording
            if not options:
                recorder.send_signal(signal.SIGINT)
            recording.said, _ = recorder.communicate(timeout=END_SECONDS)
            recording.status = recorder.returncode
        finally:
            recorder.kill()
            recorder.communicate()

    def _wait_on(self, recording: "Recording", recorder: subprocess.Popen[str]) -> None:
        """Wait until every process that lives is turned on."""
        end = time.monotonic() + ON_SECONDS
        while (missing := self._not_on(recording)) is None or missing:
            if recorder.poll() is not None or time.monotonic() > end:
                recorder.kill()
                raise RuntimeError(f"not turned on: {missing}\n{recorder.communicate()[0]}")
            time.sleep(0.05)

    def _not_on(self, recording: "Recording") -> list[str] | None:
        """The processes that live and are not on; None where the recording has not begun."""
        if not (self.folder / "on").exists():
            return None
        return [
            each.name
            for each in self.processes()
            if _lives(each) and not (recording.folder / each.name / "instrument.json").exists()
        ]


@dataclasses.dataclass
class Recording:
    """A recording in ``folder``; once it has ended what the recorder said, and its status."""

    folder: Path
    said: str = ""
    status: int | None = None

    def result(self) -> ServiceResult:
        """What it came to."""
        return ServiceResult.from_json(json.loads((self.folder / "result.json").read_text()))


def method(result: ServiceResult, name: str) -> Method:
    """The one method of that name."""
    (found,) = result.called(name)
    return found


def in_their_turn(result: ServiceResult) -> str:
    """The methods with what they came to, for a test that fails."""
    return "\n".join(
        f"{each.name.label}: sent {each.sent}, served {each.served}, matched {each.matched}"
        for each in result.methods
    )


def _lives(folder: Path) -> bool:
    process = json.loads((folder / "process.json").read_text())
    return Path(f"/proc/{process['pid']}").exists()
