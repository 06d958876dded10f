"""The arrival clock on real connections, against known send times."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy
import pytest

from omrig.recordings import arrivals, tcp_info
from omrig.watcher import layout, process
from omrig.watcher.client import Watcher

pytestmark = pytest.mark.measures

MESSAGE = 10 * 1024

WRITER = """
import random, socket, sys, time
port, count, size = map(int, sys.argv[1:])
connection = socket.create_connection(("127.0.0.1", port))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
generator, message = random.Random(1), bytes(size)
sent = []
for _ in range(count):
    time.sleep(generator.uniform(0.003, 0.010))
    sent.append(time.perf_counter_ns())
    connection.sendall(message)
print(*sent)
"""


@pytest.fixture(params=["capture", "edges"])
def watched(request, tmp_path):
    """A watcher that is running, and is finished in the end."""
    client = Watcher()
    client.start(tmp_path, {}, capture=request.param == "capture")
    assert client.alive
    assert client.capturing == (request.param == "capture")
    yield client
    client.finish()


@contextmanager
def pair():
    """Both ends of a TCP connection: the sender's and the receiver's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender.settimeout(10)
        receiver.settimeout(10)
        yield sender, receiver


def eventually(condition, patience_s=10.0):
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def holds(pid, link):
    """Whether a process holds the file that ``link`` names."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(path.readlink())
    return link in links


def ended(pid):
    """Whether a process is gone, or waits for nothing but to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def identity(connection):
    return Path(f"/proc/self/fd/{connection.fileno()}").readlink()


def arrived(folder, connection, *offsets):
    """The arrival of each end offset on one connection."""
    numbers = numpy.full(len(offsets), connection)
    return arrivals.times(arrivals.read(folder), numbers, numpy.array(offsets))


def read_late(connection, total, lag_s):
    """Times and counts of a reader that gets round to reading every ``lag_s``."""
    reads, count = [], 0
    while count < total:
        count += len(connection.recv(1 << 20))
        reads.append((time.perf_counter_ns(), count))
        time.sleep(lag_s)
    return numpy.array(reads).T


def tls_context(protocol):
    """A context that needs no certificate."""
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("ADH-AES256-GCM-SHA384:ADH-AES128-SHA:AECDH-AES256-SHA:@SECLEVEL=0")
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        made.set_ecdh_curve("prime256v1")
    return made


def shake_hands(client, server):
    """A TLS handshake with both ends in one thread."""
    client.setblocking(False)
    server.setblocking(False)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    client.settimeout(10)
    server.settimeout(10)


def test_arrival_is_the_send_however_late_the_reader(watched, tmp_path):
    count = 300
    with socket.create_server(("127.0.0.1", 0)) as server:
        # Wide enough that the sender never waits for the reader.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        port = server.getsockname()[1]
        command = [sys.executable, "-c", WRITER, str(port), str(count), str(MESSAGE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            connection, _ = server.accept()
            with connection:
                watched.add(7, connection.fileno(), watch=True)
                times, counts = read_late(connection, count * MESSAGE, 0.010)
                sent = numpy.array(writer.communicate()[0].split(), dtype=numpy.int64)
                watched.finish()
    offsets = numpy.arange(1, count + 1) * MESSAGE
    arrival = arrived(tmp_path, 7, *offsets)
    read = times[numpy.searchsorted(counts, offsets)]
    # 0, no arrival, would be earlier too.
    assert (arrival >= sent).all()
    arrival = numpy.minimum(arrival, read)
    assert numpy.median(arrival - sent) < 0.1 * numpy.median(read - sent)


def test_finish_reports(watched):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        sender.sendall(b"x")
        time.sleep(0.1)
        assert watched.finish() in layout.SCHEDULING
    assert watched.alive
    assert watched.missed == 0
    # The beginning of the stream and the data; the capture sees every stream's beginning.
    assert watched.events == 2 or (watched.capturing and watched.events > 2)
    assert watched.cpu_ns > 0
    assert watched.info_bytes >= layout.INFO_ENDS["bytes_received"]
    assert ended(watched.pid)
    assert watched.finish() in layout.SCHEDULING


def test_only_what_arrives_after_watch_is_timed(watched, tmp_path):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=False)
        sender.sendall(bytes(100))
        time.sleep(0.1)
        before = time.perf_counter_ns()
        watched.watch(1)
        time.sleep(0.1)
        between = time.perf_counter_ns()
        sender.sendall(bytes(100))
        time.sleep(0.1)
        watched.finish()
    early, late, never = arrived(tmp_path, 1, 100, 200, 201)
    assert before < early < between < late
    assert never == 0


def test_a_dropped_connection_really_closes(watched):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        link = identity(receiver)
        assert eventually(lambda: holds(watched.pid, link))
        watched.drop(1)
        receiver.close()
        began = time.monotonic()
        assert sender.recv(1) == b""
        assert time.monotonic() - began < 0.5


def test_a_connection_that_is_shut_down_is_dropped(watched):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        link = identity(receiver)
        assert eventually(lambda: holds(watched.pid, link))
        receiver.shutdown(socket.SHUT_RDWR)
        assert eventually(lambda: not holds(watched.pid, link), 0.5)
        receiver.close()
        assert sender.recv(1) == b""


@pytest.mark.parametrize("watch", [True, False])
def test_a_connection_closed_without_a_word_closes_soon(watched, watch):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=watch)
        link = identity(receiver)
        assert eventually(lambda: holds(watched.pid, link))
        receiver.close()
        assert sender.recv(1) == b""


