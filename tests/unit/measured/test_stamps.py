"""The stamps, in C and in Python alike: what they write down, and what must not go wrong."""

import contextvars
import gc
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
import types
from pathlib import Path

import numpy
import pytest
from greenlet import GreenletExit

from omrig.measured.probes import actions, graft, stamp
from omrig.measured.probes.stamp_shared import _NOTE_NS
from omrig.measured.probes.state import State
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.stages import StagesProfiler
from omrig.model import places
from omrig.model import stamps as at
from omrig.model.actions import Action
from omrig.recordings import cpu as cpu_log
from tests.unit.measured.stamping import C_MODULE, IMPLEMENTATIONS, IS_BUILT, NoWatcher

now = time.perf_counter_ns

MESSAGE_ID = "0123456789abcdef0123456789abcdef"


def test_the_c_module_was_built_where_that_can_be_done():
    header = Path(sysconfig.get_path("include")) / "Python.h"
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
    has_lock = not sysconfig.get_config_var("Py_GIL_DISABLED")
    assert bool(header.exists() and compiler and has_lock) == IS_BUILT


HIDDEN = f"import sys; sys.modules[{C_MODULE!r}] = None\n"


def _told(script, choice):
    environment = {**os.environ, "OMRIG_STAMP": choice}
    command = [sys.executable, "-Wignore", "-c", HIDDEN + textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("fortran", "OMRIG_STAMP=fortran: give c or python, or unset it"),
        ("c", "OMRIG_STAMP=c: the stamps in C cannot be used here (import of"),
    ],
)
def test_what_is_asked_for_and_not_there_is_told_in_a_line(choice, said, tmp_path):
    script = f"""
    from omrig import cli
    sys.exit(cli.main(["run", "-m", "1", "--output", {str(tmp_path)!r}]))
    """
    status, out, err = _told(script, choice)
    assert (status, out) == (2, "")
    assert err.startswith(f"omrig: {said}") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

    # Without the mode it is the measured process that finds out.
    script = """
    from omrig.measured import process
    sys.exit(process._measure(None, lambda event: print(event.usage, event.text)))
    """
    status, out, _ = _told(script, choice)
    assert status == 1
    assert out.startswith(f"True {said}") and out.count("\n") == 1


@pytest.mark.parametrize("choice", ["", "python"])
def test_without_the_c_module_they_are_made_in_python(choice):
    script = "from omrig.measured.probes import stamp; print(stamp.IMPLEMENTATION)"
    assert _told(script, choice) == (0, "python\n", "")


@pytest.fixture
def make(module):
    """Makes a State that stamps."""

    def make(sample=1, native=False, side="producer"):
        state = State(NoWatcher(), sample, native, side)
        state.stamps.on = True
        return state

    return make


def _with(state, name, function, **says):
    """A function, with an action of the stage maps grafted into it."""
    made = actions.graft(state, Action(name, says))
    code = graft.grafted(function.__code__, made)
    copy = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def serialize_of(state):
    def serialize(message):
        return message

    says = {"id": ("_msg_id", "_unique_id"), "in": "message", "sum": "json_out"}
    return _with(state, "adopt", serialize, **says)


def rows(state, side="producer"):
    """The rows of a side, each by the names of its columns."""
    columns = at.COLUMNS[side]
    found = numpy.array(state.rows()[side], dtype=numpy.uint64).reshape(-1, len(columns))
    return [dict(zip(columns, map(int, row), strict=True)) for row in found]


def _carrier(state, message_id=MESSAGE_ID, deliver=True, **more):
    """A request as a listener hands it on: received, with its record."""

    def callback(message):
        pass

    def opened(request, msg_id, unique_id):
        pass

    if deliver:
        link = {"link": "message.channel.connection.transport"}
        message = types.SimpleNamespace(channel=types.SimpleNamespace(connection=None))
        _with(state, "receive", callback, **link)(message)
    request = types.SimpleNamespace()
    says = {"on": "request", "id": ("msg_id", "unique_id"), **more}
    _with(state, "open", opened, **says)(request, message_id, "another")
    return request


# The load's own message


