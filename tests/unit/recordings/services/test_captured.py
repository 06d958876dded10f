"""From the recorder's capture to arrivals on connections that were open before it."""

import numpy
import pytest

from omrig.model.recorded import CAPTURE
from omrig.recordings import arrivals
from omrig.recordings.services import captured, recording
from tests import recorded

EARLY = 40 * recorded.US


def made(count=20):
    fleet = recorded.Fleet()
    server = fleet.process("server")
    for number in range(count):
        fleet.cast(None, server, "told", at=number * recorded.MS)
    return fleet, server


def times(rec):
    (process,) = recording.read(rec).processes
    log = captured.of_process(captured.read(rec / CAPTURE), process)
    columns = process.columns["consumer"]
    return arrivals.times(log, columns["connection"], columns["offset"]), columns["read"]


@pytest.mark.parametrize("base", [12_345, 2**32 - 3_000, 7 * 2**32 + 5])
def test_a_connection_from_before_is_counted_from_where_most_messages_say(tmp_path, base):
    fleet, server = made()
    rec = fleet.write(tmp_path)
    fleet.capture(rec, server, base)
    came, read = times(rec)
    assert (read - came).tolist() == [EARLY] * 20


def test_messages_that_were_read_late_do_not_change_the_vote(tmp_path):
    fleet, server = made()
    rec = fleet.write(tmp_path)
    fleet.capture(rec, server)
    for row in server.rows["consumer"][::3]:
        row["read"] += 10 * recorded.MS
    late = recorded.Fleet()
    late.processes = fleet.processes
    again = late.write(tmp_path, "rec-2")
    (rec / "capture").rename(again / "capture")
    came, read = times(again)
    expected = [EARLY + (10 * recorded.MS if number % 3 == 0 else 0) for number in range(20)]
    assert (read - came).tolist() == expected


def test_another_stream_on_the_same_ports_is_no_clock(tmp_path):
    fleet, server = made()
    rec = fleet.write(tmp_path)
    rng = numpy.random.default_rng(1)
    for row in server.rows["consumer"]:
        row["offset"] = int(rng.integers(500, 1_000_000))
    fleet.capture(rec, server)
    came, _ = times(rec)
    assert came.tolist() == [0] * 20


def test_what_was_not_captured_has_no_time(tmp_path):
    fleet, _ = made()
    came, _ = times(fleet.write(tmp_path))
    assert came.tolist() == [0] * 20
