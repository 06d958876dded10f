"""Mode ``pyspy``: what each thread does, sampled from outside by py-spy.

py-spy is a process of its own that reads the stacks of the measured one from its memory, a hundred
times a second. Nothing is added to any call, so shares are true where yappi distorts them; what is
rare and short is not seen. It knows threads, not greenlets: under eventlet it sees whichever
greenlet is running, and none of those that wait.

Under eventlet it stops the process to read it. Stopping a hundred native threads a hundred times a
second slows them several times, so those are read while they run, and a stack that changed
meanwhile is dropped as an error; the stacks of C functions (``--native``) cannot be read like that.

py-spy cannot pause. Each ``start`` begins a recording of its own, and they are put one after
another; what happened in between takes no time in the files.
"""

import ctypes
import functools
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile, Weighted
from omrig.measured.executors import roles
from omrig.measured.profilers import positions, sampled
from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.names import Names
from omrig.measured.profilers.whereabouts import NOT_LEARNED
from omrig.model import by_stage, interpreter
from omrig.model.functions import file_of
from omrig.model.profiling import GIL, NATIVE, OPTIONS
from omrig.recordings import writer

RATE_HZ = 100
"""Samples a second: py-spy's default."""

TOP = 50
"""So many functions are listed: those found most often on top of the stack."""

SPEEDSCOPE, COLLAPSED, SUMMARY = "pyspy.speedscope.json", "pyspy.collapsed", "profile.pyspy.json"

_START_S = 10.0
"""How long py-spy may take until it samples; a twentieth of a second is usual."""

_STOP_S = 10.0
"""How long it may take to write what it recorded."""

_POLL_S = 0.005
_SAMPLING = "Sampling process"
_PR_SET_PTRACER = 0x59616D61  # linux/prctl.h

_BEGINNINGS = [
    (f"/{module.replace('.', '/')}.py", name, role)
    for entry, role in {
        **roles.KNOWN_ROLES,
        "omrig.measured.load.workers:Workers._run.<locals>.work": "producer worker",
        "omrig.measured.process:main": "main",
    }.items()
    for module, _, name in [entry.partition(":")]
]
"""What of the functions below a stack says whose it is: file, name, role."""

_WRAPPERS = {"Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run", "GreenThread.main"}
"""What threads begin with, whatever they are for."""

_ERRORS = re.compile(r"Errors: (\d+)")
_FORBIDDEN = re.compile("permission denied|not permitted|EPERM", re.IGNORECASE)

_WHEN_PERMITTED = ("sh", "-c", 'read -r _ && exec "$0" "$@"')
"""The shell becomes py-spy, with the same process id, once that has been permitted to observe."""


def _find() -> str:
    found = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")
    if found is None:
        # A package, but a program and no module.
        raise ModuleNotFoundError("No program named 'py-spy'", name="py-spy")
    return found


PROGRAM = _find()
"""The path of py-spy, beside this Python or on the PATH."""