def test_the_load_s_clock_and_the_first_and_last_stamp_are_one_call(make):
    state = make()
    stamps = state.stamps
    before = now()
    started = stamps.begin(7)
    serialize_of(state)({"_msg_id": MESSAGE_ID})
    ended = stamps.end()
    after = now()
    (row,) = rows(state)
    assert before <= started <= row["call"] <= row["return"] <= ended <= after
    assert (row["seq"], row["id"]) == (7, int(MESSAGE_ID[: at.ID_DIGITS], 16))
    assert stamps.current() is None and stamps.in_flight == {}


def test_without_an_instrument_the_load_has_a_clock():
    clock = stamp.Clock()
    readings = [now(), clock.begin(1), clock.end(), clock.entered(), now()]
    assert readings == sorted(readings)


def test_a_message_that_was_never_serialised_leaves_no_row(make):
    state = make()
    state.stamps.begin(1)
    state.stamps.end()
    assert rows(state) == []
    assert state.stamps.current() is None


def test_turned_off_there_are_no_records(make):
    state = make()
    state.stamps.on = False
    started = state.stamps.begin(1)
    assert state.stamps.current() is None
    assert started <= state.stamps.end()
    assert rows(state) == []


def test_a_message_within_a_message_gives_the_outer_one_back(make):
    state = make()
    stamps, serialize = state.stamps, serialize_of(state)
    stamps.begin(1)
    serialize({"_msg_id": MESSAGE_ID})
    outer = stamps.current()
    stamps.begin(2)
    assert stamps.current() is not outer
    serialize({"_msg_id": MESSAGE_ID[::-1]})
    stamps.end()
    assert stamps.current() is outer
    stamps.end()
    assert [row["seq"] for row in rows(state)] == [2, 1]


def test_rows_are_handed_on_once(make):
    state = make()
    for seq in range(3000):
        state.stamps.begin(seq)
        serialize_of(state)({"_msg_id": f"{seq:032x}"})
        state.stamps.end()
        if seq == 1000:
            assert len(rows(state)) == 1001
    assert [row["seq"] for row in rows(state)] == list(range(3000))
    assert state.stamps.drain("producer") == b""


# Stamps and spans


def test_a_stamp_is_set_at_the_beginning_and_at_the_end(make):
    state = make()

    def get():
        time.sleep(0.002)

    get = _with(state, "stamp", get, enter="pool_begin", exit="pool_end")
    get()
    state.stamps.begin(1)
    record = state.stamps.current()
    get()
    assert record[at.POOL_END] - record[at.POOL_BEGIN] >= 2_000_000
    state.stamps.end()


def test_a_first_stamp_stays_and_a_last_one_moves(make):
    state = make()

    def get():
        pass

    get = _with(state, "stamp", get, first="wait", exit="woke")
    state.stamps.begin(1)
    record = state.stamps.current()
    get()
    first, woke = record[at.WAIT], record[at.WOKE]
    get()
    assert record[at.WAIT] == first > 0
    assert record[at.WOKE] > woke
    state.stamps.end()


def test_spans_are_summed_and_one_that_fails_counts_for_nothing(make):
    state = make()

    def dumps(fails):
        time.sleep(0.002)
        if fails:
            raise ValueError

    dumps = _with(state, "span", dumps, sum="json_out")
    state.stamps.begin(1)
    record = state.stamps.current()
    dumps(False)
    with pytest.raises(ValueError, match=""):
        dumps(True)
    once = record[at.JSON_OUT]
    dumps(False)
    assert 2_000_000 <= once < record[at.JSON_OUT]
    assert record[at.JSON_OUT] >= 4_000_000
    state.stamps.end()


def _makes_connections(state):
    def reconnect():
        time.sleep(0.01)

    def connect():
        assert state.stamps.current() is None
        reconnect()

    reconnect = _with(state, "span", reconnect, sum="reconnect", alone=True)
    return _with(state, "span", connect, sum="connect", alone=True), reconnect


def test_a_connection_made_in_the_pool_is_counted_once(make):
    state = make()
    connect, reconnect = _makes_connections(state)
    state.stamps.begin(1)
    record = state.stamps.current()
    # The function sees the graft of what it closes over only if that is its own.
    connect()
    assert record[at.CONNECT] >= 10_000_000
    assert record[at.RECONNECT] == 0
    reconnect()
    assert record[at.RECONNECT] >= 10_000_000
    assert state.stamps.current() is record
    state.stamps.end()


