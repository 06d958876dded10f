"""What the measured processes, the broker and the machine use, sampled from outside.

A sampler inside a measured process takes its CPU and, when that process is busy, gets none: so a
thread of the supervisor reads ``/proc``, ten times a second. What costs more to read is read more
seldom, and its cells are empty in between.
"""

import collections
import contextlib
import csv
import operator
import re
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import psutil

from omrig.model.errors import in_words
from omrig.model.run import Sampling
from omrig.model.units import NS
from omrig.recordings import series

INTERVAL_S = 0.1
"""Between two samples."""

SELDOM_S = 1.0
"""Between two readings of what costs more: descriptors (a listing), threads, their context switches
and their waits for a core (two files a thread), unique memory (the kernel walks all pages of the
process: 1 ms for a small one, 4 ms for a RabbitMQ without queues)."""

SHARE = 0.002
"""Of a core may each of these readings take; the larger the process, the more seldom it is."""

MEMORY_SHARE = 0.02
"""Of a core may the anonymous memory of a side take, where its memory is what was asked for."""

_CPU_SAMPLES = 11
"""The last second: the kernel counts CPU time in steps of 10 ms."""

_MEBIBYTE = float(1 << 20)
_SWITCHES = re.compile(rb"^(?:non)?voluntary_ctxt_switches:\t(\d+)", re.MULTILINE)

_ANONYMOUS = re.compile(rb"^(?:Anonymous|Swap): +(\d+) kB", re.MULTILINE)

_GONE = (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError)

T = TypeVar("T")


