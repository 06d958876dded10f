"""The probes: what they stamp, and that nothing of them stays behind."""

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import types

import numpy
import pytest

from omrig.drivers import maps
from omrig.measured.probes import correlate, install, receiving, sending, sockets
from omrig.measured.probes.record import _NOTE_NS, Link, State, now
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.stages import StagesProfiler
from omrig.model import stamps as at
from omrig.model.kinds import KINDS
from omrig.recordings import cpu as cpu_log

MESSAGE_ID = "0123456789abcdef0123456789abcdef"


class NoWatcher:
    """Takes the commands that a watcher would."""

    capturing = False

    def add(self, *_):
        pass

    watch = drop = add


def _state(sample=1):
    state = State(NoWatcher(), sample)
    state.on = True
    return state


def _sites():
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    assert missing == []
    return sites


def _record(state):
    """A message on its way, as the probes of its thread see it."""
    record = [0] * len(at.PRODUCER_COLUMNS)
    state.sending.set(record)
    return record


# Put in and taken out


@pytest.mark.parametrize("context", [install.installed, install.stamping])
def test_afterwards_every_attribute_is_the_original_again(context):
    sites = _sites()
    originals = [site.original for site in sites]
    assert any(isinstance(original, staticmethod) for original in originals)
    with context(_state(), sites):
        for site, original in zip(sites, originals, strict=True):
            assert site.original is not original
            assert isinstance(site.original, staticmethod) == isinstance(original, staticmethod)
    assert all(site.original is original for site, original in zip(sites, originals, strict=True))


def test_an_error_in_the_block_leaves_nothing_behind():
    sites = _sites()
    originals = [site.original for site in sites]
    with pytest.raises(ZeroDivisionError), install.stamping(_state(), sites):
        raise ZeroDivisionError
    assert all(site.original is original for site, original in zip(sites, originals, strict=True))


def test_every_kind_that_a_map_may_ask_for_is_there():
    assert install.KINDS.keys() == KINDS


def test_sites_are_split_without_rest():
    sites = _sites()
    bound, passed = install.split(sites)
    assert len(bound) + len(passed) == len(sites)
    assert {site.probe.kind for site in bound} >= {"transport", "transport_close"}
    assert {site.probe.kind for site in passed} >= {"call", "serialize", "endpoint"}


def test_a_connection_that_is_still_open_gets_its_own_send_and_receive_back():
    from amqp.transport import TCPTransport

    state = _state()
    sites = _sites()
    bound, passed = install.split(sites)
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
            assert transport._write == transport.sock.sendall
            assert transport._quick_recv == transport.sock.recv
            transport.close()
        assert peer.recv(100).endswith(b"stamped")
        peer.close()


# The record of a message


@pytest.mark.parametrize("native", [False, True])
def test_what_a_delivery_notes_is_in_the_columns_of_the_record(native):
    state = State(NoWatcher(), 1, native)
    state.on = True
    link = Link(5)
    link.stamp, link.read, link.offset = 11, 22, 33
    connection = types.SimpleNamespace(transport=types.SimpleNamespace(_omrig_link=link))
    message = types.SimpleNamespace(channel=types.SimpleNamespace(connection=connection))
    receiving.delivery(state, lambda *_: None)(None, message)
    receiving.json_in(state, lambda *_: time.sleep(0.001))("text")
    request = types.SimpleNamespace()
    correlate.incoming(state, lambda *_: None)(request, None, {}, {}, MESSAGE_ID, None)
    record = request._omrig_record
    columns = (at.STAMP, at.READ, at.OFFSET, at.CONNECTION)
    assert [record[column] for column in columns] == [11, 22, 33, 5]
    assert record[at.JSON_IN] >= 1_000_000
    assert (record[at.CPU_READ] > 0, record[at.CPU_JSON_IN] > 0) == (native, native)


def test_without_a_connection_a_message_was_read_when_it_was_delivered():
    state = _state()
    before = now()
    message = types.SimpleNamespace(channel=types.SimpleNamespace(connection=None))
    receiving.delivery(state, lambda *_: None)(None, message)
    noted = dict(zip(at.RECEIVED_COLUMNS, state.received.get(), strict=True))
    assert before <= noted.pop("read") <= now()
    assert set(noted.values()) == {0}