def test_what_was_sent_on_a_lost_connection_is_kept(make):
    state = make()

    def on_error(error):
        assert state.stamps.current() is None
        time.sleep(0.01)
        raise error

    on_error = _with(state, "span", on_error, sum="reconnect", alone=True, lost=True)
    state.stamps.begin(1)
    record = state.stamps.current()
    for depart, json_out in ((100, 7), (200, 14)):
        record[at.DEPART], record[at.JSON_OUT] = depart, json_out
        with pytest.raises(ConnectionError):
            on_error(ConnectionError())
    # Of several the first: what came later is a copy of a copy.
    assert (record[at.LOST_DEPART], record[at.LOST_JSON_OUT]) == (100, 7)
    assert record[at.RECONNECT] >= 20_000_000
    assert state.stamps.current() is record
    state.stamps.end()

    # A confirmed message has arrived, whatever happens to its connection later.
    state.stamps.begin(2)
    confirmed = state.stamps.current()
    confirmed[at.CONFIRM], confirmed[at.DEPART] = 150, 100
    with pytest.raises(ConnectionError):
        on_error(ConnectionError())
    assert confirmed[at.LOST_DEPART] == 0
    state.stamps.end()


def test_a_confirm_is_stamped_with_what_its_connection_got_last(make, module):
    state = make()

    def publish(channel):
        pass

    link = module.Link(1)
    link.stamp = 44
    says = {"link": "channel.connection.transport", "exit": "confirm"}
    publish = _with(state, "confirm", publish, **says)
    transport = types.SimpleNamespace(_omrig_link=link)
    state.stamps.begin(1)
    record = state.stamps.current()
    publish(types.SimpleNamespace(connection=types.SimpleNamespace(transport=transport)))
    assert record[at.CONFIRM] > 0
    assert record[at.CONFIRM_STAMP] == 44
    # A connection that nobody knows, or none at all.
    publish(types.SimpleNamespace(connection=types.SimpleNamespace(transport=None)))
    publish(types.SimpleNamespace())
    state.stamps.end()
    assert not state.stamps.broken


# What comes in


@pytest.mark.parametrize("native", [False, True])
def test_what_a_delivery_notes_is_in_the_columns_of_the_record(make, module, native):
    state = make(native=native, side="consumer")

    def callback(message):
        pass

    def loads():
        time.sleep(0.001)

    link = module.Link(5)
    link.stamp, link.read, link.offset = 11, 22, 33
    connection = types.SimpleNamespace(transport=types.SimpleNamespace(_omrig_link=link))
    message = types.SimpleNamespace(channel=types.SimpleNamespace(connection=connection))
    _with(state, "receive", callback, link="message.channel.connection.transport")(message)
    _with(state, "span", loads, sum="json_in", of="received")()
    record = _carrier(state, deliver=False)._omrig_record
    columns = (at.STAMP, at.READ, at.OFFSET, at.CONNECTION)
    assert [record[column] for column in columns] == [11, 22, 33, 5]
    assert record[at.JSON_IN] >= 1_000_000
    assert (record[at.CPU_READ] > 0, record[at.CPU_JSON_IN] > 0) == (native, native)


def test_without_a_connection_a_message_was_read_when_it_was_delivered(make):
    state = make(side="consumer")
    before = now()
    record = _carrier(state)._omrig_record
    assert before <= record[at.READ] <= now()
    assert {record[column] for column in (at.STAMP, at.OFFSET, at.CONNECTION)} == {0}


def test_only_the_reply_that_ends_a_call_counts(make):
    state = make()

    def put(msg_id, data):
        pass

    says = {"id": "msg_id", "in": "data", "has": ("ending",), "enter": "put"}
    put = _with(state, "reply", put, **says)
    state.stamps.begin(1)
    record = state.stamps.current()
    serialize_of(state)({"_msg_id": MESSAGE_ID})
    _carrier(state, "another")
    put(MESSAGE_ID, {"ending": False})
    put("nobody's", {"ending": True})
    put(MESSAGE_ID, "no dictionary")
    assert record[at.PUT] == 0
    put(MESSAGE_ID, {"ending": True})
    assert record[at.PUT] > record[at.READ] > 0
    state.stamps.end()
    assert not state.stamps.broken


def _serving(state, endpoint, by="incoming[0]"):
    """What an executor runs, with ``endpoint`` in it."""

    def dispatch():
        return endpoint()

    dispatch = _with(state, "serve", dispatch, enter="endpoint", exit="endpoint_end")

    def process(incoming):
        return dispatch()

    return _with(state, "close", process, by=by, enter="start", exit="end")


