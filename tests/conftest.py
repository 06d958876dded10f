"""A real RabbitMQ for the tests that want one, and omrig as a user starts it."""

import os
import signal
import subprocess
import sys

import pytest

from omrig.broker.rabbitmq.embedded import embedded_broker

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # The tests run in the background, and omrig is to be interrupted as in the foreground.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def broker():
    with embedded_broker() as broker:
        yield broker


@pytest.fixture
def start(tmp_path):
    """Start omrig, ``before`` before it; the process is killed at the end of the test."""
    started = []

    def start(*arguments, before=()):
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "omrig", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    """Run omrig to its end: exit status, standard output, standard error."""

    def run(*arguments, timeout=120):
        process = start(*arguments)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err

    return run