def test_a_call_inside_a_call_gives_the_outer_record_back():
    state = _state()
    seen = []

    def original(self, ctxt, method, **arguments):
        seen.append(state.sending.get())
        if method == "outer":
            probe(self, ctxt, "inner", seq=2)
            seen.append(state.sending.get())

    probe = correlate.call(state, original)
    probe(None, {}, "outer", seq=1)
    outer, inner, outer_again = seen
    assert outer is outer_again
    assert (outer[at.SEQ], inner[at.SEQ]) == (1, 2)
    assert state.sending.get() is None


@pytest.mark.parametrize(("on", "seq"), [(False, 1), (True, -1), (True, None)])
def test_what_is_not_of_the_load_has_no_record(on, seq):
    state = _state()
    state.on = on
    seen = []
    probe = correlate.call(state, lambda *_, **arguments: seen.append(arguments))
    given = {} if seq is None else {"seq": seq}
    state.sending.set(None)
    probe(None, {}, "message", **given)
    assert seen == [given]
    assert len(state.producer_rows) == 0


def _sent_then(state, end):
    """Send a message through the probes of call() and serialize_msg; ``end`` is what follows."""

    def original(self, ctxt, method, **arguments):
        serialize({"_msg_id": MESSAGE_ID})
        assert MESSAGE_ID in state.in_flight
        return end()

    serialize = correlate.serialize(state, lambda message: message)
    return correlate.call(state, original)(None, {}, "message", seq=7)


def _fail():
    raise TimeoutError


def test_a_message_leaves_a_row_and_nothing_in_flight():
    state = _state()
    assert _sent_then(state, lambda: "reply") == "reply"
    assert state.in_flight == {}
    row = list(state.producer_rows)
    assert len(row) == len(at.PRODUCER_COLUMNS)
    assert row[at.ID] == int(MESSAGE_ID[: at.ID_DIGITS], 16)
    assert row[at.SEQ] == 7
    assert 0 < row[at.JSON_OUT] < row[at.RETURN]


def test_a_message_that_fails_leaves_nothing_in_flight():
    state = _state()
    with pytest.raises(TimeoutError):
        _sent_then(state, _fail)
    assert state.in_flight == {}
    assert state.sending.get() is None
    # Not woken: the accounting leaves it out.
    assert list(state.producer_rows)[at.PUT] == 0


def test_a_call_that_fails_before_it_has_an_id_leaves_no_row():
    state = _state()
    probe = correlate.call(state, lambda *_, **__: _fail())
    with pytest.raises(TimeoutError):
        probe(None, {}, "message", seq=1)
    assert len(state.producer_rows) == 0


def test_both_sides_sample_the_same_ids():
    ids = [os.urandom(16).hex() for _ in range(4000)]
    here, there = _state(4), _state(4)
    chosen = [each for each in ids if here.in_sample(each)]
    assert chosen == [each for each in ids if there.in_sample(each)]
    assert 800 < len(chosen) < 1200
    assert all(_state().in_sample(each) for each in ids)


def test_a_message_outside_the_sample_is_left_alone():
    inside = "00000004" + MESSAGE_ID[8:]
    outside = "00000005" + MESSAGE_ID[8:]
    for message_id, rows in ((inside, 1), (outside, 0)):
        state = _state(4)
        serialize = correlate.serialize(state, lambda message: message)

        def original(*_, _serialize=serialize, _id=message_id, **__):
            _serialize({"_msg_id": _id})

        correlate.call(state, original)(None, {}, "message", seq=1)
        assert len(state.producer_rows) == rows * len(at.PRODUCER_COLUMNS)
        assert state.in_flight == {}


def test_only_the_reply_that_ends_a_call_counts():
    state = _state()
    record = _record(state)
    state.in_flight[MESSAGE_ID] = record
    put = correlate.reply_put(state, lambda *_: None)
    state.received.set([1, 2, 3, 4, 5])
    put(None, MESSAGE_ID, {"ending": False})
    put(None, "another", {"ending": True})
    assert record[at.PUT] == 0
    put(None, MESSAGE_ID, {"ending": True})
    assert record[at.PUT] > 0
    assert record[at.STAMP : at.OFFSET + 1] == [1, 2, 3, 4, 5]
    assert (record[at.READ], record[at.JSON_IN]) == (2, 3)


def test_a_connection_made_in_the_pool_is_counted_once():
    state = _state()
    record = _record(state)
    reconnect = sending.reconnect(state, lambda *_: time.sleep(0.01))
    sending.connect(state, reconnect)(None)
    assert record[at.CONNECT] >= 10_000_000
    assert record[at.RECONNECT] == 0
    reconnect(None)
    assert record[at.RECONNECT] >= 10_000_000
    assert state.sending.get() is record


