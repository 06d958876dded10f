"""A recording from its begin to its end: the instrument on in all processes, then off again."""

import contextlib
import dataclasses
import datetime
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from omrig.model.recorded import FILE, About, Captured
from omrig.model.values import Json
from omrig.recorder import agents, folder, followed, owner, processes, segments
from omrig.recorder.display import Display
from omrig.recorder.followed import OVER, SILENT, Followed
from omrig.recorder.overwritten import overwritten
from omrig.recordings import writer

LIMIT_BYTES = 64 << 20
"""How long a table of rows may become, in each process and for each side; 200,000 messages fit."""

TICK_S = 0.5
"""How often it looks for processes that have begun since."""

_STATUS_EVERY_S = 1.0
_ON_WITHIN_S = 10.0
_STATUS_WITHIN_S = 2.0
_OFF_WITHIN_S = 10.0
_GONE_FOR_S = 2.0
"""A service that is started anew has no process for a moment."""

_NAMED = 5
NOTHING_RECORDED = "no process was recorded"
ABORTED = "the recorder was aborted"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: one message in ``sample``, for so long or so many messages.

    The time runs from the moment at which the first process is on; None is without an end. Messages
    are counted where they are sent, by all processes; of a sample the count is an estimate.
    """

    seconds: float | None = None
    messages: int | None = None
    sample: int = 1
    capture: bool = True
    limit_bytes: int = LIMIT_BYTES


class Recorder:
    """A recording under way in ``place``, the folder of the processes."""

    def __init__(self, place: Path, wanted: Wanted, display: Display) -> None:
        self._place, self._wanted, self._display = place, wanted, display
        self._followed: dict[Path, Followed] = {}
        self._is_on = False
        self._asked_at = self._alone_since = 0.0
        self._on_since: float | None = None
        self._named_unconnected = False
        self.folder = folder.new_recording(place)
        """The folder of the recording."""
        self._about = About(
            name=self.folder.name,
            started_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            began_ns=time.monotonic_ns(),
            sample=wanted.sample,
            pid=os.getpid(),
        )
        writer.write_json(self.folder / FILE, self._about.to_json())
        self._links = segments.Links(self.folder)
        self._capture = segments.begin(self.folder, wanted.capture)
        if isinstance(self._capture, str) and wanted.capture:
            display.tell(
                f"no capture: {self._capture}; arrivals are timed by the sockets' own stamps"
            )

    def begin(self) -> None:
        """Turn the instrument on everywhere. Raises ``OSError``."""
        pid = os.getpid()
        wanted: dict[str, Json] = {
            "recording": self.folder.name,
            "pid": pid,
            "start": folder.start_of(pid),
            "sample": self._wanted.sample,
            "limit_bytes": self._wanted.limit_bytes,
        }
        folder.write_on(self._place, wanted)
        self._is_on = True
        self.tick()

    def tick(self) -> None:
        """Turn on what has begun, note what has ended, show how far it is. Raises ``OSError``."""
        self._turn_on(self._new())
        if not isinstance(self._capture, str):
            self._capture.listen(self._links.new_ports())
        now = time.monotonic()
        every_s = TICK_S if self._wanted.messages else _STATUS_EVERY_S
        if now - self._asked_at >= every_s - TICK_S / 2:
            self._asked_at = now
            self._ask()
            self._show()

    def _show(self) -> None:
        self._display.rows(
            [
                each.row(overwritten(self.folder / each.folder.name))
                for each in self._followed.values()
                if each.was_on or each.connection is not None
            ]
        )

    def _new(self) -> dict[Path, Followed]:
        """Those that we have just been connected with."""
        for path, about in agents.find(self._place).items():
            if path not in self._followed:
                self._followed[path] = Followed(path, about)
        waiting = {
            path: each
            for path, each in self._followed.items()
            if each.connection is None and not each.ended
        }
        newest: dict[tuple[str, int], int] = {}
        for each in self._followed.values():
            key = (each.about.host, each.about.pid)
            newest[key] = max(newest.get(key, 0), each.about.started_ns)
        found = {}
        for path, each in waiting.items():
            latest = newest[each.about.host, each.about.pid]
            if each.connect(is_newest=each.about.started_ns == latest):
                found[path] = each
        for each in waiting.values():
            if each.ended and each.was_on:
                self._display.tell(f"{each.label} has ended")
        return found

    def _turn_on(self, found: Mapping[Path, Followed]) -> None:
        request: dict[str, Json] = {
            "do": "on",
            "recording": self.folder.name,
            "folder": str(self.folder),
            "sample": self._wanted.sample,
            "limit_bytes": self._wanted.limit_bytes,
        }
        answers = followed.ask(found, request, _ON_WITHIN_S)
        for path, answer in answers.given.items():
            if found[path].turned_on(answer):
                self._display.say(f"{found[path].label} is on")
            else:
                self._display.tell(f"{found[path].label}: {found[path].problem}")
        for path in answers.silent:
            found[path].problem = f"it has not said within {_ON_WITHIN_S:g} s that it is on"
            self._display.tell(f"{found[path].label}: {found[path].problem}")
        if self._on_since is None and any(each.was_on for each in self._followed.values()):
            self._on_since = time.monotonic()

    def _ask(self) -> None:
        answers = followed.ask(self._followed, {"do": "status"}, _STATUS_WITHIN_S)
        for path, answer in answers.given.items():
            each = self._followed[path]
            each.was_on = each.was_on or bool(answer.get("on"))
            if text := each.told(answer):
                self._display.tell(f"{each.label}: {text}")
        for path in answers.silent:
            each = self._followed[path]
            if each.problem != SILENT:
                each.problem = SILENT
                self._display.tell(f"{each.label}: {SILENT}")
        if not self._named_unconnected:
            self._named_unconnected = True
            self._name_unconnected()

    def _name_unconnected(self) -> None:
        """Say of which processes nothing can be seen yet, where that is all of them."""
        living = [each for each in self._followed.values() if each.connection is not None]
        if any(each.state.connections for each in living):
            return
        labels = {each.about.pid: each.label for each in living}
        labels |= {each.pid: each.label for each in processes.started(self._place)}
        if labels:
            self._display.tell(f"no AMQP connection in PID {_listed(labels)} yet; waiting for one")

    def sent(self) -> int:
        """Messages that all processes have sent, an estimate where a sample is kept."""
        return self._wanted.sample * sum(each.sent for each in self._followed.values())

    def is_over(self) -> bool:
        """Whether what was asked for has been recorded."""
        if self._wanted.messages is not None and self.sent() >= self._wanted.messages:
            return True
        return self.left_s() <= 0

    def left_s(self) -> float:
        """How long it is still to record, in seconds; infinite where nothing says it."""
        if self._wanted.seconds is None or self._on_since is None:
            return float("inf")
        return self._on_since + self._wanted.seconds - time.monotonic()

    def is_alone(self) -> bool:
        """Whether no process has lived for so long that none is expected any more."""
        now = time.monotonic()
        if any(each.connection is not None for each in self._followed.values()):
            self._alone_since = 0.0
        elif not self._alone_since:
            self._alone_since = now
        if not self._alone_since or now - self._alone_since < _GONE_FOR_S:
            return False
        # Who has refused is not asked again.
        refused = {each.about.pid for each in self._followed.values() if each.ended}
        return all(each.pid in refused for each in processes.started(self._place))

    def end(self, reason: str = "") -> About:
        """Turn it off everywhere and write down what there is; ``reason`` is why it is incomplete.

        Raises ``OSError``.
        """
        self._off()
        problems = [reason] if reason else []
        recorded = self._recorded()
        if not recorded:
            problems.append(NOTHING_RECORDED)
        unseen = [
            f"{each.label}: {each.problem}" for each in self._followed.values() if each.problem
        ]
        ended = {
            each.folder.name: each.ended for each in recorded if each.ended and not each.problem
        }
        problems += unseen
        said = dataclasses.replace(
            self._about,
            complete=not problems,
            reason="; ".join(problems) or None,
            not_seen=tuple(unseen),
            ended=ended,
        )
        return self._write(said)

    @property
    def is_empty(self) -> bool:
        """Whether no process was recorded."""
        return not self._recorded()

    def _recorded(self) -> list[Followed]:
        """Also those that had turned themselves on, and ended before we found them."""
        return [
            each
            for each in self._followed.values()
            if each.was_on or (self.folder / each.folder.name).is_dir()
        ]

    def _off(self) -> None:
        folder.remove_on(self._place)
        self._is_on = False
        # Who saw the file a moment ago.
        self._new()
        for each in self._followed.values():
            if each.connection is None and not each.ended and not each.problem:
                each.ended = OVER
        # First who only sends: what it has sent is still served while servers are on.
        serving = {path: each for path, each in self._followed.items() if each.served}
        self._ask_off({k: each for k, each in self._followed.items() if k not in serving})
        self._ask_off(serving)
        self._show()

    def _ask_off(self, asked: Mapping[Path, Followed]) -> None:
        answers = followed.ask(asked, {"do": "off"}, _OFF_WITHIN_S)
        for path, answer in answers.given.items():
            rows = answer.get("rows")
            if isinstance(rows, Mapping):
                each = self._followed[path]
                last = agents.counted(rows)
                each.state = dataclasses.replace(each.state, rows=last)
        for path in answers.closed:
            self._followed[path].ended = OVER
        for path in answers.silent:
            self._followed[path].problem = "it has not said that it is off"

    def _write(self, said: About) -> About:
        now, capture = time.monotonic_ns(), self._capture
        captured = Captured(why_not=capture) if isinstance(capture, str) else capture.end()
        self._capture = captured.why_not
        self._about = dataclasses.replace(said, ended_ns=now, capture=captured)
        writer.write_json(self.folder / FILE, self._about.to_json())
        return self._about

    def abort(self) -> None:
        """Leave nothing on, whatever has happened; the agents see that we have gone."""
        try:
            if self._is_on:
                folder.remove_on(self._place)
        finally:
            for each in self._followed.values():
                each.disconnect()
            if self._about.ended_ns is None:
                self._write(dataclasses.replace(self._about, reason=ABORTED))


def _listed(labels: Mapping[int, str]) -> str:
    names = [f"{pid} ({label.rsplit(' ', 1)[0]})" for pid, label in sorted(labels.items())]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@contextlib.contextmanager
def recording(place: Path, wanted: Wanted, display: Display) -> Iterator[Recorder]:
    """A recording that is under way in the block; after it nothing is on, however it ends.

    It is the folder's owner's, also where root records. Raises ``UsageError`` where somebody
    records there, and ``OSError``.
    """
    with folder.private(), owner.of(place), folder.turn(place):
        recorder = Recorder(place, wanted, display)
        try:
            recorder.begin()
            yield recorder
        finally:
            recorder.abort()


def nothing_lives(place: Path) -> bool:
    """Whether there is no process in which anything could be turned on."""
    if processes.started(place):
        return False
    for path in agents.find(place):
        try:
            agents.Connection(path).close()
        except OSError:
            continue
        return False
    return True


def until_over(
    recorder: Recorder, is_asked: Callable[[], bool], sleep: Callable[[float], None] = time.sleep
) -> str:
    """Record until that is over, or the end is asked for; why it is incomplete, or nothing."""
    while not (is_asked() or recorder.is_over()):
        sleep(max(0.0, min(TICK_S, recorder.left_s())))
        recorder.tick()
        if recorder.is_alone():
            return "all processes have ended"
    return ""
