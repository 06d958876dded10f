"""The arrival clock with TLS: messages of known departure, read late, as py-amqp reads them."""

import socket
import ssl
import subprocess
import sys
import threading
import time

import numpy
import pytest

from omrig.measured.probes import connections
from omrig.recordings import arrivals
from tests.unit.watcher.test_watcher import tls_context, watched

__all__ = ["watched"]

pytestmark = pytest.mark.measures

FRAME_HEAD, FRAME_END = 7, 1

WRITES = 120
AT_ONCE = 10
"""Writes after which the reader sleeps, and for how long."""

LAG_S = 0.15

WRITER = """
import socket, ssl, sys, time
from tests.unit.watcher.test_watcher import tls_context
port, count, size = map(int, sys.argv[1:])
plain = socket.create_connection(("127.0.0.1", port))
plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
connection = tls_context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain)
sent = []
for _ in range(count):
    time.sleep(0.005)
    sent.append(time.perf_counter_ns())
    connection.sendall(bytes(size))
print(*sent)
"""


def _read_exactly(connection, size):
    left = size
    while left:
        left -= len(connection.read(left))


def _read_messages(connection, sizes):
    """When each message was read, and where in the stream it ends by the probes' reckoning."""
    reads, ends = [], []
    for number, size in enumerate(sizes * WRITES):
        if number % (AT_ONCE * len(sizes)) == 0:
            time.sleep(LAG_S)
        _read_exactly(connection, FRAME_HEAD)
        _read_exactly(connection, size - FRAME_HEAD - FRAME_END)
        _read_exactly(connection, FRAME_END)
        reads.append(time.perf_counter_ns())
        ends.append(connections.consumed(connection))
    return numpy.array(reads), numpy.array(ends)


def _busy(over):
    while not over.is_set():
        sum(range(1000))


@pytest.fixture
def busy():
    """Two threads that take the interpreter's lock while the kernel is asked."""
    over = threading.Event()
    threads = [threading.Thread(target=_busy, args=(over,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([1_500] * 4, id="several messages in a record"),
        pytest.param([10_240] * 5, id="a message in two records"),
        pytest.param([100_000], id="a message of many records"),
    ],
)
def test_a_message_arrives_with_its_record_however_late_it_is_read(watched, tmp_path, sizes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        # Wide enough that the sender never waits for the reader.
        server.setsockopt(socket.SOL_SOCKET, connections._SO_RCVBUFFORCE, 1 << 22)
        command = [sys.executable, "-c", WRITER, str(server.getsockname()[1])]
        with subprocess.Popen(
            [*command, str(WRITES), str(sum(sizes))], stdout=subprocess.PIPE, text=True
        ) as writer:
            plain, _ = server.accept()
            watched.add(1, plain.fileno(), watch=True)
            with tls_context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(plain, server_side=True) as ours:
                read, ends = _read_messages(ours, sizes)
                sent = numpy.array(writer.communicate()[0].split(), dtype=numpy.int64)
                watched.finish()
    # The records of a write end where its last message does, and all writes are alike.
    last = ends.reshape(WRITES, len(sizes))[:, -1]
    assert (numpy.diff(last) == last[1] - last[0]).all()
    assert (numpy.diff(ends) >= 0).all()
    found = arrivals.times(arrivals.read(tmp_path), numpy.ones(len(ends), numpy.int64), ends)
    departed = numpy.repeat(sent, len(sizes))
    # 0: read before the watcher looked.
    assert (found[found > 0] >= departed[found > 0]).all()
    arrived = numpy.where(found > 0, numpy.minimum(found, read), read)
    late = read - departed
    assert late.mean() > 20_000_000
    assert (arrived - departed).sum() < 0.1 * late.sum()
