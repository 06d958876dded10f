"""The sampler, on processes of its own."""

import subprocess
import sys
import time

import mprof
import numpy
import psutil
import pytest

from omrig.recordings import series
from omrig.supervisor import sampler as sampling

pytestmark = pytest.mark.measures

# Eight threads that wait, a child, memory and CPU; ends when its standard input does.
BUSY = """
import subprocess, sys, threading, time
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
for _ in range(8):
    threading.Thread(target=lambda: [time.sleep(0.01) for _ in range(10**6)], daemon=True).start()
def burn():
    while True:
        sum(range(1000))
threading.Thread(target=burn, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
child.stdin.close()
"""  # noqa: E501


@pytest.fixture
def busy():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def sampled(tmp_path, busy):
    """A folder with the samples of a process that was killed meanwhile, and the sampler."""
    sampler = sampling.Sampler(tmp_path)
    sampler.start()
    sampler.watch("producer", busy.pid, memory=True)
    # As long as is needed for two readings of what is read seldom.
    deadline = time.monotonic() + 20
    while not _two_seldom(tmp_path / "producer" / series.PROCESS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    busy.kill()
    time.sleep(3 * sampling.INTERVAL_S)
    sampler.stop()
    return tmp_path, sampler


def _two_seldom(path):
    samples = series.read(path)
    return samples is not None and numpy.count_nonzero(~numpy.isnan(samples["uss_bytes"])) >= 2


def test_a_process(sampled):
    folder, sampler = sampled
    samples = series.read(folder / "producer" / series.PROCESS)
    assert tuple(samples) == series.PROCESS_COLUMNS
    header = (folder / "producer" / series.PROCESS).read_text().partition("\n")[0]
    assert header == (
        "monotonic_ns,cpu_user_seconds,cpu_system_seconds,rss_bytes,uss_bytes,threads,descriptors,"
        "voluntary_context_switches,involuntary_context_switches,core_wait_seconds"
    )
    at = samples["monotonic_ns"]
    assert (numpy.diff(at) > 0).all()
    # A turn may be late on a busy machine, but none comes twice.
    assert numpy.diff(at).mean() >= 0.9 * sampling.INTERVAL_S * 1e9
    used = samples["cpu_user_seconds"] + samples["cpu_system_seconds"]
    assert (numpy.diff(used) >= 0).all()
    assert used[-1] > used[0]
    seldom = ~numpy.isnan(samples["uss_bytes"])
    assert 2 <= seldom.sum() < len(at)
    assert (samples["uss_bytes"][seldom] <= samples["rss_bytes"][seldom]).all()
    # A turn that sees the processor's clock at the wrong moment reads threads and memory apart.
    assert numpy.nanmax(samples["threads"]) == 10
    assert numpy.nanmin(samples["descriptors"]) >= 3
    # The eight that wait switch a hundred times a second each, the first thread hardly does.
    switches = samples["voluntary_context_switches"]
    assert numpy.nanmax(switches) - numpy.nanmin(switches) > 50
    waited = samples["core_wait_seconds"]
    assert (numpy.diff(waited[~numpy.isnan(waited)]) >= 0).all()
    # Ten threads, most of which sleep: they cannot wait for longer than they exist.
    assert 0 < numpy.nanmax(waited) - numpy.nanmin(waited) < 10 * (at[-1] - at[0]) / 1e9
    assert sampler.about().failure is None
    assert sampler.about().turns >= len(at)
    assert 0 < sampler.about().cpu_seconds < sampler.about().wall_seconds


def test_the_machine(sampled):
    folder, _ = sampled
    samples = series.read(folder / series.MACHINE)
    assert tuple(samples) == series.MACHINE_COLUMNS
    assert (numpy.diff(samples["monotonic_ns"]) > 0).all()
    spent = sum(samples[name][-1] - samples[name][0] for name in series.MACHINE_COLUMNS[1:])
    lasted = (samples["monotonic_ns"][-1] - samples["monotonic_ns"][0]) / 1e9
    assert spent / lasted == pytest.approx(psutil.cpu_count(), rel=0.2)


def test_memory_as_columns_and_for_mprof(sampled):
    folder, _ = sampled
    samples = series.read(folder / "producer" / series.MEMORY)
    assert tuple(samples) == series.MEMORY_COLUMNS
    read = ~numpy.isnan(samples["anonymous_bytes"])
    assert read.any()
    assert (samples["anonymous_bytes"][read] < samples["rss_bytes"][read]).all()
    assert samples["children_rss_bytes"].max() > 1 << 20
    profile = mprof.read_mprofile_file(str(folder / "producer" / series.MPROF))
    assert profile["cmd_line"].startswith(f"{sys.executable} -c")
    assert len(profile["mem_usage"]) == len(samples["rss_bytes"])
    assert profile["mem_usage"] == pytest.approx(samples["rss_bytes"] / 2**20, abs=1e-5)
    assert profile["timestamp"][0] == pytest.approx(time.time(), abs=60)
    ((_, children),) = profile["children"].items()
    assert children[-1][0] == pytest.approx(samples["children_rss_bytes"].max() / 2**20, rel=0.5)


def test_a_process_that_is_gone_leaves_nothing(tmp_path):
    sampler = sampling.Sampler(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    sampler.watch("producer", ended.pid)
    sampler.start()
    sampler.stop()
    assert list((tmp_path / "producer").iterdir()) == []
    assert series.read(tmp_path / series.MACHINE) is not None


def test_a_process_that_ends_within_a_sample_leaves_none_of_it(tmp_path, busy):
    rows, profile = tmp_path / series.MEMORY, tmp_path / series.MPROF
    with rows.open("w") as columns, profile.open("w") as lines:
        memory = sampling._Memory(psutil.Process(busy.pid), columns, lines)
        busy.kill()
        busy.wait()
        with pytest.raises(sampling._GONE):
            memory.sample(1, 2.0, 3)
    assert rows.read_text().splitlines() == [",".join(series.MEMORY_COLUMNS)]
    assert [line.split()[0] for line in profile.read_text().splitlines()] == ["CMDLINE"]


def test_what_may_not_be_read_stays_empty(tmp_path, busy, monkeypatch):
    def denied(process):
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", denied)
    monkeypatch.setattr(psutil.Process, "num_fds", denied)
    sampler = sampling.Sampler(tmp_path)
    sampler.watch("broker", busy.pid)
    sampler.start()
    sampler.stop()
    samples = series.read(tmp_path / "broker" / series.PROCESS)
    assert numpy.isnan(samples["uss_bytes"]).all()
    assert numpy.isnan(samples["descriptors"]).all()
    assert samples["rss_bytes"][0] > 0
    assert samples["threads"][0] == 10


def test_several_processes_are_sampled_as_one_and_count_after_their_end(tmp_path, busy):
    """The nodes of a broker: what one has used stays used when it is gone."""
    other = subprocess.Popen([sys.executable, "-c", "while True: sum(range(1000))"])
    sampler = sampling.Sampler(tmp_path)
    sampler.watch("broker", other.pid, others=[busy.pid, 2**22 + 1])
    sampler.start()
    time.sleep(10 * sampling.INTERVAL_S)
    alone = psutil.Process(busy.pid).memory_info().rss
    both = alone + psutil.Process(other.pid).memory_info().rss
    before = time.monotonic_ns()
    other.kill()
    other.wait()
    time.sleep(10 * sampling.INTERVAL_S)
    sampler.stop()
    samples = series.read(tmp_path / "broker" / series.PROCESS)
    at, used = samples["monotonic_ns"], samples["cpu_user_seconds"] + samples["cpu_system_seconds"]
    assert (numpy.diff(used) >= 0).all()
    assert used[-1] >= used[at < before][-1] > 0
    assert samples["rss_bytes"][at < before][-1] == pytest.approx(both, rel=0.2)
    assert samples["rss_bytes"][-1] == pytest.approx(alone, rel=0.2)
    assert samples["threads"][0] == 11
    ((pid, ended),) = sampler.ended_ns().items()
    assert pid == other.pid
    assert before <= ended < before + 5 * sampling.INTERVAL_S * 1e9


def test_a_full_disk_ends_the_samples_and_is_told(tmp_path):
    (tmp_path / series.MACHINE).mkdir()
    sampler = sampling.Sampler(tmp_path)
    sampler.start()
    sampler.stop()
    failure = sampler.about().failure
    assert failure == f"{tmp_path / series.MACHINE}: Is a directory; name a file, not a folder"


def test_a_line_that_a_killed_writer_left_unfinished_is_dropped(tmp_path):
    path = tmp_path / series.PROCESS
    path.write_text("monotonic_ns,rss_bytes,threads\n1,2,\n3,4")
    samples = series.read(path)
    assert samples["rss_bytes"].tolist() == [2]
    assert numpy.isnan(samples["threads"]).all()


@pytest.mark.parametrize("text", ["", "monotonic_ns,rss_bytes\n"])
def test_a_file_without_samples(tmp_path, text):
    (tmp_path / series.PROCESS).write_text(text)
    assert series.read(tmp_path / series.PROCESS) is None
    assert series.read(tmp_path / "nothing") is None
