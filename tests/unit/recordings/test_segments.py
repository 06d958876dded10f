"""From the kernel's notes of segments to arrivals, on segments made up and on real ones."""

import socket
import time

import numpy
import pytest

from omrig.recordings import arrivals, logs, segments
from omrig.watcher import capture, layout

SECOND = 1_000_000_000
REALTIME = 1_700_000_000 * SECOND
"""CLOCK_REALTIME less CLOCK_MONOTONIC of the made-up clock, which drifts by 1 us a second."""

OURS, THEIRS = 40_000, 5672
START = 2**32 - 1000
"""The stream's first sequence number, after which it soon wraps round."""


def _segment(t_ns, sequence, payload, syn=False, local=OURS, ip=4):
    """The words that the kernel notes of one segment."""
    real = t_ns + REALTIME + t_ns // 1_000_000
    header = 20 if ip == 4 else 40
    tcp = [THEIRS << 16 | local, sequence % 2**32, 5 << 28 | (0x12 if syn else 0x10) << 16]
    wire = [int.from_bytes(word.to_bytes(4, "big"), "little") for word in tcp]
    other = [0, 0, 0]
    first = 0x45 if ip == 4 else 0x60
    words = [header + 20 + payload, real // SECOND, real % SECOND, first]
    return words + (wire + other if ip == 4 else other + wire)


def _arrivals(folder, rows, followed):
    numpy.array(rows, "<u4").tofile(folder / layout.SEGMENTS)
    numpy.array(followed, "<u8").tofile(folder / layout.FOLLOWED)
    clock = [(t * SECOND, t * SECOND + REALTIME + t * 1000) for t in range(20)]
    numpy.array(clock, "<u8").tofile(folder / layout.CLOCK)
    return {
        number: [(int(when), int(count)) for when, count in zip(*found, strict=True)]
        for number, found in segments.read(folder).items()
    }


OPENED = _segment(1 * SECOND, START - 1, 0, syn=True)


@pytest.mark.parametrize("ip", [4, 6])
def test_a_stream_is_counted_from_its_beginning_across_a_wrap(tmp_path, ip):
    rows = [
        _segment(1 * SECOND, START - 1, 0, syn=True, ip=ip),
        _segment(3 * SECOND, START + 300, 500, ip=ip),
        _segment(4 * SECOND, START + 800, 700, ip=ip),
    ]
    found = _arrivals(tmp_path, rows, [(7, 2 * SECOND, OURS, THEIRS, 300)])
    assert found == {7: [(2 * SECOND, 300), (3 * SECOND, 800), (4 * SECOND, 1500)]}


def test_beyond_four_gibibytes_the_count_goes_on(tmp_path):
    received = 5 * 2**32 + 17
    rows = [OPENED, _segment(3 * SECOND, START + received, 100)]
    found = _arrivals(tmp_path, rows, [(1, 2 * SECOND, OURS, THEIRS, received)])
    assert found[1][-1] == (3 * SECOND, received + 100)


def test_what_came_out_of_order_arrives_when_the_gap_is_filled(tmp_path):
    rows = [
        OPENED,
        _segment(3 * SECOND, START, 100),
        _segment(4 * SECOND, START + 200, 100),
        _segment(5 * SECOND, START + 300, 100),
        _segment(6 * SECOND, START + 100, 100),
        _segment(7 * SECOND, START + 100, 100),
    ]
    found = _arrivals(tmp_path, rows, [(1, 2 * SECOND, OURS, THEIRS, 0)])
    assert [count for _, count in found[1]] == [0, 100, 100, 100, 400, 400]


def test_a_gap_that_nobody_fills_holds_the_stream_up_for_so_long_only(tmp_path):
    later = range(segments._GIVEN_UP_AFTER + 1)
    rows = [OPENED, _segment(3 * SECOND, START, 100)]
    rows += [_segment(4 * SECOND + n, START + 200 + 10 * n, 10) for n in later]
    found = _arrivals(tmp_path, rows, [(1, 2 * SECOND, OURS, THEIRS, 0)])
    assert found[1][-2][1] == 100
    assert found[1][-1][1] == 200 + 10 * len(later)


def test_a_port_that_served_twice_gives_two_streams(tmp_path):
    other = 123_456
    rows = [
        OPENED,
        _segment(3 * SECOND, START, 100),
        _segment(4 * SECOND, other - 1, 0, syn=True),
        _segment(6 * SECOND, other, 50),
        _segment(7 * SECOND, other, 50, local=OURS + 1),
    ]
    followed = [(1, 2 * SECOND, OURS, THEIRS, 0), (2, 5 * SECOND, OURS, THEIRS, 0)]
    found = _arrivals(tmp_path, rows, followed)
    assert found == {
        1: [(2 * SECOND, 0), (3 * SECOND, 100)],
        2: [(5 * SECOND, 0), (6 * SECOND, 50)],
    }


def test_a_connection_that_is_followed_again_goes_on(tmp_path):
    rows = [OPENED, _segment(3 * SECOND, START, 100), _segment(6 * SECOND, START + 150, 100)]
    followed = [(1, 2 * SECOND, OURS, THEIRS, 0), (1, 5 * SECOND, OURS, THEIRS, 150)]
    found = _arrivals(tmp_path, rows, followed)
    assert [count for _, count in found[1]][-2:] == [150, 250]
    numbers = numpy.array([1, 1])
    log = segments.read(tmp_path)
    assert arrivals.times(log, numbers, numpy.array([100, 250])).tolist() == [
        3 * SECOND,
        6 * SECOND,
    ]


def test_without_its_beginning_a_connection_is_left_out(tmp_path):
    rows = [_segment(3 * SECOND, START, 100)]
    assert _arrivals(tmp_path, rows, [(1, 2 * SECOND, OURS, THEIRS, 0)]) == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_notes_a_real_connection(tmp_path, host):
    noted = capture.Capture(str(tmp_path))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        sender = socket.create_connection(server.getsockname()[:2])
        receiver, _ = server.accept()
    sent = []
    with sender, receiver:
        noted.follow(3, receiver, 0)
        for size in (10, 10_000, 100_000):
            sent.append(time.monotonic_ns())
            sender.sendall(bytes(size))
            time.sleep(0.02)
        # Nobody follows this direction.
        receiver.sendall(bytes(500))
        time.sleep(0.02)
        noted.forget(3)
        sender.sendall(bytes(77))
        time.sleep(0.02)
    noted.drain()
    noted.note_clock()
    assert noted.dropped() == 0
    times, counts = segments.read(tmp_path)[3]
    assert counts[-1] == 110_010
    for at, end in zip(sent, (10, 10_010, 110_010), strict=True):
        arrived = int(times[numpy.searchsorted(counts, end)])
        # The clocks are compared to within the time of reading them.
        assert at - 5_000 <= arrived <= at + 20_000_000


def test_many_ports_are_all_kept(tmp_path):
    noted = capture.Capture(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        for number in range(capture._MOST_PORTS + 50):
            noted._ports[number] = number + 1
        noted.follow(1000, receiver, 0)
        sender.sendall(bytes(10))
        time.sleep(0.02)
    noted.drain()
    assert segments.read(tmp_path)[1000][1].tolist()[-1] == 10


def test_the_log_holds_no_payload(tmp_path):
    noted = capture.Capture(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with sender, receiver:
        noted.follow(1, receiver, 0)
        sender.sendall(b"hunter2!" * 100)
        time.sleep(0.02)
    noted.drain()
    assert noted.segments > 0
    assert b"hunter2" not in (tmp_path / layout.SEGMENTS).read_bytes()


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("shuffled", [0, 5, 200])
def test_a_log_that_is_read_in_parts_says_the_same(tmp_path, monkeypatch, chunk, shuffled):
    chance = numpy.random.default_rng(shuffled)
    rows, followed = [], []
    for number, local in enumerate((OURS, OURS + 1)):
        sent, later = 0, []
        for _ in range(300):
            size = int(chance.integers(1, 3_000))
            later.append((START + sent, size))
            sent += size
            if chance.random() < 0.1:
                # Lost in the ring, or sent twice.
                later.pop() if chance.random() < 0.3 else later.append(later[-1])
        for place in chance.integers(0, len(later) - 3, shuffled):
            later[place], later[place + 2] = later[place + 2], later[place]
        at = [3 * SECOND + each * 1_000 + number for each in range(len(later))]
        rows += [_segment(1 * SECOND, START - 1, 0, syn=True, local=local)]
        rows += [
            _segment(t, sequence, size, local=local)
            for t, (sequence, size) in zip(at, later, strict=True)
        ]
        # The port serves another connection from then on.
        rows += [_segment(at[200], START + 9, 0, syn=True, local=local)] if number else []
        followed += [(number, 2 * SECOND, local, THEIRS, 0)]
    rows.sort(key=lambda words: (words[1], words[2]))
    whole = _arrivals(tmp_path, rows, followed)
    monkeypatch.setattr(logs, "CHUNK", chunk)
    assert _arrivals(tmp_path, rows, followed) == whole
    assert len(whole[0]) > len(whole[1]) == 202