def test_what_an_endpoint_sends_is_not_its_reply(make):
    state = make(side="consumer")
    seen = []

    def endpoint():
        seen.append(state.stamps.current())
        return "reply"

    assert _serving(state, endpoint)([_carrier(state)]) == "reply"
    assert seen == [None]
    (row,) = rows(state, "consumer")
    assert 0 < row["start"] <= row["endpoint"] <= row["endpoint_end"] <= row["end"]
    assert state.stamps.current() is None


def test_the_endpoint_of_the_load_says_when_it_was_entered(make):
    state = make(side="consumer")
    entered = []

    def endpoint():
        time.sleep(0.005)
        entered.append(state.stamps.entered())

    _serving(state, endpoint)([_carrier(state)])
    (row,) = rows(state, "consumer")
    assert row["endpoint"] - row["start"] >= 5_000_000
    assert 0 <= entered[0] - row["endpoint"] < 5_000_000


@pytest.mark.parametrize("fails", [False, True])
def test_a_thread_that_outlives_its_endpoint_stamps_nothing(make, fails):
    state = make(side="consumer")
    kept = []

    def endpoint():
        kept.append(contextvars.copy_context())
        if fails:
            raise LookupError

    process, request = _serving(state, endpoint), _carrier(state)
    if fails:
        with pytest.raises(LookupError):
            process([request])
    else:
        process([request])
    (row,) = rows(state, "consumer")
    kept[0].run(state.stamps.entered)
    assert request._omrig_record[at.ENDPOINT] == row["endpoint"]
    assert kept[0].run(state.stamps.current) is None


def test_what_was_not_received_while_stamping_is_served_all_the_same(make):
    state = make(side="consumer")
    assert _serving(state, lambda: "reply")([types.SimpleNamespace()]) == "reply"
    assert rows(state, "consumer") == []
    assert not state.stamps.broken


# Batches


def _carry(state, requests, by="incoming[*]"):
    def submit(incoming):
        pass

    _with(state, "carry", submit, by=by, enter="submit")(requests)


def _batch(state, count):
    return [_carrier(state, f"{number:x}" * 32) for number in range(1, count + 1)]


@pytest.mark.parametrize("native", [False, True])
def test_the_messages_of_a_batch_are_served_at_once_and_each_has_its_row(make, native):
    state = make(side="consumer", native=native)
    requests = _batch(state, 3)
    _carry(state, requests)
    seen = []

    def endpoint():
        seen.append(state.stamps.current())
        state.stamps.entered()

    assert _serving(state, endpoint, by="incoming[*]")(requests) is None
    assert seen == [None]
    found = rows(state, "consumer")
    assert [row["id"] for row in found] == [int(f"{n}" * at.ID_DIGITS, 16) for n in (1, 2, 3)]
    for row in found:
        assert row["read"] < row["submit"] < row["start"] < row["endpoint"] < row["end"]
        assert (row["cpu_begin"] > 0) == (row["cpu_endpoint_end"] > 0) == native
    for name in ("start", "endpoint", "endpoint_end", "end", "cpu_begin", "cpu_endpoint"):
        assert len({row[name] for row in found}) == 1
    assert len({row["read"] for row in found}) == len({row["submit"] for row in found}) == 3
    assert state.stamps.current() is None
    assert not state.stamps.broken


def test_of_a_batch_those_count_that_have_a_record(make):
    state = make(side="consumer")
    nothing = types.SimpleNamespace()
    first, second = _batch(state, 2)
    process = _serving(state, lambda: None, by="incoming[*]")
    for batch in ([nothing, first, nothing, second], [nothing], [], None):
        _carry(state, batch)
        process(batch)
    assert len(rows(state, "consumer")) == 2
    assert state.stamps.current() is None
    assert not state.stamps.broken


def test_a_batch_whose_endpoint_fails_has_its_rows(make):
    state = make(side="consumer")

    def endpoint():
        raise LookupError

    with pytest.raises(LookupError):
        _serving(state, endpoint, by="incoming[*]")(_batch(state, 2))
    assert len(rows(state, "consumer")) == 2
    assert state.stamps.current() is None


def test_when_the_listener_has_a_message_is_stamped_where_it_is_asked_for(make):
    state = make(side="consumer")
    before = now()
    request = _carrier(state, exit="taken")
    assert before < request._omrig_record[at.TAKEN] < now()
    assert _carrier(state)._omrig_record[at.TAKEN] == 0