class PySpyProfiler(Profiler):
    """Writes every sample in order by thread (``pyspy.speedscope.json``), and collapsed stacks.

    ``functions.pyspy.json`` is what runs are compared by.
    """

    name = "pyspy"
    refused_with = dict.fromkeys(
        ("yappi", "lines", "memory-lines", "memray"),
        "py-spy would find the other one's work in the stacks",
    )
    options = OPTIONS["pyspy"]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        asked = [option for option in self.options if context.profiling.value(option)]
        self._arguments = [option.flag for option in asked]
        if context.executor == "threading" and NATIVE not in asked:
            self._arguments.append("--nonblocking")
        self._recordings: list[_Recording] = []

    def start(self) -> None:
        """Begin to record; returns when samples are taken, or when that has failed."""
        number = len(self._recordings) + 1
        recording = _Recording(self._run.folder, number, self._arguments)
        self._recordings.append(recording)
        recording.start()

    def stop(self) -> None:
        """End the recording; returns when it is written."""
        if self._recordings:
            self._recordings[-1].stop()

    def save(self, folder: Path) -> list[Artefact]:
        """Put the recordings together; nothing if ``start`` was never called.

        Where py-spy could not record, the summary says why.
        """
        if not self._recordings:
            return []
        threads: dict[str, list[Weighted]] = {}
        for recording in self._recordings:
            for profile in recording.take():
                threads.setdefault(profile.name, []).extend(profile.stacks)
        profiles = [Profile(name, "seconds", found) for name, found in threads.items()]
        profiles.sort(key=lambda profile: -len(profile.stacks))
        failures = [each.failure for each in self._recordings if each.failure]
        courses = positions.learn(self._run.whereabouts.passed()) if self._run.whereabouts else None
        summary = {
            "failed": failures[0] if failures else None,
            "rate_hz": RATE_HZ,
            "gil": self._run.profiling.value(GIL),
            "native": self._run.profiling.value(NATIVE),
            "recordings": len(self._recordings),
            "seconds": sum(each.seconds for each in self._recordings),
            "cpu_seconds": sum(each.cpu_seconds for each in self._recordings),
            "errors": sum(each.errors for each in self._recordings),
            **summarise(profiles),
            **({} if courses is None else {by_stage.KEY: by_stages(profiles, courses).to_json()}),
        }
        writer.write_json(folder / SUMMARY, summary)
        if not profiles:
            return []
        found = sampled.functions(profiles, courses, Names())
        writer.write_json(folder / file_of(self.name), found.to_json())
        titled = [_titled(profile) for profile in profiles]
        with writer.writing(folder / SPEEDSCOPE) as file:
            stacks.write_speedscope(file, f"{self._run.side}, py-spy", titled)
        with writer.writing(folder / COLLAPSED) as file:
            stacks.write_collapsed(file, _counted(profiles))
        return [
            Artefact(SPEEDSCOPE, "speedscope", stacks.OPEN_WITH),
            Artefact(COLLAPSED, "collapsed stacks", stacks.OPEN_WITH),
        ]


def summarise(profiles: Sequence[Profile]) -> dict[str, object]:
    """How many samples there are by role, and by the function on top of the stack.

    A share is of all samples.
    """
    by_role, on_top = Counter[str](), Counter[tuple[str, str | None]]()
    for profile in profiles:
        by_role.update(role_of(stack) for stack, _ in profile.stacks)
        on_top.update((stack[-1].name, stack[-1].file) for stack, _ in profile.stacks if stack)
    whole = by_role.total()
    return {
        "samples": whole,
        "roles": [
            {"role": role, "samples": count, "share": count / whole}
            for role, count in by_role.most_common()
        ],
        "functions": [
            {"function": name, "file": file, "samples": count, "share": count / whole}
            for (name, file), count in on_top.most_common(TOP)
        ],
    }


PLACED = "each sample by where its stack is on a message's way, as some messages have shown it"
"""How samples are put into stages."""


def by_stages(profiles: Sequence[Profile], courses: positions.Courses) -> by_stage.ByStage:
    """The samples by stage, and the functions that were on top of their stacks."""
    if not courses:
        return by_stage.ByStage(kind="samples", how=PLACED, failed=NOT_LEARNED)
    tally = by_stage.Tally()
    # Many samples have one stack: it is looked for once.
    counted = Counter(stack for profile in profiles for stack, _ in profile.stacks if stack)
    for stack, samples in counted.items():
        placed = positions.place(tuple(map(sampled.at, stack)), courses)
        if placed.stage is None:
            tally.leave(placed.reason, samples)
        else:
            tally.add(placed.stage, (stack[-1].name, stack[-1].file, None), samples)
    return tally.summary("samples", PLACED)


def role_of(stack: stacks.Stack) -> str:
    """The role of the thread or greenlet with this stack, told by what that began with.

    py-spy's own names of threads are of no use: it knows a thread by its address, which the next
    one inherits together with the name.
    """
    for frame in stack:
        if role := _known_role(frame):
            return role
    begun = (frame.name for frame in stack if frame.name not in _WRAPPERS)
    return next(begun, "unnamed").rpartition("<locals>.")[2]