def test_what_was_sent_on_a_lost_connection_is_kept():
    state = _state()
    record = _record(state)
    told = []

    def autoretry(connection, fun, channel, errback):
        record[at.DEPART], record[at.JSON_OUT] = 100, 7
        errback(ConnectionError(), 0)
        record[at.DEPART], record[at.JSON_OUT] = 200, 14
        errback(ConnectionError(), 0)
        record[at.DEPART] = 300

    def delay(*args):
        assert state.sending.get() is None
        told.append(args)
        time.sleep(0.01)

    sending.reconnect_delay(state, autoretry)(None, None, None, errback=delay)
    assert [type(error) for error, _ in told] == [ConnectionError, ConnectionError]
    # Of several the first: what came later is a copy of a copy.
    assert (record[at.LOST_DEPART], record[at.LOST_JSON_OUT], record[at.DEPART]) == (100, 7, 300)
    assert record[at.RECONNECT] >= 20_000_000

    # A confirmed message has arrived, whatever happens to its connection later.
    confirmed = _record(state)
    confirmed[at.CONFIRM] = 150
    sending.reconnect_delay(state, lambda *_, errback: errback(ConnectionError(), 0))(
        None, None, None, errback=delay
    )
    assert confirmed[at.LOST_DEPART] == 0


def test_what_an_endpoint_sends_is_not_its_reply():
    state = _state()
    record = [0] * len(at.CONSUMER_COLUMNS)
    record[at.ID] = MESSAGE_ID
    seen = []
    endpoint = receiving.endpoint(state, lambda *_: seen.append(state.sending.get()))

    def original(self, incoming):
        endpoint(None)
        seen.append(state.sending.get())

    process = correlate.process(state, original)
    process(None, [types.SimpleNamespace(_omrig_record=record)])
    assert seen == [None, record]
    assert 0 < record[at.ENDPOINT] <= record[at.ENDPOINT_END]
    assert len(state.consumer_rows) == len(at.CONSUMER_COLUMNS)


# The socket


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_full_send_buffer_delivers_everything_and_is_summed(timeout):
    state = _state()
    record = _record(state)
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
    sockets._stamped_write(state, sender, sender)(data)
    end = now()
    reader.join()
    sender.close()
    receiver.close()
    assert bytes(received) == data
    assert 80_000_000 < record[at.SOCKET_WAIT] <= end - begin
    assert begin + record[at.SOCKET_WAIT] <= record[at.DEPART] <= end


