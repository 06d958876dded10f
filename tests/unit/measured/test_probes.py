"""The probes: put in and taken out, and what they note of a connection."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import amqp
import pytest

from omrig.drivers import maps
from omrig.measured.probes import actions, connections, install
from omrig.measured.probes.state import State
from omrig.model import stamps as at
from omrig.model.actions import FORMS, Action
from omrig.model.connections import CLOSED, LOST, OPENED
from omrig.model.stage_map import Probe
from tests.unit.measured.stamping import IMPLEMENTATIONS, NoWatcher

now = time.perf_counter_ns

pytestmark = pytest.mark.usefixtures("module")
"""Each with both implementations of the stamps."""


def _state(sample=1):
    state = State(NoWatcher(), sample)
    state.stamps.on = True
    return state


def _sites():
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    assert missing == []
    return sites


@pytest.fixture
def message():
    """Makes a message that is on its way, and ends it."""
    begun = []

    def begin(state):
        state.stamps.begin(1)
        begun.append(state)
        return state.stamps.current()

    yield begin
    for state in begun:
        state.stamps.end()


# Put in and taken out


def _attribute(site):
    """What is at a site now."""
    return vars(site.owner)[site.name]


def _attributes_and_codes(sites):
    return [(_attribute(site), site.unwrapped().__code__) for site in sites]


@pytest.mark.parametrize("context", [install.installed, install.stamping])
def test_afterwards_every_function_has_its_own_code_again(context):
    sites, state = _sites(), _state()
    before = _attributes_and_codes(sites)
    assert any(isinstance(_attribute(site), staticmethod) for site in sites)
    with context(state, sites):
        for (attribute, code), (was, own) in zip(_attributes_and_codes(sites), before, strict=True):
            assert attribute is was
            assert code is not own
    assert _attributes_and_codes(sites) == before
    assert state.failures == []


def test_an_error_in_the_block_leaves_nothing_behind():
    sites = _sites()
    codes = [site.unwrapped().__code__ for site in sites]
    with pytest.raises(ZeroDivisionError), install.stamping(_state(), sites):
        raise ZeroDivisionError
    assert [site.unwrapped().__code__ for site in sites] == codes


def test_what_was_bound_before_is_stamped_too(message):
    from oslo_messaging._drivers import common

    bound = common.serialize_msg
    state = _state()
    with install.stamping(state, _sites()):
        record = message(state)
        bound({"_msg_id": "a" * 32})
        assert record[at.JSON_OUT] > 0


def test_code_that_somebody_else_has_put_in_meanwhile_stays():
    (site,) = [each for each in _sites() if each.name == "serialize_msg"]
    function = site.unwrapped()
    original = function.__code__
    try:
        with install.installed(_state(), [site]):
            theirs = function.__code__.replace(co_name="theirs")
            function.__code__ = theirs
        assert function.__code__ is theirs
    finally:
        function.__code__ = original


def test_a_function_without_the_parameter_is_told_and_left_alone():
    action = Action("carry", {"by": "gone", "enter": "submit"})
    probe = Probe(action, "kombu.messaging:Producer.publish", "kombu")
    (site,), _ = maps.resolve([maps.StageMap(*("",) * 3, (), (), "", (), (), (probe,))])
    state = _state()
    original = site.unwrapped().__code__
    with install.installed(state, [site]):
        assert site.unwrapped().__code__ is original
    assert state.failures == [
        "kombu.messaging:Producer.publish: Producer.publish has no parameter gone"
    ]
    assert state.lost_stages == {"decode", "decode_stall", "batch_wait", "executor_queue"}


def test_every_action_that_a_map_may_ask_for_is_there():
    assert actions._GRAFTS.keys() == FORMS.keys()


def test_sites_are_split_without_rest():
    sites = _sites()
    bound, passed, opening = install.split(sites)
    assert len(bound) + len(passed) + len(opening) == len(sites)
    assert {site.probe.action.name for site in opening} == {"message", "adopt"}
    assert {site.probe.action.name for site in bound} == {"wrap", "note"}
    assert {site.probe.action.name for site in passed} >= {"adopt", "serve"}


def _is_stamped_by_the_kernel(sock):
    return bool(sock.getsockopt(socket.SOL_SOCKET, connections._SO_TIMESTAMPNS))


def test_a_connection_that_is_still_open_gets_its_own_send_and_receive_back():
    from amqp.transport import TCPTransport

    state = _state()
    bound, passed, _ = install.split(_sites())
    with socket.create_server(("127.0.0.1", 0)) as server:
        with install.installed(state, bound):
            transport = TCPTransport(f"127.0.0.1:{server.getsockname()[1]}")
            transport.connect()
            peer, _ = server.accept()
            assert transport._write == transport.sock.sendall
            with install.stamping(state, passed):
                assert transport._write != transport.sock.sendall
                transport.write(b"stamped")
                peer.sendall(b"answer")
                assert transport._quick_recv(6) == b"answer"
                assert _is_stamped_by_the_kernel(transport.sock)
            assert transport._write == transport.sock.sendall
            assert transport._quick_recv == transport.sock.recv
            assert not _is_stamped_by_the_kernel(transport.sock)
            transport.close()
        assert peer.recv(100).endswith(b"stamped")
        peer.close()


def test_a_connection_that_cannot_be_stamped_is_made_all_the_same():
    state = _state()
    connections.made(state)(object())
    assert len(state.failures) == 1
    assert state.failures[0].startswith("_note_tcp: AttributeError")


# The socket


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_full_send_buffer_delivers_everything_and_is_summed(message, timeout):
    state = _state()
    record = message(state)
    sender, receiver = socket.socketpair()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    sender.settimeout(timeout)
    data = os.urandom(300_000)
    received = bytearray()

    def read():
        # The sender finds its buffer full for this long at least.
        time.sleep(0.1)
        while len(received) < len(data):
            received.extend(receiver.recv(10_000))

    reader = threading.Thread(target=read)
    reader.start()
    begin = now()
    connections.stamped_write(state, sender, sender)(data)
    end = now()
    reader.join()
    sender.close()
    receiver.close()
    assert bytes(received) == data
    assert 80_000_000 < record[at.SOCKET_WAIT] <= end - begin
    assert begin + record[at.SOCKET_WAIT] <= record[at.DEPART] <= end


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_full_send_buffer_under_eventlet(implementation):
    script = """
    import eventlet
    eventlet.monkey_patch()
    import os, socket, time
    from omrig.measured.probes import connections
    from omrig.measured.probes.state import State
    from omrig.model.stamps import DEPART, SOCKET_WAIT
    state = State(None, 1)
    state.stamps.on = True
    state.stamps.begin(1)
    record = state.stamps.current()
    sender, receiver = socket.socketpair()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    data, received = os.urandom(300_000), bytearray()
    def read():
        eventlet.sleep(0.1)
        while len(received) < len(data):
            received.extend(receiver.recv(10_000))
    reader = eventlet.spawn(read)
    connections.stamped_write(state, sender, sender.fd)(data)
    end = time.perf_counter_ns()
    reader.wait()
    assert bytes(received) == data
    assert 80_000_000 < record[SOCKET_WAIT] < record[DEPART] <= end
    """
    command = [sys.executable, "-Wignore", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr


class ShortSocket:
    """Takes at most ``room`` bytes a send, and notes when each send was entered."""

    def __init__(self, room):
        self.room = room
        self.sends = []
        self.data = b""

    def gettimeout(self):
        return None

    def fileno(self):
        return -1

    def send(self, data, _flags):
        self.sends.append(now())
        time.sleep(0.002)
        self.data += bytes(data[: self.room])
        return min(self.room, len(data))

    def sendall(self, data):
        self.sends.append(now())
        time.sleep(0.002)
        self.data += bytes(data)


@pytest.mark.parametrize("room", [1000, 400, 999])
def test_departure_is_the_clock_before_the_last_send(message, module, room):
    state = _state()
    record = message(state)
    sock = ShortSocket(room)
    data = os.urandom(1000)
    connections.stamped_write(state, sock, sock)(data)
    assert sock.data == data
    if room == 999:
        # The last byte was taken by the wait itself: it left when the wait ended.
        assert record[at.DEPART] > sock.sends[-1]
    else:
        assert record[at.DEPART] <= sock.sends[-1]
    assert all(record[at.DEPART] > send for send in sock.sends[:-1])


@pytest.mark.parametrize("confirmed", [False, True])
def test_without_a_message_on_its_way_the_socket_sends_as_ever(message, confirmed):
    state = _state()
    record = message(state) if confirmed else None
    if record is not None:
        record[at.CONFIRM] = 1
    sock = ShortSocket(10)
    connections.stamped_write(state, sock, sock)(b"heartbeat, or the frames of another message")
    assert len(sock.sends) == 1
    assert record is None or record[at.DEPART] == 0


@pytest.fixture
def pair(request):
    """A connection: who sends, who receives, and a function that receives stamped."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    receiver.setsockopt(socket.SOL_SOCKET, connections._SO_TIMESTAMPNS, 1)
    with sender, receiver:
        yield sender, receiver