@functools.cache
def _known_role(frame: Frame) -> str | None:
    for file, name, role in _BEGINNINGS:
        if frame.name == name and (frame.file or "").endswith(file):
            return role
    return None


def _titled(profile: Profile) -> Profile:
    """The samples of a thread under the roles that it played: several in turn, if of greenlets."""
    played = Counter(role_of(stack) for stack, _ in profile.stacks)
    named = " + ".join(role for role, _ in played.most_common(3))
    return Profile(f"{named}: {profile.name}", profile.unit, profile.stacks)


def _counted(profiles: Sequence[Profile]) -> list[Weighted]:
    """A weight of one for each sample, under its role."""
    return [
        ((Frame(role_of(stack)), *stack), 1) for profile in profiles for stack, _ in profile.stacks
    ]


class _Recording:
    """py-spy from one start to one stop."""

    def __init__(self, folder: Path, number: int, options: Sequence[str]) -> None:
        self.failure: str | None = None
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.errors = 0
        self._written = folder / f"pyspy.{number}.part"
        self._log = folder / f"pyspy.{number}.log"
        self._options = options
        self._began = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start py-spy on this process and wait until it samples."""
        try:
            self._process = process = self._launch()
        except OSError as error:
            self.failure = f"py-spy cannot be started: {error}"
            return
        deadline = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < deadline:
            if _SAMPLING in self._said():
                self._began = time.monotonic()
                return
            time.sleep(_POLL_S)
        if process.poll() is None:
            self._fail(f"py-spy did not begin within {_START_S:g} s")
        else:
            last = self._said().strip().rpartition("\n")[2]
            self._fail(f"py-spy ended at once: {last or process.returncode}")

    def stop(self) -> None:
        """Have py-spy write its recording."""
        if self._process is None:
            return
        self.seconds = time.monotonic() - self._began
        self.cpu_seconds = _cpu_seconds(self._process.pid)
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._fail(f"py-spy did not write its recording within {_STOP_S:g} s")
            return
        self._process = None
        _let_observe(0)
        if not self._written.exists():
            self._fail("py-spy wrote no recording")
        elif counted := _ERRORS.search(self._said()):
            self.errors = int(counted[1])

    def take(self) -> list[Profile]:
        """What was recorded; its files are removed."""
        profiles = [] if self.failure else stacks.read_speedscope(self._written)
        self._written.unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)
        return profiles

    def _launch(self) -> "subprocess.Popen[bytes]":
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [
                    *_WHEN_PERMITTED,
                    *(PROGRAM, "record", "--pid", str(os.getpid()), "--rate", str(RATE_HZ)),
                    *("--format", "speedscope", "--output", str(self._written), *self._options),
                ],
                env=interpreter.without_options(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _let_observe(process.pid)
        if process.stdin:
            process.stdin.write(b"\n")
            process.stdin.close()
        return process

    def _said(self) -> str:
        return self._log.read_text(errors="replace")

    def _fail(self, otherwise: str) -> None:
        """Note why there is no recording: as py-spy has it, or ``otherwise``."""
        self.failure = explain(self._said()) or otherwise
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _cpu_seconds(process: int) -> float:
    try:
        used = psutil.Process(process).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system)


def explain(said: str) -> str | None:
    """Why py-spy failed, out of what it printed; None where it did not say."""
    if _FORBIDDEN.search(said):
        return (
            "py-spy is not permitted to observe the process: run omrig as root or with"
            " CAP_SYS_PTRACE (in a container: --cap-add SYS_PTRACE)"
        )
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    return f"py-spy: {errors[0].removeprefix('Error: ')}" if errors else None


def _let_observe(process: int) -> None:
    """Permit a process to observe this one, where the kernel's Yama would forbid a child to."""
    # Without Yama it fails and is not needed.
    ctypes.CDLL(None, use_errno=True).prctl(
        _PR_SET_PTRACER,
        ctypes.c_ulong(process),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
