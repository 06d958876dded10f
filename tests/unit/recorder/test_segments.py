"""The capture of a recorder: which ports, and why there is none."""

import errno
import json
import socket
import time
from pathlib import Path

import pytest

from omrig.model.recorded import CAPTURE
from omrig.recorder import segments
from omrig.recordings import logs
from omrig.watcher import layout


def test_it_says_why_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert segments.begin(tmp_path, wanted=False) == segments.NOT_ASKED_FOR

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(segments, "Capture", refuse)
    assert segments.begin(tmp_path, wanted=True) == "it needs CAP_NET_RAW, which root has"


def test_ports_are_learned_as_they_are_noted(tmp_path: Path) -> None:
    links = segments.Links(tmp_path)
    assert links.new_ports() == set()
    own = tmp_path / "host.1.1"
    own.mkdir()
    line = json.dumps({"number": 1, "local": ["::1", 4], "remote": ["::1", 5672]})
    path = own / segments.LINKS
    path.write_text(f"{line}\n{line[:20]}")
    assert links.new_ports() == {5672}
    assert links.new_ports() == set()
    path.write_text(f"{line}\n{line.replace('5672', '5671')}\n")
    assert links.new_ports() == {5671}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_comes_from_the_port_is_noted_and_what_goes_to_it_is_not(
    tmp_path: Path, family: socket.AddressFamily
) -> None:
    capture = segments.begin(tmp_path, wanted=True)
    if isinstance(capture, str):
        # Without the right there is nothing to note, and that is said.
        assert capture == "it needs CAP_NET_RAW, which root has"
        return
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((host, 0), family=family) as server:
        client = socket.create_connection(server.getsockname()[:2])
        broker, _ = server.accept()
        port = server.getsockname()[1]
        capture.listen({port})
        with client, broker:
            for _ in range(5):
                client.sendall(b"x" * 100)
                assert broker.recv(100, socket.MSG_WAITALL)
                broker.sendall(b"y" * 50)
                assert client.recv(50, socket.MSG_WAITALL)
            time.sleep(0.1)
    found = capture.end()
    assert found.used and found.why_not == "" and found.ports == (port,) and found.dropped == 0
    folder = tmp_path / CAPTURE
    rows = logs.rows(folder / layout.SEGMENTS, len(layout.SEGMENT_COLUMNS), "<u4")
    header = 20 if family == socket.AF_INET else 40
    payloads = [int(row[0]) for row in rows if row[0] >= header + 20 + 50]
    sent = [each for each in payloads if each - header - 50 in range(20, 61)]
    assert len(sent) == 5 and len(payloads) == 5
    clocks = logs.rows(folder / layout.CLOCK, len(layout.CLOCK_COLUMNS))
    assert len(clocks) >= 2
    assert found.segments == len(rows)


def test_without_a_port_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = segments.begin(tmp_path, wanted=True)
    if isinstance(capture, str):
        assert "CAP_NET_RAW" in capture
        return
    monkeypatch.setattr(capture._capture, "segments", 0)
    assert capture.end().why_not in ("", "no process had a connection to a broker")
