"""Two configurations in turn on one broker, as a user measures them."""

import json
import signal
import time

OPTIONS = ("-m", 60, "-w", 2)


def test_both_are_measured_in_turn_and_compared(run, broker, tmp_path):
    url = ("--transport-url", broker.url)
    status, out, err = run(
        "ab", "-n", 2, "--output", "ab", "--json", "c.json", "--gate", "errors<=0",
        *("--", *OPTIONS, *url), *("--", *OPTIONS, *url, "--executor", "threading"),
    )  # fmt: skip
    assert status == 0, err
    assert "2 runs each" in out
    runs = sorted((tmp_path / "ab").glob("*/*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    assert sorted(str(path.parent.relative_to(tmp_path / "ab")) for path in runs) == [
        "a/01", "a/02", "b/01", "b/02",
    ]  # fmt: skip
    started = {
        str(path.parent.relative_to(tmp_path / "ab")): json.loads(path.read_text())[
            "started_epoch_seconds"
        ]
        for path in runs
    }
    assert started["a/01"] < started["b/01"] < started["b/02"] < started["a/02"]
    assert "executor" in out
    assert json.loads((tmp_path / "c.json").read_text())
    assert broker.url.partition("@")[0].rpartition(":")[2] not in out + err


def test_without_a_transport_all_runs_share_one_broker(run, tmp_path):
    status, _, err = run("ab", "-n", 1, "--output", "ab", "--", *OPTIONS, "--", *OPTIONS)
    assert status == 0, err
    runs = [json.loads(p.read_text()) for p in (tmp_path / "ab").glob("*/*/run.json")]
    assert len(runs) == 2
    assert len({each["transport"]["url"] for each in runs}) == 1
    assert {each["transport"]["source"] for each in runs} == {"embedded broker"}


def test_interrupted_it_compares_what_there_is(start, broker, tmp_path):
    url = ("--transport-url", broker.url)
    process = start("ab", "-n", 50, "--output", "ab", "--", *OPTIONS, *url, "--", *OPTIONS, *url)
    deadline = time.monotonic() + 50
    while not (tmp_path / "ab/a/02/run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "throughput" in out
