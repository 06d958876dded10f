"""``python -m omrig.broker.rabbitmq.launcher``: keeps a throw-away RabbitMQ while its parent lives.

A process of its own, because a parent that is killed cleans up nothing: the end of the pipe on
standard input is what always arrives. The request is one line of JSON there, the answer one line
of JSON on standard output.
"""

import ctypes
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from omrig.broker.rabbitmq import installed, node
from omrig.model.errors import RunError, UsageError

READY_SECONDS = 60.0
POLL_SECONDS = 0.05

PORT_TRIES = 3
"""A free port is free when it is looked for; another program may take it before the broker does."""

PARENT_POLL_SECONDS = 0.5
"""Bounds how long a broker outlives its parent if a fork of the parent holds the pipe open."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """Start a node, report it, hold it until the parent is gone or a signal asks, remove it."""
    os.umask(0o077)
    must_stop = _watch_parent()
    request = json.loads(_read_line())
    folder = Path(request["folder"])
    prctl = _prctl()
    # What the broker leaves behind when it is killed becomes ours to kill and to reap.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        try:
            broker, answer = _start_somewhere(folder, request, prctl, must_stop)
        except (RunError, UsageError) as error:
            _answer({"error": str(error), "usage": isinstance(error, UsageError)})
            return 1
        if answer:
            _answer(answer)
            while broker.poll() is None and not must_stop(PARENT_POLL_SECONDS):
                _reap()
        return 0
    finally:
        _end_children()
        shutil.rmtree(folder, ignore_errors=True)


def _start_somewhere(
    folder: Path,
    request: Mapping[str, object],
    prctl: Callable[[int, int], None],
    must_stop: Callable[[float], bool],
) -> tuple["subprocess.Popen[bytes]", dict[str, object]]:
    """Like :func:`_start`, and once more on other ports where one was taken meanwhile."""
    for _ in range(PORT_TRIES - 1):
        try:
            return _start(folder, request, prctl, must_stop)
        except RunError:
            if not node.met_a_taken_port(folder):
                raise
        _end_children()
        node.remove_files(folder)
    return _start(folder, request, prctl, must_stop)


def _start(
    folder: Path,
    request: Mapping[str, object],
    prctl: Callable[[int, int], None],
    must_stop: Callable[[float], bool],
) -> tuple["subprocess.Popen[bytes]", dict[str, object]]:
    """The node's process and its description, which is empty if we were told to stop."""
    found = installed.find(str(request["rabbitmq"]), folder / "programs", str(request["option"]))
    tls = bool(request["tls"])
    extra_config = request["extra_config"]
    assert isinstance(extra_config, dict)
    password = secrets.token_urlsafe(24)
    port, epmd_port = node.free_port(), node.free_port()
    node.write_files(folder, port, password, tls, extra_config)
    environment = node.environment(folder, epmd_port, found.path)

    launcher = os.getpid()

    def die_with_launcher() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:
            os._exit(1)

    with (folder / "console").open("wb") as console:

        def spawn(*command: str) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                preexec_fn=die_with_launcher,
            )

        # Our own, in the foreground: Erlang would leave a daemon behind.
        spawn(found.epmd, "-port", str(epmd_port), "-address", node.HOST)
        _wait_listening(epmd_port)
        broker = spawn(str(found.server))
    ca_file = str(folder / "ca.pem") if tls else None
    if not _wait_ready(broker, port, password, ca_file, folder, must_stop):
        return broker, {}
    return broker, {
        "url": f"rabbit://{node.USERNAME}:{password}@{node.HOST}:{port}/",
        "host": node.HOST,
        "port": port,
        "ca_file": ca_file,
        "beam_pid": _beam_pid(broker.pid),
    }


def _wait_listening(port: int) -> None:
    """Wait for the port mapper: a node that does not find it does not start."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        try:
            socket.create_connection((node.HOST, port), 1.0).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise RunError("Erlang's port mapper, epmd, did not start within 10 s")


def _wait_ready(
    broker: "subprocess.Popen[bytes]",
    port: int,
    password: str,
    ca_file: str | None,
    folder: Path,
    must_stop: Callable[[float], bool],
) -> bool:
    """Wait until the node takes an AMQP login; False if told to stop. Raises RunError."""
    import amqp

    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if broker.poll() is not None:
            raise RunError(f"RabbitMQ ended while starting: {node.log_tail(folder)}")
        connection = amqp.Connection(
            f"{node.HOST}:{port}",
            userid=node.USERNAME,
            password=password,
            login_method="PLAIN",
            ssl={"ca_certs": ca_file} if ca_file else False,
            connect_timeout=5,
        )
        try:
            connection.connect()
        except (OSError, amqp.AMQPError):
            connection.collect()
        else:
            connection.collect()
            return True
        if must_stop(POLL_SECONDS):
            return False
    raise RunError(f"RabbitMQ was not up within {READY_SECONDS:.0f} s: {node.log_tail(folder)}")


def _beam_pid(pid: int) -> int:
    started = psutil.Process(pid)
    for process in (started, *started.children(recursive=True)):
        if process.name().startswith("beam"):
            return int(process.pid)
    return pid


def _watch_parent() -> Callable[[float], bool]:
    """A function that waits so many seconds at most and says whether to stop."""
    parent = os.getppid()
    wake_up, wake_up_write = os.pipe()
    os.set_blocking(wake_up, False)
    os.set_blocking(wake_up_write, False)
    signal.set_wakeup_fd(wake_up_write)
    for number in (*STOP_SIGNALS, signal.SIGCHLD):
        # Python writes the number to the pipe only for signals that have a handler.
        signal.signal(number, lambda _number, _frame: None)
    stopping = False

    def must_stop(seconds: float) -> bool:
        nonlocal stopping
        watched = [wake_up] if stopping else [wake_up, sys.stdin.fileno()]
        readable, _, _ = select.select(watched, [], [], 0 if stopping else seconds)
        if wake_up in readable and set(os.read(wake_up, 4096)) & set(STOP_SIGNALS):
            stopping = True
        if sys.stdin.fileno() in readable and not os.read(sys.stdin.fileno(), 4096):
            stopping = True
        stopping = stopping or os.getppid() != parent
        return stopping

    return must_stop


def _read_line() -> bytes:
    """Read the request, unbuffered: what follows on the pipe is its end, which select must see."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(sys.stdin.fileno(), 1)
        if not piece:
            raise SystemExit(1)
        line += piece
    return line


def _answer(answer: Mapping[str, object]) -> None:
    try:
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        # The parent is gone; the next look at it says so, too.
        return


def _prctl() -> Callable[[int, int], None]:
    """prctl(2), loaded before any fork; where there is none the pipe has to do."""
    function = getattr(ctypes.CDLL(None), "prctl", None)
    if function is None:
        return lambda _option, _argument: None

    def prctl(option: int, argument: int) -> None:
        function(option, ctypes.c_ulong(argument), 0, 0, 0)

    return prctl


def _end_children() -> None:
    """Kill and reap everything below us. Nothing here holds data that anybody will read again."""
    end = time.monotonic() + 5.0
    while time.monotonic() < end:
        children = psutil.Process().children(recursive=True)
        if not children:
            return
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        _reap()
        time.sleep(0.02)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main())
