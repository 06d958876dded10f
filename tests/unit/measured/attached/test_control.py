"""The socket over which a process of a service is asked."""

import _socket
import _thread
import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from omrig.measured.attached import control
from omrig.measured.attached.control import Control


class Answering:
    """Notes what it is told."""

    def __init__(self):
        self.asked = []
        self.askers = set()
        self.gone = threading.Event()
        self.looked = threading.Event()
        self.is_alone = False

    def answer(self, asked, asker):
        self.asked.append(asked)
        self.askers.add(asker)
        return {"answered": asked.get("do")}

    def look(self):
        self.looked.set()

    def let_go(self, asker):
        self.askers.remove(asker)
        self.gone.set()


@pytest.fixture
def answering():
    return Answering()


@pytest.fixture
def folder(tmp_path):
    """The path of a socket may be longer than the system takes one."""
    found = tmp_path / ("d" * 120)
    found.mkdir()
    return found


@pytest.fixture
def opened(folder, answering, monkeypatch):
    monkeypatch.setattr(control, "_LOOK_SECONDS", 0.05)
    made = Control(str(folder), answering, _thread.start_new_thread)
    made.start()
    yield made
    made._listener.shutdown(socket.SHUT_RDWR)
    made.close()


def connect(folder):
    descriptor = os.open(folder, os.O_PATH)
    try:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        peer.settimeout(10)
        peer.connect(f"/proc/self/fd/{descriptor}/{control.NAME}")
    finally:
        os.close(descriptor)
    return peer


def ask(peer, asked):
    peer.send(json.dumps(asked).encode())
    return json.loads(peer.recv(1 << 16))


def until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_each_packet_is_answered(folder, opened, answering) -> None:
    with connect(folder) as one, connect(folder) as other:
        assert ask(one, {"do": "status"}) == {"answered": "status"}
        assert ask(other, {"do": "on"}) == {"answered": "on"}
        assert ask(one, {"do": "off"}) == {"answered": "off"}
    assert [asked["do"] for asked in answering.asked] == ["status", "on", "off"]


@pytest.mark.parametrize("packet", [b"\xff", b"{", b"[]", b'"on"'])
def test_what_is_no_question_is_none_that_is_known(folder, opened, packet) -> None:
    with connect(folder) as peer:
        peer.send(packet)
        assert json.loads(peer.recv(1 << 16)) == {"answered": None}


def test_that_somebody_is_gone_is_noticed(folder, opened, answering) -> None:
    with connect(folder) as peer:
        ask(peer, {"do": "on"})
        assert not answering.gone.is_set()
    assert answering.gone.wait(10)


def test_one_who_does_not_wait_for_the_answer_is_gone(folder, opened, answering) -> None:
    with connect(folder) as peer:
        peer.shutdown(socket.SHUT_RD)
        peer.send(b'{"do": "on"}')
    assert answering.gone.wait(10)
    with connect(folder) as peer:
        assert ask(peer, {"do": "status"}) == {"answered": "status"}


def test_nothing_is_left_of_a_connection(folder, opened) -> None:
    until(lambda: opened.threads == 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with connect(folder) as peer:
        ask(peer, {"do": "status"})
        assert opened.threads == 2
    until(lambda: opened.threads == 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_it_looks_while_nobody_is_connected_and_there_is_something_to_look_at(
    folder, answering, monkeypatch
) -> None:
    monkeypatch.setattr(control, "_LOOK_SECONDS", 0.05)
    answering.is_alone = True
    opened = Control(str(folder), answering, _thread.start_new_thread)
    opened.start()
    assert answering.looked.wait(10)
    with connect(folder) as peer:
        assert ask(peer, {"do": "status"}) == {"answered": "status"}
    opened._listener.shutdown(socket.SHUT_RDWR)
    opened.close()


def test_only_its_user_may_ask(folder, opened) -> None:
    assert (folder / control.NAME).stat().st_mode & 0o777 == 0o600


def test_sockets_do_not_get_the_timeout_that_the_service_has_set(folder, answering) -> None:
    _socket.setdefaulttimeout(0.01)
    try:
        opened = Control(str(folder), answering, _thread.start_new_thread)
        opened.start()
        peer = connect(folder)
        time.sleep(0.1)
        assert ask(peer, {"do": "status"}) == {"answered": "status"}
        assert not answering.looked.is_set()
        peer.close()
    finally:
        _socket.setdefaulttimeout(None)
    opened._listener.shutdown(socket.SHUT_RDWR)
    opened.close()


def test_a_copy_of_it_is_let_go_of_without_a_word(folder, opened) -> None:
    pid = os.fork()
    if pid == 0:
        opened.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    with connect(folder) as peer:
        assert ask(peer, {"do": "status"}) == {"answered": "status"}