def test_a_full_send_buffer_under_eventlet():
    script = """
    import eventlet
    eventlet.monkey_patch()
    import os, socket
    from omrig.measured.probes import sockets
    from omrig.measured.probes.record import State, now
    from omrig.model.stamps import DEPART, PRODUCER_COLUMNS, SOCKET_WAIT
    state = State(None, 1)
    record = [0] * len(PRODUCER_COLUMNS)
    state.sending.set(record)
    sender, receiver = socket.socketpair()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    data, received = os.urandom(300_000), bytearray()
    def read():
        eventlet.sleep(0.1)
        while len(received) < len(data):
            received.extend(receiver.recv(10_000))
    reader = eventlet.spawn(read)
    sockets._stamped_write(state, sender, sender.fd)(data)
    end = now()
    reader.wait()
    assert bytes(received) == data
    assert 80_000_000 < record[SOCKET_WAIT] < record[DEPART] <= end
    """
    command = [sys.executable, "-Wignore", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
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
def test_departure_is_the_clock_before_the_last_send(room):
    state = _state()
    record = _record(state)
    sock = ShortSocket(room)
    data = os.urandom(1000)
    sockets._stamped_write(state, sock, sock)(data)
    assert sock.data == data
    if room == 999:
        # The last byte was taken by the wait itself: it left when the wait ended.
        assert record[at.DEPART] > sock.sends[-1]
    else:
        assert record[at.DEPART] <= sock.sends[-1]
    assert all(record[at.DEPART] > send for send in sock.sends[:-1])
    assert (record[at.SOCKET_WAIT] > 0) == (room < 1000)


@pytest.mark.parametrize("confirmed", [False, True])
def test_without_a_message_on_its_way_the_socket_sends_as_ever(confirmed):
    state = _state()
    record = _record(state)
    record[at.CONFIRM] = int(confirmed)
    if not confirmed:
        state.sending.set(None)
    sock = ShortSocket(10)
    sockets._stamped_write(state, sock, sock)(b"heartbeat, or the frames of another message")
    assert len(sock.sends) == 1
    assert record[at.DEPART] == 0


def test_with_a_capture_only_confirms_are_stamped():
    link = Link(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, sockets._SO_TIMESTAMPNS, 1)
        receive = sockets._counted_receive(receiver, link)
        sender.sendall(bytes(7 + 1000 + 1))
        assert [len(receive(size)) for size in (7, 1000, 1)] == [7, 1000, 1]
        assert link.stamp == 0 and 0 < link.read <= now()
        assert link.end_offset() == link.offset == 1008
        deadline = time.monotonic() + 5
        while not link.stamp and time.monotonic() < deadline:
            sender.sendall(bytes(sockets._CONFIRM_BYTES))
            assert len(receive(sockets._CONFIRM_BYTES)) == sockets._CONFIRM_BYTES
        assert link.stamp > 0


@pytest.mark.parametrize("native", [False, True])
def test_only_native_threads_have_their_cpu_time_stamped(native):
    state = State(NoWatcher(), 1, native)
    state.on = True
    _sent_then(state, lambda: None)
    record = [0] * len(at.CONSUMER_COLUMNS)
    record[at.ID] = MESSAGE_ID
    endpoint = receiving.endpoint(state, lambda *_: sum(range(100_000)))
    process = correlate.process(state, lambda *_: endpoint(None))
    process(None, [types.SimpleNamespace(_omrig_record=record)])
    served = list(state.consumer_rows)
    stamps = [served[column] for column in (at.CPU_BEGIN, at.CPU_ENDPOINT, at.CPU_ENDPOINT_END)]
    assert (state.producer_rows[at.CPU_BEGIN] > 0) == native
    assert (min(stamps) > 0) == native
    assert stamps == sorted(stamps)
    assert (stamps[2] - stamps[1] > 100_000) == native


@pytest.mark.parametrize("native", [False, True])
def test_what_a_thread_computes_in_a_json_pass_is_known(native):
    state = State(NoWatcher(), 1, native)
    record = _record(state)
    arrived = [0] * len(at.RECEIVED_COLUMNS)
    state.received.set(arrived)

    def pass_(*_):
        sum(range(100_000))
        time.sleep(0.02)

    for probe in (sending.json_out, receiving.json_in):
        probe(state, pass_)("the writer or the text")
    correlate.serialize(state, pass_)({"_msg_id": MESSAGE_ID})
    walls = [record[at.JSON_OUT] / 2, arrived[at.RECEIVED_JSON_IN]]
    computed = [record[at.CPU_JSON_OUT] / 2, arrived[at.RECEIVED_CPU_JSON_IN]]
    for wall, cpu in zip(walls, computed, strict=True):
        assert (cpu > 100_000) == native
        assert cpu <= wall - 20_000_000


def test_the_process_cpu_time_is_noted_now_and_then(tmp_path, monkeypatch):
    profiler = StagesProfiler(Context("threading", "producer", folder=tmp_path))
    state = profiler._state
    until = now() + 50_000_000
    while now() < until:
        state.cpu_now()
    assert profiler.recent() == {"producer": [], "consumer": []}
    times, used = cpu_log.read(tmp_path)
    # One in 5 ms; a busy machine leaves some of them out.
    assert 2 <= len(times) <= 11
    assert (numpy.diff(times) > _NOTE_NS).all()
    wall, cpu = times[-1] - times[0], used[-1] - used[0]
    assert 0 < cpu <= 1.05 * wall

    # What took long to read is of no moment.
    monkeypatch.setattr("omrig.measured.probes.record._AT_ONCE_NS", 0)
    state.cpu_noted_at = 0
    assert state.cpu_now() > 0
    profiler.recent()
    assert len(cpu_log.read(tmp_path)[0]) == len(times)

    # Each is logged once.
    monkeypatch.undo()
    state.cpu_now()
    profiler.recent()
    assert len(cpu_log.read(tmp_path)[0]) == len(times) + 1


def test_green_threads_have_no_log_of_cpu_time(tmp_path):
    profiler = StagesProfiler(Context("eventlet", "producer", folder=tmp_path))
    profiler.recent()
    assert list(tmp_path.iterdir()) == []


def test_a_frame_is_read_with_its_last_byte_and_stamped_with_its_body():
    link = Link(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, sockets._SO_TIMESTAMPNS, 1)
        receive = sockets._stamped_receive(receiver, link)
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
        assert link.end_offset() == link.offset == 1008