class Sampler:
    """Samples from :meth:`start` to :meth:`stop` whatever it was told to :meth:`watch`.

    Every sample is in its file when the next one is taken, so that nothing is lost with a process,
    ours included. Those of the machine go to ``machine_folder``, where that is not ``folder``.
    """

    def __init__(self, folder: Path, machine_folder: Path | None = None) -> None:
        self._folder = folder
        self._machine_folder = machine_folder or folder
        self._processes: list[_Process] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)
        self._began = time.monotonic()
        self._cpu_seconds = 0.0
        self._turns = 0
        self._failure: str | None = None

    def watch(self, name: str, pid: int, memory: bool = False, others: Sequence[int] = ()) -> None:
        """Sample a process into the folder ``name``, with ``memory`` its memory as well.

        What ``others`` use is added to it: the nodes of a broker are sampled as one. A process that
        is gone already leaves no samples.
        """
        folder = self._folder / name
        try:
            folder.mkdir(exist_ok=True)
            with contextlib.suppress(*_GONE):
                first = psutil.Process(pid)
                several = [first, *(each for pid in others for each in _found(pid))]
                self._processes.append(_Process(name, several, folder, memory))
        except OSError as error:
            self._note(error)

    def start(self) -> None:
        """Begin; further processes may be watched later."""
        self._thread.start()

    def stop(self) -> None:
        """End, and close the files."""
        self._over.set()
        self._thread.join()
        for process in self._processes:
            try:
                process.close()
            except OSError as error:
                # It had rows left for which there was no room.
                self._note(error)

    def ended_ns(self) -> dict[int, int]:
        """When each process was found to have ended, on CLOCK_MONOTONIC, by pid."""
        members = [each for process in self._processes for each in process.members]
        return {each.pid: each.ended_ns for each in members if each.ended_ns is not None}

    def cpu(self) -> dict[str, float]:
        """CPU seconds a second of each process over the last second; who has no two samples
        yet is left out."""
        return {
            process.name: process.cpu
            for process in self._processes
            if process.cpu is not None and not process.ended
        }

    def used_s(self) -> float:
        """CPU seconds that the sampling itself has used so far, while it goes on."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident or 0))

    def about(self) -> Sampling:
        """What the sampling itself used, and why it ended early if it did; once it is over."""
        return Sampling(
            interval_seconds=INTERVAL_S,
            turns=self._turns,
            cpu_seconds=round(self._cpu_seconds, 4),
            wall_seconds=round(time.monotonic() - self._began, 4),
            failure=self._failure,
        )

    def _loop(self) -> None:
        began = time.thread_time()
        try:
            with (self._machine_folder / series.MACHINE).open("w", newline="", buffering=1) as file:
                self._sample_all(_writer(file, series.MACHINE_COLUMNS))
        except OSError as error:
            self._note(error)
        self._cpu_seconds = time.thread_time() - began

    def _note(self, error: OSError) -> None:
        # A full disk must not end the run; the report says that the series ends early.
        self._failure = self._failure or in_words(error)

    def _sample_all(self, write_machine: Callable[[list[Any]], object]) -> None:
        due = time.monotonic()
        while True:
            write_machine(_machine())
            for process in list(self._processes):
                process.sample()
            self._turns += 1
            # Late is late: turns that were missed are not made up for.
            due = max(due + INTERVAL_S, time.monotonic())
            if self._over.wait(due - time.monotonic()):
                return


def _found(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(*_GONE):
        return [psutil.Process(pid)]
    return []


class _Process:
    """One process, or several as one, and the files of the samples."""

    def __init__(
        self, name: str, processes: Sequence[psutil.Process], folder: Path, memory: bool
    ) -> None:
        self.name = name
        self.cpu: float | None = None
        self.members = [_Member(process) for process in processes]
        self._used: collections.deque[tuple[int, float]] = collections.deque(maxlen=_CPU_SAMPLES)
        self._files = contextlib.ExitStack()
        self._write = _writer(self._open(folder / series.PROCESS), series.PROCESS_COLUMNS)
        self._memory: _Memory | None = None
        if memory:
            self._memory = _Memory(
                processes[0], self._open(folder / series.MEMORY), self._open(folder / series.MPROF)
            )

    @property
    def ended(self) -> bool:
        """Whether all of it has ended."""
        return all(member.ended_ns is not None for member in self.members)

    def _open(self, path: Path) -> TextIO:
        return self._files.enter_context(
            path.open("w", newline="", buffering=1, encoding="utf-8", errors="backslashreplace")
        )

    def close(self) -> None:
        self._files.close()

    def sample(self) -> None:
        """Append a row, unless the process has ended."""
        if self.ended:
            return
        now_ns, epoch = time.monotonic_ns(), time.time()
        for member in self.members:
            member.sample(now_ns)
        alive = [member for member in self.members if member.ended_ns is None]
        if not alive:
            return
        user, system = (sum(each.cpu[which] for each in self.members) for which in (0, 1))
        rss = sum(member.rss for member in alive)
        self._used.append((now_ns, user + system))
        (since_ns, before), (_, used) = self._used[0], self._used[-1]
        if now_ns > since_ns:
            self.cpu = NS * (used - before) / (now_ns - since_ns)
        unique = _together([member.unique for member in alive], lambda last: last)
        descriptors = _together([member.descriptors for member in alive], lambda last: last)
        threads = _together([member.threads for member in alive], lambda last: last[0])
        # What the threads of a process that has ended did is counted all the same.
        known = [member.threads for member in self.members if member.threads.last]
        counts = [
            _together(known, operator.itemgetter(which)) if threads else None for which in (1, 2, 3)
        ]
        self._write([now_ns, user, system, rss, unique, threads, descriptors, *counts])
        if self._memory:
            self._memory.sample(now_ns, epoch, rss)


def _together(readings: "Sequence[_Seldom[T]]", value: Callable[[T], float | None]) -> float | None:
    """The sum of what was read last, where any of it is new and all of it is known."""
    found = [value(each.last) for each in readings if each.last is not None]
    known = [each for each in found if each is not None]
    is_new = any(each.fresh for each in readings)
    return sum(known) if is_new and len(known) == len(readings) else None


class _Member:
    """A process, and what was last read of it."""

    def __init__(self, process: psutil.Process) -> None:
        self.pid = process.pid
        self.ended_ns: int | None = None
        self.cpu = (0.0, 0.0)
        self.rss = 0
        self.unique = _Seldom(lambda: int(process.memory_full_info().uss))
        self.descriptors = _Seldom(process.num_fds)
        self.threads = _Seldom(_Threads(process.pid))
        self._process = process

    def sample(self, now_ns: int) -> None:
        """Read what is due, unless the process has ended."""
        if self.ended_ns is not None:
            return
        try:
            self._sample()
        except (*_GONE, psutil.AccessDenied):
            self.ended_ns = now_ns

    def _sample(self) -> None:
        with self._process.oneshot():
            cpu, rss = self._process.cpu_times(), self._process.memory_info().rss
            if self._process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.ZombieProcess(self.pid)
        for reading in (self.unique, self.descriptors, self.threads):
            reading.read()
        self.cpu, self.rss = (cpu.user, cpu.system), rss


class _Memory:
    """The memory of one process and its children, as columns and as ``mprof plot`` reads it."""

    def __init__(self, process: psutil.Process, rows: TextIO, mprof: TextIO) -> None:
        self._write = _writer(rows, series.MEMORY_COLUMNS)
        self._mprof = mprof
        command = shlex.join(process.cmdline()).replace("\n", " ")
        self._mprof.write(f"CMDLINE {command}\n")
        smaps = Path(f"/proc/{process.pid}/smaps_rollup")
        self._anonymous = _Seldom(
            lambda: sum(map(int, _ANONYMOUS.findall(smaps.read_bytes()))) * 1024,
            INTERVAL_S,
            MEMORY_SHARE,
        )
        self._children: _Seldom[list[psutil.Process]] = _Seldom(
            # To find them psutil asks every process there is for its parent.
            lambda: process.children(recursive=True)
        )

    def sample(self, now_ns: int, epoch: float, rss: int) -> None:
        """Append a row, and the lines that ``mprof run --multiprocess`` writes of it: MiB and
        seconds since the epoch."""
        self._children.read()
        children = {}
        for child in self._children.last or ():
            with contextlib.suppress(*_GONE):
                children[child.pid] = child.memory_info().rss
        # A process that ends meanwhile leaves this sample in neither of the two files.
        row = [now_ns, rss, self._anonymous.read(), sum(children.values())]
        self._mprof.write(f"MEM {rss / _MEBIBYTE:.6f} {epoch:.4f}\n")
        for pid, resident in children.items():
            self._mprof.write(f"CHLD {pid} {resident / _MEBIBYTE:.6f} {epoch:.4f}\n")
        self._write(row)


class _Seldom(Generic[T]):
    """A reading taken once in ``interval_s`` at most, and never for more than ``share`` of a core.

    :meth:`read` returns None where it is not due, and where another user's process does not let us.
    """

    def __init__(
        self, read: Callable[[], T], interval_s: float = SELDOM_S, share: float = SHARE
    ) -> None:
        self.last: T | None = None
        self.fresh = False
        """Whether it was read in the last turn."""
        self._read = read
        self._interval_s = interval_s
        self._share = share
        self._due = 0.0

    def read(self) -> T | None:
        now, used = time.monotonic(), time.thread_time()
        self.fresh = False
        if now < self._due:
            return None
        try:
            self.last = self._read()
        except (psutil.AccessDenied, PermissionError):
            self.last = None
        self.fresh = self.last is not None
        used = time.thread_time() - used
        # A little early: a turn is not to be missed for being a few microseconds before it.
        self._due = now + max(self._interval_s - INTERVAL_S / 2, used / self._share)
        return self.last


class _Threads:
    """How many threads there are; voluntary and involuntary context switches, and seconds for which
    they waited for a core (None where the kernel does not count), ended threads as last seen.

    The files of the process itself, of which psutil reads one, count its first thread's only.
    """

    def __init__(self, pid: int) -> None:
        self._threads = Path(f"/proc/{pid}/task")
        self._counts: dict[str, tuple[int, int]] = {}
        self._waited_ns: dict[str, int] = {}

    def __call__(self) -> tuple[int, int, int, float | None]:
        paths = [*self._threads.iterdir()]
        for path in paths:
            with contextlib.suppress(*_GONE):
                voluntary, involuntary = _SWITCHES.findall((path / "status").read_bytes())
                self._counts[path.name] = int(voluntary), int(involuntary)
                _ran, waited, _times = (path / "schedstat").read_bytes().split()
                self._waited_ns[path.name] = int(waited)
        counts = self._counts.values()
        waited_s = sum(self._waited_ns.values()) / NS if self._waited_ns else None
        return (
            len(paths),
            sum(one for one, _ in counts),
            sum(other for _, other in counts),
            waited_s,
        )


def _writer(file: TextIO, columns: tuple[str, ...]) -> Callable[[list[Any]], object]:
    write: Callable[[Any], object] = csv.writer(file, lineterminator="\n").writerow
    write(columns)
    return write


def _machine() -> list[Any]:
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return [time.monotonic_ns(), round(busy, 2), times.idle, times.iowait, times.steal]