# Samples


def test_both_sides_sample_the_same_ids(make):
    ids = [os.urandom(16).hex() for _ in range(2000)]
    sender, server = make(4), make(4, side="consumer")
    serialize, process = serialize_of(sender), _serving(server, lambda: None)
    for seq, message_id in enumerate(ids):
        sender.stamps.begin(seq)
        serialize({"_msg_id": message_id})
        sender.stamps.end()
        process([_carrier(server, message_id)])
    sent, served = rows(sender), rows(server, "consumer")
    assert 400 < len(sent) < 600
    assert [row["id"] for row in sent] == [row["id"] for row in served]
    assert sender.stamps.in_flight == {}


# Where the code is


def test_a_profiler_can_ask_in_which_stage_the_code_is(make):
    state = make()
    seen = []
    where = state.stamps.where

    def look():
        seen.append(places.PLACES[where()])

    def dumps():
        look()

    def get():
        look()

    def send():
        look()
        get()
        dumps()
        look()

    dumps = _with(state, "span", dumps, sum="json_out")
    get = _with(state, "stamp", get, enter="pool_begin", exit="pool_end")
    send = _with(state, "stamp", send, enter="send")
    look()
    state.stamps.begin(1)
    look()
    send()
    state.stamps.end()
    look()
    assert seen == ["", "api", "publish", "pool_wait", "serialize", "publish", ""]


def test_a_profiler_can_ask_it_of_a_consumer(make):
    state = make(side="consumer")
    seen = []
    where = state.stamps.where

    def look():
        seen.append(places.PLACES[where()])

    def submit(incoming):
        pass

    request = _carrier(state)
    look()
    _with(state, "carry", submit, by="incoming[0]", enter="submit")([request])
    look()
    _serving(state, look)([request])
    look()
    assert seen == ["decode", "", "endpoint", ""]


# CPU time


@pytest.mark.parametrize("native", [False, True])
def test_only_native_threads_have_their_cpu_time_stamped(make, native):
    state = make(native=native)
    state.stamps.begin(1)
    serialize_of(state)({"_msg_id": MESSAGE_ID})
    state.stamps.end()
    _serving(state, lambda: sum(range(100_000)))([_carrier(state)])
    (sent,), (served,) = rows(state), rows(state, "consumer")
    stamps = [served[name] for name in ("cpu_begin", "cpu_endpoint", "cpu_endpoint_end")]
    assert (sent["cpu_begin"] > 0) == native
    assert (min(stamps) > 0) == native
    assert stamps == sorted(stamps)
    assert (stamps[2] - stamps[1] > 100_000) == native


@pytest.mark.parametrize("native", [False, True])
def test_what_a_thread_computes_in_a_json_pass_is_known(make, native):
    state = make(native=native)

    def passes():
        sum(range(100_000))
        time.sleep(0.02)

    dumps = _with(state, "span", passes, sum="json_out")
    loads = _with(state, "span", passes, sum="json_in", of="received")
    state.stamps.begin(1)
    sent = state.stamps.current()
    dumps()
    _carrier(state)
    loads()
    received = _carrier(state, deliver=False)._omrig_record
    for wall, cpu in (
        (sent[at.JSON_OUT], sent[at.CPU_JSON_OUT]),
        (received[at.JSON_IN], received[at.CPU_JSON_IN]),
    ):
        assert (cpu > 100_000) == native
        assert cpu <= wall - 20_000_000
    state.stamps.end()


def test_the_process_cpu_time_is_noted_now_and_then(module, tmp_path):
    profiler = StagesProfiler(Context("threading", "producer", folder=tmp_path))
    stamps = profiler._state.stamps
    until = now() + 50_000_000
    while now() < until:
        stamps.thread_cpu()
    assert profiler.recent() == {"producer": [], "consumer": []}
    times, used = cpu_log.read(tmp_path)
    # One in 5 ms; a busy machine leaves some of them out.
    assert 2 <= len(times) <= 11
    assert (numpy.diff(times) > _NOTE_NS).all()
    wall, cpu = times[-1] - times[0], used[-1] - used[0]
    assert 0 < cpu <= 1.05 * wall
    # Each is logged once.
    profiler.recent()
    assert len(cpu_log.read(tmp_path)[0]) == len(times)


