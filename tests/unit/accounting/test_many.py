"""Many messages: the same figures in less memory, member by member and part by part."""

import json
import subprocess
import sys

import numpy
import pytest

from omrig.accounting import littles_law, stalls, throughput
from omrig.formats import hlog
from omrig.model import columns
from omrig.model.profiling import sample_of
from omrig.recordings import joined
from omrig.recordings.joined import Numbering
from omrig.recordings.messages import Messages
from tools import synthetic_fleet

SECOND = 10**9


@pytest.fixture
def small_parts(monkeypatch):
    for module in (littles_law, throughput, hlog):
        monkeypatch.setattr(module, "CHUNK", 7)
    assert columns.CHUNK > 7


@pytest.fixture
def times():
    chance = numpy.random.default_rng(1)
    started = numpy.sort(chance.integers(1, 200, 500)) * SECOND // 10
    ended = started + chance.integers(0, 30, 500) * SECOND // 10
    ended[chance.integers(0, 500, 40)] = 0
    return started, ended


def test_the_most_under_way_are_those_of_the_order_of_events(small_parts, times):
    started, ended = times
    events = [
        event
        for begin, end in zip(started.tolist(), ended.tolist(), strict=True)
        if end
        for event in ((begin, 1), (end, -1))
    ]
    under_way = most = 0
    for _, step in sorted(events):
        under_way += step
        most = max(most, under_way)
    assert littles_law._most_under_way(started, ended) == most > 10
    nothing = numpy.zeros(0, numpy.int64)
    assert littles_law._most_under_way(nothing, nothing) == 0


def test_seconds_are_counted_over_all_parts(small_parts, times):
    _, ended = times
    ended = ended[ended > 0]
    first = int(ended.min())
    counted = throughput._per_second(ended, first)
    seconds, counts = numpy.unique((ended - first) // SECOND, return_counts=True)
    assert counted == dict(zip(seconds.tolist(), counts.tolist(), strict=True))


def test_a_histogram_is_the_same_in_parts(small_parts):
    values = numpy.random.default_rng(1).lognormal(15, 3, 500).astype(numpy.int64)
    found, counts = hlog._condensed(values)
    rounded, expected = numpy.unique(hlog._rounded(values), return_counts=True)
    assert found.tolist() == rounded.tolist()
    assert counts.tolist() == expected.tolist()
    assert [each.tolist() for each in hlog._condensed(values[:0])] == [[], []]


@pytest.mark.parametrize("consumers", [1, 2, 3])
def test_what_consumers_took_is_folded_one_after_the_other(consumers):
    chance = numpy.random.default_rng(consumers)
    numbering = Numbering(("p", "q"), (50, 30))
    members = [
        Messages(
            {
                f"received_ns.{name}": numpy.where(
                    chance.random(count) < 0.5, chance.integers(1, 9, count), 0
                )
                for name, count in zip(numbering.ids, numbering.counts, strict=True)
            }
        )
        for _ in range(consumers)
    ]
    table = numpy.stack([joined.received_at(each, numbering) for each in members])
    first = numpy.where(table > 0, table, 99).min(axis=0)
    once = joined.of_consumers(members, numbering, copies=False).received_of("p+q")
    assert once.tolist() == numpy.where(first < 99, first, 0).tolist()
    all_of_them = joined.of_consumers(members, numbering, copies=True).received_of("p+q")
    last = numpy.where((table > 0).all(axis=0), table.max(axis=0), 0)
    assert all_of_them.tolist() == last.tolist()
    assert joined.again(members) == numpy.maximum((table > 0).sum(axis=0) - 1, 0).sum()


def test_stalls_are_found_whether_or_not_something_failed():
    """Times of which all are of messages that ended are not copied; copied they give the same."""
    started = numpy.arange(1, 2_001, dtype=numpy.int64) * SECOND // 100
    ended = started + SECOND // 50
    # What is sent in three seconds ends together.
    ended[1_000:1_300] = ended[1_299]
    found = stalls.find(started, ended, ended)
    lost = numpy.append(started, started[-1]), numpy.append(ended, 0)
    other = stalls.find(*lost, numpy.append(ended, started[-1] + 1))
    assert found.told() == other.told()
    assert found.held.tolist() == other.held.tolist()
    assert len(found.told().stalls) == 1
    # Those that had been sent in the first half of it.
    assert found.told().messages == 151


_MEASURE = """
import json, resource, sys
from pathlib import Path
from omrig.cli import results
from omrig.model.errors import Losses
from omrig.report.terminal import run as terminal
from omrig.recordings import folder as run_folder
folder = Path(sys.argv[1])
result = results.account(folder, Losses(folder))
import io, contextlib
with contextlib.redirect_stdout(io.StringIO()) as shown:
    terminal.show([folder], run_folder.read_run(str(folder))[1], result)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = [peak * 1024, result.messages.received, result.closure.messages, shown.getvalue()]
print(json.dumps(found))
"""


def _accounted(folder, messages, sample):
    synthetic_fleet.write(folder, messages, sample)
    command = [sys.executable, "-c", _MEASURE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_ten_million_messages_are_accounted_and_reported_below_a_gigabyte(tmp_path):
    """By what a million takes with as many stages as are kept, and each message more."""
    few, _, staged, _ = _accounted(tmp_path / "few", 200_000, 4)
    many, received, also, _ = _accounted(tmp_path / "many", 1_000_000, 20)
    assert (received, staged, also) == (1_000_000, 50_000, 50_000)
    each = (many - few) / 800_000
    peak, _, kept, shown = _accounted(tmp_path / "staged", 1_000_000, 6)
    assert kept > 10_000_000 / sample_of(10_000_000)
    assert "stages of 1 message in 6, 166,668 of 1,000,000, as --sample says" in shown
    assert peak + 9_000_000 * each < 1e9