def _receive(module, receiver, link, capturing):
    slow = connections.counted_receive if capturing else connections.stamped_receive
    stamps = _state().stamps
    return stamps.receive(receiver, link, slow(receiver, link), not capturing)


def test_with_a_capture_only_confirms_are_stamped(module, pair):
    sender, receiver = pair
    link = module.Link(1)
    receive = _receive(module, receiver, link, capturing=True)
    sender.sendall(bytes(7 + 1000 + 1))
    assert [len(receive(size)) for size in (7, 1000, 1)] == [7, 1000, 1]
    assert link.stamp == 0 and 0 < link.read <= now()
    assert connections.end_offset(link) == link.offset == 1008
    deadline = time.monotonic() + 5
    while not link.stamp and time.monotonic() < deadline:
        sender.sendall(bytes(connections._CONFIRM_BYTES))
        assert len(receive(connections._CONFIRM_BYTES)) == connections._CONFIRM_BYTES
    assert link.stamp > 0


def test_a_frame_is_read_with_its_last_byte_and_stamped_with_its_body(module, pair):
    sender, receiver = pair
    link = module.Link(1)
    receive = _receive(module, receiver, link, capturing=False)
    # The kernel turns stamps on a moment after the first socket asks for them.
    deadline = time.monotonic() + 5
    while not link.stamp and time.monotonic() < deadline:
        sender.sendall(bytes(1000))
        receive(1000)
    link.stamp = link.offset = 0
    before = time.time_ns()
    sender.sendall(bytes(7 + 1000 + 1))
    time.sleep(0.05)
    assert receive(7) == bytes(7)
    assert (link.stamp, link.read, link.offset) == (0, 0, 7)
    assert len(receive(1000)) == 1000
    assert before <= link.stamp < time.time_ns() - 40_000_000
    assert (link.read, link.offset) == (0, 1007)
    assert receive(1) == b"\0"
    assert 0 < link.read <= now()
    assert connections.end_offset(link) == link.offset == 1008