def test_green_threads_have_no_log_of_cpu_time(module, tmp_path):
    profiler = StagesProfiler(Context("eventlet", "producer", folder=tmp_path))
    profiler.recent()
    assert list(tmp_path.iterdir()) == []


# What must not go wrong


def test_a_stamp_that_fails_breaks_nothing_but_itself(make):
    state = make(side="consumer")

    class Broken:
        @property
        def channel(self):
            raise RuntimeError("not ours to ask")

    def callback(message):
        return "handled"

    callback = _with(state, "receive", callback, link="message.channel")
    assert callback(Broken()) == "handled"
    assert state.stamps.broken
    assert "not ours to ask" in state.stamps.failure
    assert not state.stamps.on
    # All is off, for good, and what is under way goes on.
    assert _serving(state, lambda: "reply")([types.SimpleNamespace()]) == "reply"
    state.stamps.begin(1)
    assert state.stamps.current() is None
    assert callback(Broken()) == "handled"


@pytest.mark.parametrize("message_id", ["no number", "\ud800" * 32, ""])
@pytest.mark.parametrize("sample", [1, 2])
def test_an_id_that_is_no_number_turns_the_stamps_off(make, message_id, sample):
    sender, server = make(sample), make(sample, side="consumer")
    sender.stamps.begin(1)
    assert serialize_of(sender)({"_msg_id": message_id}) == {"_msg_id": message_id}
    sender.stamps.end()
    assert _serving(server, lambda: "reply")([_carrier(server, message_id)]) == "reply"
    for state in (sender, server):
        assert state.stamps.failure.startswith("ValueError")
        assert rows(state) == rows(state, "consumer") == []


def test_an_id_is_read_as_python_reads_a_number(make):
    for message_id, number in (
        ("12_3", 0x123),
        (" 7f", 0x7F),
        ("\u0661", 1),
        ("ABC", 0xABC),
    ):
        state = make()
        state.stamps.begin(1)
        serialize_of(state)({"_msg_id": message_id})
        state.stamps.end()
        assert [row["id"] for row in rows(state)] == [number]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GreenletExit])
def test_an_interruption_is_no_failure_and_goes_through(make, interruption):
    state = make(side="consumer")

    class Interrupted:
        @property
        def channel(self):
            raise interruption

    def callback(message):
        raise AssertionError("not reached")

    callback = _with(state, "receive", callback, link="message.channel")
    with pytest.raises(interruption):
        callback(Interrupted())
    assert not state.stamps.broken
    assert state.stamps.failure is None


def test_a_failure_that_cannot_be_shown_is_told_by_its_name(make):
    class Unshown(Exception):
        def __repr__(self):
            raise RuntimeError("nor can this")

    class Broken:
        @property
        def channel(self):
            raise Unshown

    def callback(message):
        return "handled"

    state = make(side="consumer")
    assert _with(state, "receive", callback, link="message.channel")(Broken()) == "handled"
    assert state.stamps.broken
    assert state.stamps.failure == "Unshown"


def test_an_answer_whose_end_cannot_be_told_stamps_nothing(make):
    class Undecided:
        def __bool__(self):
            raise RuntimeError("neither")

    def put(msg_id, data):
        return data

    state = make()
    says = {"id": "msg_id", "in": "data", "has": ("ending",), "enter": "put"}
    put = _with(state, "reply", put, **says)
    state.stamps.begin(1)
    record = state.stamps.current()
    serialize_of(state)({"_msg_id": MESSAGE_ID})
    put(MESSAGE_ID, {"ending": Undecided()})
    assert record[at.PUT] == 0
    assert "neither" in state.stamps.failure


def test_a_reply_is_stamped_though_its_message_ends_meanwhile(make):
    state = make()

    class Ending:
        def __bool__(self):
            state.stamps.end()
            gc.collect()
            return True

    def put(msg_id, data):
        return data

    says = {"id": "msg_id", "in": "data", "has": ("ending",), "enter": "put"}
    put = _with(state, "reply", put, **says)
    state.stamps.begin(1)
    serialize_of(state)({"_msg_id": MESSAGE_ID})
    put(MESSAGE_ID, {"ending": Ending()})
    assert len(rows(state)) == 1
    assert state.stamps.in_flight == {}
    assert not state.stamps.broken


