"""Questions to agents, and answers that come late or not at all."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omrig.recorder import agents, folder, processes
from tests.unit.recorder.fake_agent import FakeAgent

Start = Callable[..., FakeAgent]


def test_a_path_that_is_too_long_for_a_socket_is_none(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    agent = FakeAgent(deep)
    try:
        connection = agents.Connection(agent.folder)
        assert agents.ask({1: connection}, {"do": "status"}, 5).given[1]["name"] == "conductor"
        connection.close()
    finally:
        agent.stop()


def test_an_answer_that_is_late_is_not_that_of_the_next_question(place: Path) -> None:
    process = place / "host.1.1"
    process.mkdir()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    descriptor = os.open(process, os.O_PATH)
    server.bind(f"/proc/self/fd/{descriptor}/control")
    os.close(descriptor)
    server.listen()
    connection = agents.Connection(process)
    client, _ = server.accept()
    with client, server:
        first = agents.ask({1: connection}, {"do": "status"}, 0.01)
        assert first.silent == [1] and not first.given
        client.send(b'{"late": true}')
        client.send(b'{"on": false}')
        assert agents.ask({1: connection}, {"do": "off"}, 5).given == {1: {"on": False}}
        client.send(b"[1]")
        assert "error" in agents.ask({1: connection}, {"do": "off"}, 5).given[1]
    assert agents.ask({1: connection}, {"do": "off"}, 5).closed == [1]
    connection.close()


def test_what_is_no_process_is_passed_over(place: Path, start: Start) -> None:
    agent = start()
    (place / "rec-1").mkdir()
    for name, text in (("half", '{"name": "x"'), ("without", '{"name": "x"}')):
        (place / name).mkdir()
        (place / name / agents.PROCESS).write_text(text)
    assert list(agents.find(place)) == [agent.folder]


def test_a_program_under_exec_is_found_without_a_connection(place: Path) -> None:
    environment = {**os.environ, processes.VARIABLE: str(place), "OMRIG_EXEC_NAME": "conductor"}
    with subprocess.Popen(
        [sys.executable, "-c", "print('ready', flush=True); input()"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        found = processes.started(place)
        assert [(each.pid, each.name) for each in found] == [(program.pid, "conductor")]
        program.kill()
    assert processes.started(place) == []


def test_we_are_none_of_the_processes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from pathlib import Path; from omrig.recorder import processes;"
        "print(processes.started(Path(sys.argv[1])))"
    )
    environment = {**os.environ, processes.VARIABLE: str(place)}
    told = subprocess.run(
        [sys.executable, "-c", program, str(place)], env=environment, capture_output=True, text=True
    )
    assert told.stdout == "[]\n", told.stderr


def test_a_pid_that_another_process_has_got_since_is_not_alive(start: Start) -> None:
    agent = start()
    about = agents.find(agent.place)[agent.folder]
    assert processes.is_alive(about)
    text = json.loads((agent.folder / agents.PROCESS).read_text())
    earlier = agents.Attached.from_json(text | {"started_ns": 1})
    assert not processes.is_alive(earlier)
    elsewhere = agents.Attached.from_json(text | {"boot_id": "another"})
    assert not processes.is_alive(elsewhere)
    assert folder.start_of(about.pid) is not None
