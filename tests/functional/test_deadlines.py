"""Every step before the load ends by its deadline, and says why."""

import contextlib
import time
from concurrent import futures

import psutil

from tests.accuracy import bench as accuracy
from tests.functional.conftest import result_of


@contextlib.contextmanager
def alarm(broker, folder):
    """A memory alarm from the moment at which the file yielded is made until the block ends."""
    ready, mark = folder / "ready", folder / "mark"
    name = "{resource_limit, memory, node()}"
    with futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            accuracy.evaluate,
            broker,
            f'file:write_file("{ready}", []), {accuracy.wait_for(mark)},'
            f" rabbit_alarm:set_alarm({{{name}, []}}).",
        )
        while not ready.exists() and not waiting.done():
            time.sleep(0.01)
        try:
            yield mark
        finally:
            mark.touch()
            waiting.result()
            accuracy.evaluate(broker, f"rabbit_alarm:clear_alarm({name}).")


def line_with(process, words):
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


def test_an_alarm_after_the_check_ends_the_run(start, broker, tmp_path):
    with alarm(broker, tmp_path) as mark:
        process = start(
            "run", "-m", 100, "--wait", 3, "--executor", "eventlet", "--output", "r",
            "--transport-url", broker.url,
        )  # fmt: skip
        line_with(process, "RabbitMQ")
        mark.touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    reason = result_of(tmp_path / "r")["reason"]
    assert "has blocked its publishers (low on memory)" in reason
    assert "left no results" not in reason


def test_nobody_stays_on_a_blocked_broker_when_omrig_is_killed(start, broker, tmp_path):
    with alarm(broker, tmp_path) as mark:
        process = start(
            "run", "-m", 100, "--executor", "threading", "--output", "r",
            "--transport-url", broker.url,
        )  # fmt: skip
        line_with(process, "RabbitMQ")
        mark.touch()
        line_with(process, "the consumer is ready")
        time.sleep(2)
        running = psutil.Process(process.pid).children(recursive=True)
        assert len(running) >= 2
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(running, 25)
    assert not alive, [each.cmdline() for each in alive]