def test_a_receive_waits_as_long_as_its_socket_does_and_takes_what_is_there(module, pair):
    sender, receiver = pair
    receiver.settimeout(0.05)
    link = module.Link(1)
    receive = _receive(module, receiver, link, capturing=True)
    with pytest.raises(TimeoutError):
        receive(7)
    sender.sendall(b"part")
    assert receive(7) == b"part"
    sender.close()
    assert receive(7) == b""
    assert link.offset == 4


def test_of_a_closed_socket_nobody_else_s_bytes_are_read_or_written(message, module, pair):
    _, receiver = pair
    state = _state()
    link = module.Link(1)
    receive = _receive(module, receiver, link, capturing=True)
    write = connections.stamped_write(state, receiver, receiver)
    descriptor = receiver.fileno()
    receiver.close()
    # The next socket gets the number of the closed one.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert descriptor in (ours.fileno(), theirs.fileno())
        ours.sendall(b"secret")
        theirs.sendall(b"secret")
        with pytest.raises(OSError, match="Bad file descriptor"):
            receive(6)
        message(state)
        with pytest.raises(OSError, match="Bad file descriptor"):
            write(b"astray")
        assert ours.recv(100) == theirs.recv(100) == b"secret"


def _reset(sender, receiver):
    """Have a connection cut by the other end, as a broker that is killed does."""
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    deadline = time.monotonic() + 5
    while receiver.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\x07":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_connection_that_was_cut_is_told_as_the_socket_tells_it(message, module, pair):
    sender, receiver = pair
    receive = _receive(module, receiver, module.Link(1), capturing=True)
    _reset(sender, receiver)
    with pytest.raises(ConnectionResetError):
        receive(7)
    assert receive(7) == b""


