"""Little's law, and what explains it where it does not hold."""

from pathlib import Path

import numpy
import pytest

from omrig.accounting import littles_law, statistics
from omrig.model.result import Throughput
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from tests.unit.accounting import stamped

MS = 1_000_000


def _checked(starts_ms, ends_ms, workers, errors=None, slices=(), failed_ms=None):
    starts, ends = ((numpy.asarray(each) * MS).astype(numpy.int64) for each in (starts_ms, ends_ms))
    columns = {"start_ns": starts, "end_ns": ends}
    if failed_ms:
        columns["failed_seq"] = numpy.array(list(failed_ms))
        columns["failed_ns"] = (numpy.array(list(failed_ms.values())) * MS).astype(numpy.int64)
    run = stamped.run({"workers": workers, "timeout_s": 1.0})
    about = About(errors=errors or {})
    producer = Recording("producer", Path(), run, about, Messages(columns))
    done = ends > 0
    lasted = (ends.max() - starts[done].min()) / 1e9
    throughput = Throughput(messages_per_second=done.sum() / lasted)
    latency = statistics.summary((ends - starts)[done])
    return littles_law.check(run.plan, throughput, latency, producer, slices)


def test_a_steady_loop_needs_no_explanation():
    starts = numpy.repeat(numpy.arange(100), 10) + 1.0
    found = _checked(starts, starts + 1, 10)
    assert found.ratio == pytest.approx(1, abs=0.02)
    assert found.explanation is None


def test_a_slow_end_is_told():
    starts = numpy.ones(10)
    ends = starts + numpy.array([*[10.0] * 9, 100.0])
    assert (
        "nothing to do yet, or no more, as the run began" in _checked(starts, ends, 10).explanation
    )


def test_failures_are_told():
    starts = numpy.arange(100) * 10.0 + 1
    starts[50:] += 1000
    ends = starts + 10
    ends[49] = 0
    found = _checked(starts, ends, 1, {"MessagingTimeout": 1})
    assert "messages that failed" in found.explanation


def test_failures_explain_as_long_as_they_took():
    starts = numpy.arange(100) * 20.0 + 1
    ends = starts + 10
    ends[49] = 0
    found = _checked(starts, ends, 1, {"RemoteError": 1}, failed_ms={49: starts[49] + 1})
    assert found.explanation.startswith("between two messages")
    assert "failed" not in found.explanation


def test_waits_between_messages_are_told():
    starts = numpy.arange(100) * 20.0 + 1
    assert "between two messages" in _checked(starts, starts + 10, 1).explanation


def test_more_than_there_were_workers_is_not_explained():
    starts = numpy.repeat(numpy.arange(100), 10) + 1.0
    assert "no explanation is known" in _checked(starts, starts + 1, 5).explanation