def test_the_next_connection_starts_anew(watched, tmp_path):
    for number, length in ((1, 5000), (2, 300)):
        with pair() as (sender, receiver):
            watched.add(number, receiver.fileno(), watch=True)
            sender.sendall(bytes(length))
            time.sleep(0.1)
            watched.drop(number)
    watched.finish()
    assert all(arrived(tmp_path, 1, 300, 5000))
    first, second = arrived(tmp_path, 2, 300, 5000)
    assert first > arrived(tmp_path, 1, 5000)[0]
    assert second == 0


def test_tls_is_bytes_too(watched, tmp_path):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        server = tls_context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
            receiver, server_side=True, do_handshake_on_connect=False
        )
        client = tls_context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(
            sender, do_handshake_on_connect=False
        )
        shake_hands(client, server)
        before = time.perf_counter_ns()
        client.sendall(b"secret" * 1000)
        # What is read before the watcher looks, once in a millisecond, it does not see.
        time.sleep(0.02)
        assert server.recv(6) == b"secret"
        time.sleep(0.1)
        total = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)[128:]
        offset = int.from_bytes(total, sys.byteorder)
        watched.finish()
        client.close()
        server.close()
    assert offset > 6000
    assert arrived(tmp_path, 1, offset)[0] > before


def test_the_watcher_dies_with_its_parent(tmp_path):
    script = """
    import socket, sys, time
    from pathlib import Path
    from omrig.watcher.client import Watcher
    watcher = Watcher()
    watcher.start(Path(sys.argv[1]), {})
    server = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(server.getsockname())
    receiver, _ = server.accept()
    watcher.add(1, receiver.fileno(), watch=True)
    sender.sendall(bytes(1000))
    time.sleep(0.2)
    print(watcher.pid, flush=True)
    time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert not ended(pid)
        parent.kill()
    assert eventually(lambda: ended(pid), 2.0)
    assert arrived(tmp_path, 1, 1000)[0] > 0


def test_a_dead_watcher_is_reported_and_raises_nothing(watched):
    os.kill(watched.pid, signal.SIGKILL)
    assert eventually(lambda: ended(watched.pid))
    with pair() as (_, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        watched.watch(1)
        watched.drop(1)
    assert not watched.alive
    assert watched.finish() in layout.SCHEDULING


def test_sigterm_completes_the_logs_and_sigint_is_ignored(watched, tmp_path):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        sender.sendall(bytes(1000))
        time.sleep(0.1)
        os.kill(watched.pid, signal.SIGINT)
        time.sleep(0.1)
        assert not ended(watched.pid)
        os.kill(watched.pid, signal.SIGTERM)
        assert eventually(lambda: ended(watched.pid))
    assert arrived(tmp_path, 1, 1000)[0] > 0


def test_commands_without_room_or_connection_are_counted(watched):
    os.kill(watched.pid, signal.SIGSTOP)
    while not watched.missed:
        watched.watch(1)
    os.kill(watched.pid, signal.SIGCONT)
    assert watched.alive
    time.sleep(0.2)
    missed = watched.missed
    watched.add(2, 9999, watch=True)
    assert watched.missed == missed + 1
    assert watched.alive


def test_what_is_not_tcp_is_not_watched(watched, tmp_path):
    one, other = socket.socketpair()
    with one, other:
        watched.add(1, one.fileno(), watch=True)
        other.sendall(b"x")
        watched.finish()
    assert watched.alive
    assert arrivals.read(tmp_path) == {}
    assert tcp_info.read(tmp_path) == []


def test_nothing_else_is_inherited(tmp_path):
    read, write = os.pipe()
    os.set_inheritable(write, True)
    client = Watcher()
    client.start(tmp_path, {})
    os.close(write)
    os.set_blocking(read, False)
    assert os.read(read, 1) == b""
    os.close(read)
    client.finish()


def test_under_eventlet_nothing_yields(tmp_path):
    script = """
    import eventlet
    eventlet.monkey_patch()
    import socket, sys
    from pathlib import Path
    from omrig.watcher.client import Watcher
    yielded = []
    eventlet.spawn(yielded.append, True)
    watcher = Watcher()
    watcher.start(Path(sys.argv[1]), {})
    assert not yielded
    server = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(server.getsockname())
    receiver, _ = server.accept()
    yielded.clear()
    eventlet.spawn(yielded.append, True)
    watcher.add(1, receiver.fileno(), watch=True)
    assert not yielded
    sender.sendall(bytes(1000))
    eventlet.sleep(0.1)
    assert yielded
    eventlet.spawn(yielded.append, True)
    watcher.finish()
    assert watcher.alive and len(yielded) == 1
    """
    command = [sys.executable, "-Wignore", "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert arrived(tmp_path, 1, 1000)[0] > 0


def test_tcp_info_tells_what_is_unread(watched, tmp_path):
    with pair() as (sender, receiver):
        watched.add(1, receiver.fileno(), watch=True)
        watched.add(2, sender.fileno(), watch=False)
        sender.sendall(bytes(5000))
        time.sleep(1.3)
        watched.finish()
    ours, theirs = tcp_info.read(tmp_path)
    assert ours["connection"] == 1
    assert ours["unread_bytes_max"] == 5000
    assert ours["last_ns"] - ours["first_ns"] > 1_000_000_000
    assert ours["series"]["unread_bytes"][-2:] == [5000, 5000]
    assert theirs["send_queue_bytes_max"] == 0
    assert 0 < theirs["rtt_us_max"] < 100_000
    assert theirs["retransmits"] == 0
    assert theirs["rwnd_limited_us"] == 0


def test_tcp_info_tells_who_held_up_the_sender(watched, tmp_path):
    with pair() as (sender, _):
        watched.add(1, sender.fileno(), watch=False)
        sender.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                sender.send(bytes(1 << 20))
        time.sleep(0.5)
        watched.finish()
    (summary,) = tcp_info.read(tmp_path)
    assert summary["rwnd_limited_us"] > 300_000
    assert summary["busy_us"] >= summary["rwnd_limited_us"]
    assert summary["send_queue_bytes_max"] > 0


@pytest.mark.parametrize(
    ("again", "had_already", "known", "lost"), [(5, 3, 240, 2), (5, 5, 240, 0), (5, 3, 192, 5)]
)
def test_what_the_peer_had_already_was_not_lost(again, had_already, known, lost):
    info = bytearray(240)
    info[100:104] = again.to_bytes(4, sys.byteorder)  # tcpi_total_retrans, linux/tcp.h
    info[216:220] = had_already.to_bytes(4, sys.byteorder)  # tcpi_dsack_dups
    columns = layout.TCP_INFO_COLUMNS[2:13]
    found = dict(zip(columns, process.told(bytes(info[:known])), strict=True))
    assert found == dict.fromkeys(columns, 0) | {"retransmits": lost}


def test_tcp_info_columns_are_what_they_say(watched, tmp_path):
    with pair() as (sender, receiver):
        watched.add(3, sender.fileno(), watch=False)
        sender.sendall(bytes(5000))
        receiver.sendall(bytes(70))
        time.sleep(0.2)
        watched.finish()
        kernel = len(sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512))
    _added, last = numpy.fromfile(tmp_path / layout.TCP_INFO, dtype="<u8").reshape(2, -1)
    row = dict(zip(layout.TCP_INFO_COLUMNS, last.tolist(), strict=True))
    expected = {
        "connection": 3,
        "retransmits": 0,
        "bytes_acked": 5001,
        "bytes_received": 70,
        "notsent_bytes": 0,
        "rwnd_limited_us": 0,
        "sndbuf_limited_us": 0,
        "bytes_sent": 5000 if kernel >= layout.INFO_ENDS["bytes_sent"] else 0,
        "unread_bytes": 70,
        "send_queue_bytes": 0,
        "info_bytes": kernel,
    }
    assert {name: row[name] for name in expected} == expected
