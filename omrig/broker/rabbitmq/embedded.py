"""A RabbitMQ of our own for one run, started for it and gone after it, whatever ends the run."""

import json
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psutil

from omrig.broker.rabbitmq import versions
from omrig.model import interpreter
from omrig.model.errors import RunError, UsageError

START_SECONDS = 90.0
"""Longer than the launcher's own limit for the broker: it reports why."""

STOP_SECONDS = 15.0

NO_CONFIG: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Embedded:
    """A running broker: its transport URL (with the password), address, process and folder.

    ``ca_file`` is the certificate authority to trust if it speaks TLS, None if it speaks plain.
    """

    url: str = field(repr=False)
    host: str
    port: int
    ca_file: Path | None
    data_dir: Path
    beam_pid: int

    def is_alive(self) -> bool:
        """Whether the broker's process is still there; it may be stopped or hung."""
        try:
            return bool(psutil.Process(self.beam_pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


@contextmanager
def embedded_broker(
    *, tls: bool = False, extra_config: Mapping[str, str] = NO_CONFIG, rabbitmq: str = ""
) -> Iterator[Embedded]:
    """Run a RabbitMQ on a free port of 127.0.0.1 for the length of the ``with`` block.

    With ``tls`` it speaks nothing but TLS, with a certificate for localhost and 127.0.0.1 signed by
    ``ca_file``. ``extra_config`` are further lines of rabbitmq.conf. Any user can run it. No
    process and no file is left afterwards, also if this process or the launcher is killed.
    Which RabbitMQ that is, ``rabbitmq`` says (a folder or a version), and where that is empty,
    :mod:`omrig.broker.rabbitmq.installed`.
    Raises UsageError if there is none, RunError if it does not come up.
    """
    named, option = versions.asked(rabbitmq)
    folder = Path(tempfile.mkdtemp(prefix="omrig-broker-"))
    launcher: subprocess.Popen[bytes] | None = None
    broker: Embedded | None = None
    try:
        launcher = _launch()
        request = {
            "folder": str(folder),
            "rabbitmq": named,
            "option": option,
            "tls": tls,
            "extra_config": dict(extra_config),
        }
        broker = _ask(launcher, request, folder)
        yield broker
    finally:
        if launcher:
            _stop(launcher)
        if broker:
            # Only after a launcher that was killed: its broker dies with it, but not at once.
            _wait_gone(broker)
        shutil.rmtree(folder, ignore_errors=True)


def _launch() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        interpreter.command("omrig.broker.rabbitmq.launcher"),
        env=interpreter.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A Ctrl-C in the terminal is ours to handle: the broker is needed until we are done.
        start_new_session=True,
    )


def _ask(
    launcher: "subprocess.Popen[bytes]", request: Mapping[str, object], folder: Path
) -> Embedded:
    assert launcher.stdin
    assert launcher.stdout
    line = b""
    try:
        launcher.stdin.write(json.dumps(request).encode() + b"\n")
        launcher.stdin.flush()
        if select.select([launcher.stdout], [], [], START_SECONDS)[0]:
            line = launcher.stdout.readline()
    except BrokenPipeError:
        pass
    if not line:
        raise RunError("the embedded broker's launcher ended, or hung, without an answer")
    answer = json.loads(line)
    if "error" in answer:
        raise (UsageError if answer["usage"] else RunError)(answer["error"])
    return Embedded(
        url=answer["url"],
        host=answer["host"],
        port=answer["port"],
        ca_file=Path(answer["ca_file"]) if answer["ca_file"] else None,
        data_dir=folder,
        beam_pid=answer["beam_pid"],
    )


def _stop(launcher: "subprocess.Popen[bytes]") -> None:
    for pipe in (launcher.stdin, launcher.stdout):
        if pipe:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    try:
        launcher.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


def _wait_gone(broker: Embedded) -> None:
    end = time.monotonic() + 2.0
    while broker.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