def test_a_message_on_a_connection_that_was_cut_fails_as_it_would_have(message, module, pair):
    sender, receiver = pair
    state = _state()
    record = message(state)
    write = connections.stamped_write(state, receiver, receiver)
    _reset(sender, receiver)
    with pytest.raises(ConnectionResetError):
        write(b"a message")
    assert record[at.DEPART] == 0
    with pytest.raises(BrokenPipeError):
        write(b"a message")


def test_the_end_of_a_stream_with_tls_is_what_the_kernel_says(pair, module):
    sender, receiver = pair
    link = module.Link(1, receiver)
    sender.sendall(bytes(100))
    time.sleep(0.05)
    assert connections.end_offset(link) == 0
    receiver.recv(60)
    assert connections.end_offset(link) == 60
    assert link.offset == 0
    sender.close()
    time.sleep(0.05)
    assert connections.end_offset(link) == 60
    receiver.recv(40)
    assert connections.end_offset(link) == 100
    assert receiver.recv(1) == b""
    assert connections.end_offset(link) == 100


@pytest.mark.parametrize("capturing", [False, True])
def test_a_connection_is_counted_anew_by_whoever_reads_from_it(module, capturing):
    """Stamped by another thread while the reader is within a receive of its own."""
    state = State(NoWatcher(), 1, enlarge=False)
    state.watcher.capturing = capturing
    bound, passed, _ = install.split(_sites())
    receive = actions.graft(state, Action("receive", {"link": "message.transport"}))
    assert receive.enter is not None
    state.stamps.on = True
    with socket.create_server(("127.0.0.1", 0)) as server, install.installed(state, bound):
        transport = amqp.transport.TCPTransport(f"127.0.0.1:{server.getsockname()[1]}")
        transport.connect()
        peer, _ = server.accept()
        peer.sendall(bytes(100))
        assert len(transport._quick_recv(100)) == 100
        link, told = transport._omrig_link, []

        def read():
            for sizes in ((7, 40, 1), (7, 200, 1), (7, 300, 1)):
                for size in sizes:
                    assert len(transport._quick_recv(size)) == size
                before = now()
                receive.enter.function(types.SimpleNamespace(transport=transport))
                told.append((link.offset, link.read, before))

        reader = threading.Thread(target=read)
        reader.start()
        while not _is_in_recv(reader):
            time.sleep(0.001)
        with install.stamping(state, passed):
            assert transport._quick_recv != transport.sock.recv
            # Whoever stamps it has seen 100 bytes, and 7 more go to a receive that nobody counts.
            assert link.offset == 100
            peer.sendall(bytes(7 + 40 + 1))
            while not told:
                time.sleep(0.001)
            # More has come already when the next one is there.
            peer.sendall(bytes(7 + 200 + 1) + bytes(7 + 300 + 1))
            reader.join()
        transport.close()
        peer.close()
    assert [offset for offset, _, _ in told] == [148, 356, 664]
    assert all(0 < read <= before for _, read, before in told)
    assert link.anew is None
    assert not state.stamps.broken and state.failures == []


def _is_in_recv(thread):
    """Whether a thread waits in the kernel for what is received."""
    wchan = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text()
    return wchan.split()[0] in {"45", "47", "207", "212"}


def test_in_a_service_no_receive_buffer_is_touched(module, pair):
    _, receiver = pair
    before = receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    for enlarge in (False, True):
        state = State(NoWatcher(), 1, enlarge=enlarge)
        transport = _Transport(receiver, module.Link(1))
        state.transports.add(transport)
        connections.consumes(state)(_Channel(transport))
        assert state.failures == []
        after = receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert (state.receive_buffer_bytes > 0) == enlarge
        assert enlarge or after == before
        assert transport._omrig_link.consumes