def test_the_first_id_that_there_is_counts(make):
    state = make(side="consumer")
    _carrier(state)

    def opened(request, one, two, three):
        pass

    says = {"on": "request", "id": ("one", "two", "three")}
    request = types.SimpleNamespace()
    _with(state, "open", opened, **says)(request, None, MESSAGE_ID, "another")
    assert request._omrig_record[at.ID] == MESSAGE_ID


def test_an_unknown_kind_of_stamp_is_an_error(make):
    with pytest.raises(ValueError, match="no stamp of the kind nothing"):
        make().stamps.stamp("nothing")


def test_a_stamp_is_called_with_what_it_takes_or_fails(make):
    state = make()
    state.stamps.begin(1)
    assert state.stamps.stamp("name", 1, column=1, keys=("_msg_id",))(1, 2, 3) is None
    assert state.stamps.broken
    assert state.stamps.failure.startswith("TypeError")


if IS_BUILT:

    @pytest.mark.parametrize(
        "made_of",
        [
            {"kind": "at", "column": 48},
            {"kind": "at", "column": -1},
            {"kind": "begin", "cpu": 1000},
            {"kind": "name", "keys": ("a",)},
            {"kind": "name", "takes": 1},
            {"kind": "match", "takes": 2, "keys": ()},
            {"kind": "match", "takes": 1, "keys": ("a",)},
            {"kind": "carried"},
        ],
    )
    def test_in_c_nothing_is_read_beyond_what_is_given(made_of):
        stamps = importlib.import_module(C_MODULE).Stamps(1, False, places.tables("both"))
        with pytest.raises(ValueError, match="is not made of that"):
            stamps.stamp(**made_of)


def test_exceptions_go_through_every_kind_of_graft(make):
    state = make(side="consumer")

    def fails(*args, message=None, msg_id=None, unique_id=None, incoming=None, channel=None):
        raise LookupError("theirs")

    every = [
        ("stamp", {"enter": "send", "exit": "woke"}),
        ("span", {"sum": "json_out"}),
        ("span", {"sum": "json_in", "of": "received"}),
        ("span", {"sum": "connect", "alone": True}),
        ("span", {"sum": "reconnect", "alone": True, "lost": True}),
        ("adopt", {"id": ("_msg_id",), "in": "message", "sum": "json_out"}),
        ("adopt", {"id": ("_msg_id",), "in": "message"}),
        (
            "message",
            {
                "pattern": "call",
                "target": "channel",
                "exchange": "channel.name",
                "context": "incoming",
                "method": "msg_id",
            },
        ),
        ("confirm", {"link": "channel.connection", "exit": "confirm"}),
        ("receive", {"link": "message.channel"}),
        ("open", {"on": "message", "id": ("msg_id", "unique_id")}),
        ("carry", {"by": "incoming[0]", "enter": "submit"}),
        ("carry", {"by": "incoming[*]", "enter": "submit"}),
        ("close", {"by": "incoming[0]", "enter": "start", "exit": "end"}),
        ("close", {"by": "incoming[*]", "enter": "start", "exit": "end"}),
        ("serve", {"enter": "endpoint", "exit": "endpoint_end"}),
        ("reply", {"id": "msg_id", "in": "message", "has": ("ending",), "enter": "put"}),
    ]
    assert {name for name, _ in every} == {*actions._GRAFTS} - {"note", "wrap"}
    for name, says in every:
        function = _with(state, name, fails, **says)
        state.stamps.begin(1)
        record = state.stamps.current()
        for arguments in (
            {"message": {"_msg_id": MESSAGE_ID}, "msg_id": MESSAGE_ID, "incoming": [None]},
            {},
        ):
            with pytest.raises(LookupError, match="theirs"):
                function(**arguments)
            assert state.stamps.current() is record, name
        state.stamps.end()
        assert state.stamps.current() is None
        assert not state.stamps.broken, (name, state.stamps.failure)


def test_threads_have_records_of_their_own(make):
    state = make()
    serialize = serialize_of(state)
    barrier = threading.Barrier(8)

    def work(worker):
        barrier.wait()
        for number in range(200):
            seq = worker * 200 + number
            state.stamps.begin(seq)
            serialize({"_msg_id": f"{seq:015x}" + "0" * 17})
            assert state.stamps.current()[at.SEQ] == seq
            state.stamps.end()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(state)
    assert sorted(row["seq"] for row in found) == list(range(1600))
    assert all(row["id"] == row["seq"] for row in found)


