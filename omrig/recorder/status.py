"""What there is in the folder of attached processes: processes, and recordings."""

import json
from collections.abc import Mapping
from pathlib import Path

from omrig.model.attached import (
    GONE,
    SILENT,
    UNCONNECTED,
    AttachedProcess,
    RecordingState,
    State,
    Status,
)
from omrig.model.recorded import FILE, UNDER_WAY, About
from omrig.model.values import Json
from omrig.recorder import agents, folder, processes
from omrig.recorder.agents import Attached, Connection

_WITHIN_S = 3.0
_RESULT = "result.json"


def of(place: Path) -> Status:
    """The processes and recordings in ``place``. Raises ``OSError``."""
    wanted = folder.read_on(place)
    pid = wanted.get("pid") if wanted and folder.is_recording(wanted) else None
    under_way = str(wanted.get("recording")) if wanted and pid is not None else ""
    return Status(
        folder=str(place),
        recorder=pid if isinstance(pid, int) else None,
        processes=(*_attached(place), *_unconnected(place)),
        recordings=tuple(_recording(each, under_way) for each in folder.recordings(place)),
    )


def _attached(place: Path) -> list[AttachedProcess]:
    """Those with an agent, the living first."""
    found = agents.find(place)
    connections: dict[Path, Connection] = {}
    refused: dict[Path, str] = {}
    try:
        for path, about in found.items():
            try:
                connections[path] = Connection(path)
            except OSError:
                refused[path] = SILENT if processes.is_alive(about) else GONE
        answers = agents.ask(connections, {"do": "status"}, _WITHIN_S)
    finally:
        for connection in connections.values():
            connection.close()
    listed = []
    for path, about in found.items():
        note = refused.get(path, GONE if path in answers.closed else SILENT)
        state = None
        if path in answers.given:
            note, state = _state(answers.given[path])
        listed.append(_process(about, note, state))
    return sorted(listed, key=lambda each: each.is_gone)


def _state(answer: Mapping[str, Json]) -> tuple[str, State | None]:
    if "error" in answer:
        return str(answer["error"]), None
    try:
        state = State.from_json(answer)
    except ValueError as error:
        return f"its answer makes no sense: {error}", None
    return ("" if state.connections else UNCONNECTED), state


def _process(about: Attached, note: str, state: State | None) -> AttachedProcess:
    return AttachedProcess(
        name=about.name,
        pid=about.pid,
        host=about.host,
        executor=(state and state.executor) or about.executor,
        note=note,
        state=state,
    )


def _unconnected(place: Path) -> list[AttachedProcess]:
    known = {about.pid for path, about in agents.find(place).items() if processes.is_alive(about)}
    return [
        AttachedProcess(name=each.name, pid=each.pid, note=UNCONNECTED)
        for each in processes.started(place)
        if each.pid not in known
    ]


def _recording(path: Path, under_way: str) -> RecordingState:
    has_result = (path / _RESULT).exists()
    try:
        about = About.from_json(json.loads((path / FILE).read_text()))
    except (OSError, ValueError) as error:
        return RecordingState(name=path.name, state=f"{FILE}: {error}", has_result=has_result)
    ended = about.ended_ns
    return RecordingState(
        name=path.name,
        started_at=about.started_at,
        duration_ns=None if ended is None else ended - about.began_ns,
        state=_words(about, path.name == under_way),
        has_result=has_result,
    )


def _words(about: About, is_under_way: bool) -> str:
    if is_under_way:
        return "under way"
    if about.complete:
        return "complete"
    reason = "its recorder was killed" if about.reason == UNDER_WAY else about.reason
    return f"incomplete: {reason or 'nobody said why'}"