class _Transport:
    """What py-amqp's transport has that the probes look at."""

    def __init__(self, sock, link):
        self.sock = sock
        self._omrig_link = link


class _Channel:
    """... and its channel."""

    def __init__(self, transport):
        self.connection = types.SimpleNamespace(transport=transport)


def test_after_a_fork_the_connections_are_the_parent_s(module):
    state = _state()
    state.new_link()
    state.stamping = True
    state.note_blocked("memory")
    state.connections[1] = [(now(), OPENED, "host:1")]
    state.forget()
    assert (state.links, state.blocked, state.connections, state.stamping) == (0, [], {}, False)
    assert len(state.transports) == 0


def test_what_comes_while_the_kernel_is_asked_was_not_taken(pair, module, monkeypatch):
    sender, receiver = pair
    link = module.Link(1, receiver)
    asked, more = fcntl.ioctl, [bytes(30), bytes(7)]

    def ioctl(*arguments):
        answer = asked(*arguments)
        # As if whoever asks had lost the interpreter's lock, or its core.
        if more:
            sender.sendall(more.pop())
            time.sleep(0.05)
        return answer

    sender.sendall(bytes(100))
    receiver.recv(60)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert connections.end_offset(link) == 60
    assert not more


def test_what_the_broker_says_of_a_connection_is_noted():
    from oslo_messaging._drivers.impl_rabbit import Connection

    state = _state()
    sites = [site for site in _sites() if site.probe.action.name == "note"]
    with install.installed(state, sites):
        Connection._on_connection_blocked("memory")
        Connection._on_connection_unblocked()
    (blocked, reason), (unblocked, nothing) = state.blocked
    assert (reason, nothing) == ("memory", "")
    assert blocked < unblocked


def test_a_connection_that_was_lost_is_told_from_one_that_was_closed():
    """With the address of the node at which it was; py-amqp closes what it has found to be lost."""
    state = _state()
    sites = [site for site in _sites() if site.probe.action.name == "wrap"]
    with socket.create_server(("127.0.0.1", 0)) as server, install.installed(state, sites):
        port = server.getsockname()[1]
        made = []
        for _ in range(2):
            transport = amqp.transport.TCPTransport(f"127.0.0.1:{port}")
            transport.connect()
            made.append((transport, server.accept()[0]))
        (kept, kept_peer), (cut, cut_peer) = made
        kept.close()
        cut_peer.close()
        with pytest.raises(OSError, match=r"closed|reset"):
            cut.read_frame()
        cut.close()
        cut.close()
        kept_peer.close()
    noted = {
        number: [(what, address) for _, what, address in each]
        for number, each in state.connections.items()
    }
    address = f"127.0.0.1:{port}"
    assert noted == {
        1: [(OPENED, address), (CLOSED, address)],
        2: [(OPENED, address), (LOST, address)],
    }


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("patched", [False, True])
def test_a_connection_is_stamped_with_green_sockets_and_with_native_ones(implementation, patched):
    script = f"""
    import eventlet
    if {patched}:
        eventlet.monkey_patch()
    import socket
    from amqp.transport import TCPTransport
    from omrig.drivers import maps
    from omrig.measured.probes import install
    from omrig.measured.probes.state import State
    class Watcher:
        capturing = True
        def __getattr__(self, name):
            return lambda *_: None
    state = State(Watcher(), 1)
    bound, passed, _ = install.split(maps.resolve(maps.for_scheme("rabbit"))[0])
    with socket.create_server(("127.0.0.1", 0)) as server, install.installed(state, bound):
        with install.stamping(state, passed):
            transport = TCPTransport(f"127.0.0.1:{{server.getsockname()[1]}}")
            transport.connect()
            peer, _ = server.accept()
            peer.sendall(b"answer.")
            assert transport._quick_recv(7) == b"answer."
            peer.close()
        assert transport._omrig_link.offset == 7
        transport.close()
    assert state.failures == [], state.failures
    """
    command = [sys.executable, "-Wignore", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