def _run(script, implementation, python=sys.executable):
    command = [python, "-Wignore", "-X", "dev", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_greenlet_killed_in_the_midst_of_a_message_leaves_the_others_alone(implementation):
    script = """
    import eventlet
    eventlet.monkey_patch()
    from omrig.measured.probes import actions, graft
    from omrig.measured.probes.state import State
    from omrig.model.actions import Action
    state = State(None, 1)
    state.stamps.on = True
    def connect():
        eventlet.sleep(10)
    made = actions.graft(state, Action("span", {"sum": "connect", "alone": True}))
    connect.__code__ = graft.grafted(connect.__code__, made)
    def work(seq):
        state.stamps.begin(seq)
        try:
            connect()
        finally:
            assert state.stamps.current() is not None
            state.stamps.end()
    green = [eventlet.spawn(work, seq) for seq in range(10)]
    eventlet.sleep(0.01)
    for each in green[::2]:
        each.kill()
    assert state.stamps.current() is None
    for each in green:
        each.kill()
    assert not state.stamps.broken, state.stamps.failure
    """
    _run(script, implementation)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_the_interpreter_ends_with_the_instrument_in(implementation):
    script = """
    import threading, time
    from omrig.drivers import maps
    from omrig.measured.probes import install, stamp
    from omrig.measured.probes.state import State
    class Watcher:
        capturing = False
        def __getattr__(self, name):
            return lambda *_: None
    state = State(Watcher(), 1, native=True)
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    context = install.stamping(state, sites)
    context.__enter__()
    state.stamps.on = True
    stamp.clock.put_in(state.stamps)
    from oslo_messaging._drivers import common
    def work():
        while True:
            stamp.clock.begin(1)
            common.serialize_msg({"_msg_id": "a" * 32})
            stamp.clock.end()
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    print(stamp.IMPLEMENTATION, len(state.rows()["producer"]) > 0)
    """
    assert _run(script, implementation).split() == [implementation, "True"]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_nothing_is_kept_of_messages_but_their_rows(implementation):
    script = """
    import gc, sys, types, tracemalloc
    from omrig.measured.probes import actions, graft
    from omrig.measured.probes.state import State
    from omrig.model.actions import Action
    state = State(None, 1, native=True)
    state.stamps.on = True
    def grafted(function, name, **says):
        made = actions.graft(state, Action(name, says))
        function.__code__ = graft.grafted(function.__code__, made)
        return function
    def serialize(message): return message
    def connect(): pass
    def receive(message): pass
    def opened(request, msg_id, unique_id): pass
    def put(msg_id, data): pass
    def endpoint(): pass
    def process(incoming): endpoint()
    grafted(serialize, "adopt", id=("_msg_id",), **{"in": "message"}, sum="json_out")
    grafted(connect, "span", sum="connect", alone=True)
    grafted(receive, "receive", link="message.channel")
    grafted(opened, "open", on="request", id=("msg_id", "unique_id"))
    grafted(put, "reply", id="msg_id", **{"in": "data"}, has=("ending",), enter="put")
    grafted(endpoint, "serve", enter="endpoint", exit="endpoint_end")
    grafted(process, "close", by="incoming[0]", enter="start", exit="end")
    def message(seq):
        message_id = f"{seq:032x}"
        state.stamps.begin(seq)
        serialize({"_msg_id": message_id})
        connect()
        receive(types.SimpleNamespace())
        request = types.SimpleNamespace()
        opened(request, message_id, "")
        process([request])
        put(message_id, {"ending": True})
        state.stamps.end()
    def many(count):
        for seq in range(count):
            message(seq)
        state.stamps.drain("producer"), state.stamps.drain("consumer"), state.stamps.drain_notes()
        gc.collect()
    many(2000)
    tracemalloc.start()
    many(2000)
    before, objects = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
    counts = [sys.getrefcount(each) for each in (None, True, state.stamps)]
    many(10000)
    after = tracemalloc.get_traced_memory()[0]
    assert abs(after - before) < 20_000, (before, after)
    assert abs(len(gc.get_objects()) - objects) < 50
    for each, count in zip((None, True, state.stamps), counts, strict=True):
        assert abs(sys.getrefcount(each) - count) < 50, (each, count, sys.getrefcount(each))
    assert not state.stamps.broken, state.stamps.failure
    """
    _run(script, implementation)
