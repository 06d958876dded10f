"""The counters of mode ``counts``, without a broker."""

import queue
import socket
import struct
import subprocess
import sys
import threading

import pytest

from omrig.measured.profilers import registry
from omrig.measured.profilers.entered import (
    COUNTED,
    MADE,
    OWN,
    RECEIVES,
    SENDS,
    SERVES,
    WAITING,
    Entered,
    Files,
)
from omrig.measured.profilers.frames import Frames
from omrig.model.errors import UsageError


def work(times):
    for _ in range(times):
        step()


def step():
    return 1


def counted(act):
    """The counter of what ``act`` did with it in a thread of its own; nothing stays behind."""
    entered, failures = Entered(), []

    def run():
        try:
            act(entered)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            failures.append(error)
        finally:
            sys.setprofile(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    threading.setprofile(None)
    assert not failures
    return entered


def test_functions_entered_from_one_message_to_the_next():
    def act(entered):
        entered.install(native=False)
        entered.begin()
        for _ in range(5):
            entered.mark(SENDS)
            work(3)
        entered.mark(SENDS)

    entered = counted(act)
    assert entered.marks() == {SENDS: 6}
    assert entered.histograms() == {SENDS: {"4": 5}}


def test_what_others_do_meanwhile_is_not_counted():
    def act(entered):
        entered.install(native=True)
        entered.begin()
        entered.mark(SENDS)
        for _ in range(3):
            other = threading.Thread(target=work, args=(50,))
            other.start()
            other.join()
            work(1)
            entered.mark(SENDS)

    entered = counted(act)
    ((calls, times),) = entered.histograms()[SENDS].items()
    assert (calls, times) == ("2", 3)
    assert entered.waiting()[SENDS] > 3


def test_a_thread_that_serves_one_message_has_all_its_calls_in_it():
    def act(entered):
        entered.install(native=True)
        entered.begin()

        def serve():
            entered.mark(SERVES)
            work(2)

        for _ in range(4):
            one = threading.Thread(target=serve)
            one.start()
            one.join()

    entered = counted(act)
    assert entered.marks() == {SERVES: 4}
    ((calls, times),) = entered.histograms()[SERVES].items()
    # The function that the thread runs is one of them.
    assert (calls, times) == ("4", 4)


def test_turns_that_find_nothing_do_not_count():
    def act(entered):
        entered.install(native=False)
        entered.begin()
        entered.mark(RECEIVES)
        for empty in (0, 3, 1, 0, 7):
            for _ in range(empty):
                task, at = entered.reads()
                entered.found_none(task, at)
                work(5)
            entered.reads()
            work(2)
            entered.mark(RECEIVES)

    assert counted(act).histograms() == {RECEIVES: {"3": 5}}


def test_the_warm_up_counts_for_no_message():
    def act(entered):
        entered.install(native=False)
        for on in (False, False, True, True):
            if on:
                entered.begin()
            entered.mark(SENDS)
            work(1)

    entered = counted(act)
    assert entered.marks() == {SENDS: 2}
    assert entered.histograms() == {SENDS: {"2": 1}}


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (Entered.mark.__code__.co_filename, OWN),
        (threading.__file__, WAITING),
        (queue.__file__, WAITING),
        ("/x/site-packages/eventlet/hubs/hub.py", WAITING),
        ("/x/site-packages/oslo_messaging/threading.py", COUNTED),
        (__file__, COUNTED),
        ("<string>", MADE),
    ],
)
def test_whose_functions_are_counted(file, kind):
    assert Files()[file] == kind


class Transport:
    """As py-amqp's, with what is to be read."""

    def __init__(self, frames=()):
        self.frames = list(frames)
        self.written = []

    def _init_socket(self):
        pass

    def write(self, data):
        self.written.append(bytes(data))

    def read_frame(self):
        if not self.frames:
            raise TimeoutError
        return self.frames.pop(0)


def method(class_id, method_id, rest=b""):
    return struct.pack(">HH", class_id, method_id) + rest


def frame(kind, payload, channel=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def wrapped():
    """A class of transports that is counted, and the counts."""
    frames = Frames(Entered())
    own = type("Counted", (Transport,), dict(vars(Transport)))
    frames._wrap_transport(own)
    return own, frames


def test_what_is_written_is_counted_by_method_with_its_content():
    made, frames = wrapped()
    link = made()
    link._init_socket()
    frames.enter("load")
    whole = frame(1, method(60, 40, b"xyz")) + frame(2, b"h" * 20) + frame(3, b"b" * 100)
    link.write(memoryview(whole))
    link.write(frame(8, b"", 0))
    link.write(frame(1, method(50, 10)))
    assert b"".join(link.written).startswith(whole)
    assert frames.of("start")["sent"] == {"protocol header": [0, 0, 8]}
    assert frames.of("load")["sent"] == {
        "basic.publish": [1, 3, len(whole)],
        "queue.declare": [1, 1, 12],
    }
    assert frames.apart("heartbeats") == {"start": 0, "load": 1}


def test_frames_of_two_channels_do_not_mix():
    made, frames = wrapped()
    link = made()
    link.write(frame(1, method(60, 40), 1))
    link.write(frame(1, method(60, 80), 2))
    link.write(frame(2, b"h" * 20, 1))
    assert frames.of("start")["sent"] == {"basic.publish": [1, 2, 40], "basic.ack": [1, 1, 12]}


def test_what_is_read_is_counted_and_what_times_out_is_not():
    made, frames = wrapped()
    link = made([(1, 1, method(60, 60)), (2, 1, b"h" * 20), (8, 0, b"")])
    for _ in range(3):
        link.read_frame()
    with pytest.raises(socket.timeout):
        link.read_frame()
    assert frames.of("start")["received"] == {"basic.deliver": [1, 2, 40]}


def test_an_unknown_method_has_its_numbers_for_a_name():
    made, frames = wrapped()
    made().write(frame(1, method(61, 7)))
    assert frames.of("start")["sent"] == {"61.7": [1, 1, 12]}


def test_py_amqp_has_what_is_counted():
    code = (
        "from omrig.measured.profilers.entered import Entered\n"
        "from omrig.measured.profilers.frames import Frames\n"
        "assert Frames(Entered()).install()\n"
        "from amqp import abstract_channel, transport\n"
        "print(transport.TCPTransport.write.__name__, transport.SSLTransport.read_frame.__name__,\n"
        "      abstract_channel.AbstractChannel.wait.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["counting_write", "counting_read_frame", "counting_wait"]


def test_it_does_not_run_beside_another_that_needs_the_profile_function():
    with pytest.raises(UsageError, match="Python has one profile function, and both need it"):
        registry.load(["counts", "yappi"])
    assert [mode.name for mode in registry.load(["stages", "counts", "memory"])] == [
        "stages",
        "counts",
    ]
