"""A connection is dropped at once, also over TLS, where py-amqp waits for the peer's goodbye."""

import socket
import ssl
import threading
import time
from types import SimpleNamespace

import amqp
import pytest
from amqp.transport import SSLTransport

from omrig.broker.amqp import connection, hosting
from omrig.broker.base import Consumer, Group
from omrig.model.transport import Login

LONG_S = 10.0


def context(protocol):
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    # Without a certificate, which TLS 1.3 does not know.
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("aNULL:@SECLEVEL=0")
    return made


@pytest.fixture
def opened():
    """An ``amqp.Connection`` over TLS to a peer that says nothing more."""
    ours, theirs = socket.socketpair()
    peers = []

    def accept():
        peers.append(context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(theirs, server_side=True))

    accepting = threading.Thread(target=accept)
    accepting.start()
    transport = SSLTransport("127.0.0.1:1")
    transport.sock = context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours)
    accepting.join()
    opened = amqp.Connection()
    opened.transport = transport
    yield opened
    ours.close()
    peers[0].close()


def test_a_peer_that_says_nothing_is_not_waited_for(opened):
    sock = opened.transport.sock
    dropping = threading.Thread(target=connection.drop, args=(opened,), daemon=True)
    dropping.start()
    dropping.join(LONG_S)
    assert not dropping.is_alive()
    assert sock.fileno() == -1


def test_what_is_cut_or_closed_already_is_dropped_as_well(opened):
    # This is what forgets the TLS, and makes py-amqp raise ValueError.
    opened.transport.sock.shutdown(socket.SHUT_RDWR)
    sock = opened.transport.sock
    connection.drop(opened)
    assert sock.fileno() == -1
    connection.drop(opened)
    connection.drop(amqp.Connection())


def test_a_consumer_s_host_closes_from_under_the_thread_that_waits(opened, monkeypatch):
    waits, failures = threading.Event(), []

    def drain_events(_seconds):
        if not opened.transport.sock.recv(1):
            raise OSError("closed")

    channel = SimpleNamespace()
    for name in ("exchange_declare", "queue_declare", "queue_bind", "basic_consume"):
        setattr(channel, name, lambda *_, **__: None)
    channel.basic_consume = lambda *_, **__: waits.set()
    monkeypatch.setattr(opened, "channel", lambda: channel)
    monkeypatch.setattr(opened, "drain_events", drain_events)
    monkeypatch.setattr(hosting, "bounded", lambda *_: opened)
    monkeypatch.setattr(threading, "excepthook", failures.append)
    host = hosting.Host(Login(()), "t", Consumer("5a", "t", "t", "h", 1, {}), print, print, Group())
    assert waits.wait(LONG_S)
    host.close()
    deadline = time.monotonic() + LONG_S
    while any(thread.name == "omrig meeting" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert failures == []
