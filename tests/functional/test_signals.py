"""A request to end is heard in every phase, and a killed omrig leaves no process in any."""

import contextlib
import signal
import socket
import time

import psutil
import pytest

from tests.functional.conftest import result_of
from tests.functional.test_deadlines import line_with

SECONDS = 15.0
"""What takes 5 s on a quiet machine has ended by then on any."""

LOAD = ("run", "-m", 1_000_000, "-w", 20)

PHASES = {
    "broker start": ((*LOAD,), "starting an embedded RabbitMQ"),
    "check": (("-p", 10), None),
    "loading": ((*LOAD,), "RabbitMQ 3"),
    "waiting": (("-p", 10, "--topic", "nobody"), "waiting for a consumer"),
    "warm-up": ((*LOAD, "--warmup", 1_000_000), "producer: warm-up"),
    "saving": (("run", "-m", 300, "-w", 20), "producer: saving"),
}


@contextlib.contextmanager
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def begun(start, broker, tmp_path):
    """Start a run and wait for a phase: the process, and all processes that it has started."""
    with contextlib.ExitStack() as stack:

        def begin(phase, executor):
            arguments, line = PHASES[phase]
            url = ("--transport-url", broker.url)
            if phase == "check":
                port = stack.enter_context(silent_port())
                url = ("--transport-url", f"rabbit://127.0.0.1:{port}/")
            if phase == "broker start":
                url = ()
            process = start(*arguments, "--executor", executor, "--output", "r", *url)
            if line:
                line_with(process, line)
            found = psutil.Process(process.pid)
            if phase == "loading":
                while not found.children():
                    time.sleep(0.01)
            elif phase != "saving":
                # Into the middle of it.
                time.sleep(0.5)
            return process, found.children(recursive=True)

        yield begin


def wait_gone(processes):
    _, alive = psutil.wait_procs(processes, SECONDS)
    assert not alive, [process.cmdline() for process in alive]


SIGNALS = [
    ("broker start", signal.SIGTERM, "threading"),
    ("check", signal.SIGINT, "threading"),
    ("loading", signal.SIGINT, "eventlet"),
    ("waiting", signal.SIGHUP, "threading"),
    ("warm-up", signal.SIGTERM, "eventlet"),
    ("saving", signal.SIGINT, "threading"),
]


@pytest.mark.parametrize(("phase", "number", "executor"), SIGNALS)
def test_a_signal_ends_every_phase(begun, tmp_path, phase, number, executor):
    process, running = begun(phase, executor)
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - began
    print(f"{phase}: {took:.1f} s")
    assert process.returncode == 130, err
    assert took < SECONDS
    wait_gone(running)
    if phase in ("broker start", "check", "waiting"):
        assert not (tmp_path / "r").exists()
        # While Python imports, nobody knows yet what is to be measured.
        assert phase == "check" or "before the load; nothing measured" in err
        return
    result = result_of(tmp_path / "r")
    if phase == "saving":
        assert result["messages"]["replied"] == 300
    else:
        assert "interrupted" in result["reason"]


@pytest.mark.parametrize(
    ("phase", "executor"),
    [
        ("broker start", "threading"),
        ("loading", "eventlet"),
        ("warm-up", "eventlet"),
    ],
)
def test_a_killed_omrig_leaves_no_process_in_any_phase(begun, phase, executor):
    process, running = begun(phase, executor)
    assert running
    process.kill()
    process.wait()
    wait_gone(running)


def test_under_nohup_the_terminal_s_end_is_none(start, broker):
    process = start(
        *("run", "-m", 300, "-w", 2, "--output", "r", "--transport-url", broker.url),
        before=("nohup",),
    )
    line_with(process, "RabbitMQ 3")
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
