"""The lines in which memory grew: every call has its own, whatever runs in between."""

import io
import json
import mmap
import re
import sys
import threading

import greenlet
import pytest
from rich.console import Console

from omrig.measured.profilers import registry
from omrig.measured.profilers.base import Context
from omrig.measured.profilers.memory_lines import MemoryLinesProfiler, Recorded
from omrig.model.errors import UsageError
from omrig.model.profiling import Profiling
from omrig.report.terminal.profiles import memory_lines

MEBIBYTE = 1 << 20

PIECE = b"x" * 4096

KEPT = []


def pages(size):
    """Memory that nobody had before; what others have freed would be no growth."""
    fresh = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # In pieces: what is as large as all of it the allocator may keep when it is freed.
    for _ in range(size // len(PIECE)):
        fresh.write(PIECE)
    return fresh


def take(yielding=lambda: None):
    first = 1
    yielding()
    KEPT.append(pages(4 * MEBIBYTE))
    yielding()
    return first


def numbers():
    for number in range(3):
        yield number + 1


@pytest.fixture
def recorded():
    """Notes the functions above in this thread and those that are started."""
    recorded = Recorded(threading.Lock())
    for function in (take, numbers):
        recorded.register(function.__code__)
    before = sys.gettrace()
    threading.settrace(recorded.trace)
    sys.settrace(recorded.trace)
    recorded.on = True
    yield recorded
    sys.settrace(before)
    threading.settrace(before)
    KEPT.clear()


def hits(recorded):
    """How often each line ran, by its source."""
    return {line["source"]: line["hits"] for line in recorded.summary()["lines"]}


def increments(recorded):
    return {line["source"]: line["increment_bytes"] for line in recorded.summary()["lines"]}


TAKEN = "KEPT.append(pages(4 * MEBIBYTE))"


def test_a_line_that_takes_memory(recorded):
    take()
    take()
    assert hits(recorded)["first = 1"] == hits(recorded)["return first"] == 2
    assert increments(recorded)[TAKEN] == pytest.approx(8 * MEBIBYTE, rel=0.1)
    assert abs(increments(recorded)["first = 1"]) < MEBIBYTE
    (largest, *_) = recorded.summary()["lines"]
    assert largest["function"] == "take"
    assert largest["source"] == TAKEN


def test_greenlets_that_take_turns_in_the_function(recorded):
    main = greenlet.getcurrent()
    workers = [greenlet.greenlet(lambda: take(main.switch)) for _ in range(5)]
    for _ in range(3):
        for worker in workers:
            worker.switch()
    assert all(worker.dead for worker in workers)
    assert len(hits(recorded)) == 4
    assert set(hits(recorded).values()) == {5}


def test_threads_at_the_same_time(recorded):
    barrier = threading.Barrier(5)
    threads = [threading.Thread(target=take, args=(barrier.wait,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hits(recorded)[TAKEN] == hits(recorded)["return first"] == 5
    # What another thread took meanwhile may count in both.
    assert increments(recorded)[TAKEN] > 3 * 4 * MEBIBYTE


def test_a_generator_goes_on_where_it_was(recorded):
    assert list(numbers()) == [1, 2, 3]
    assert hits(recorded)["yield number + 1"] == 3


def test_only_while_it_is_on(recorded):
    recorded.on = False
    take()
    assert recorded.summary()["lines"] == []
    assert recorded.summary()["functions_hit"] == 0
    recorded.on = True
    take()
    assert recorded.summary()["functions_hit"] == 1


def test_the_table_is_memory_profilers(recorded):
    take()
    text = io.StringIO()
    recorded.write(text)
    assert "Line #    Mem usage    Increment  Occurrences   Line Contents" in text.getvalue()
    row = re.search(r"([\d.]+) MiB +([\d.]+) MiB +(\d+) +KEPT\.append", text.getvalue())
    assert float(row[1]) > float(row[2]) == pytest.approx(4, rel=0.1)
    assert row[3] == "1"


def test_what_is_written_and_shown(tmp_path):
    target = "omrig.measured.pipe:emitter"
    asked = Profiling(options={"targets": (target,)})
    profiler = MemoryLinesProfiler(Context("threading", "producer", profiling=asked))
    before = sys.gettrace()
    try:
        profiler.install()
        assert profiler.save(tmp_path) == []
        profiler.start()
        from omrig.measured import pipe

        pipe.emitter(0)
        profiler.stop()
    finally:
        sys.settrace(before)
        threading.settrace(before)
    (artefact,) = profiler.save(tmp_path)
    assert artefact.open_with == "less {path}"
    text = (tmp_path / artefact.path).read_text()
    assert f"{target}: 2 functions found, 1 called" in text
    summary = json.loads((tmp_path / "profile.memory-lines.json").read_text())
    assert summary["targets"] == [target]
    file = io.StringIO()
    for part in memory_lines.render(summary, "producer", 100):
        Console(file=file, width=200).print(part)
    assert f"memory-lines of the producer: {target}: 2 functions found, 1 called" in file.getvalue()
    assert "slows every call" in file.getvalue()


def test_a_line_is_shown_with_what_it_took():
    line = {"file": "/x/driver.py", "line": 12, "hits": 4, "increment_bytes": 8 * MEBIBYTE}
    line |= {"function": "f", "peak_rss_bytes": 0, "source": "keep()"}
    summary = {"targets": ["x:f"], "functions_registered": 1, "functions_hit": 1, "notes": []}
    file = io.StringIO()
    for part in memory_lines.render({**summary, "lines": [line]}, "producer", 100):
        Console(file=file, width=100).print(part)
    assert re.search(r"8\.00 MiB +4 +2\.00 MiB +driver\.py:12 +keep\(\)", file.getvalue())


def test_targets_have_to_be_named():
    with pytest.raises(UsageError, match="--target MODULE:FUNCTION"):
        registry.check_targets(["memory-lines"], [])
    with pytest.raises(UsageError, match="has no function 'gone'"):
        registry.check_targets(["memory-lines"], ["omrig.measured.pipe:gone"])
    registry.check_targets(["memory-lines", "stages"], ["omrig.measured.pipe:emitter"])


def test_it_cannot_run_with_the_other_tracer_of_lines():
    with pytest.raises(UsageError, match="both need the trace function of every thread"):
        registry.load(["lines", "memory-lines"])
    assert [mode.name for mode in registry.load(["memory", "memory-lines"])]
