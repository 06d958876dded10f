"""Two configurations in turn on one broker, as a user measures them."""

import json
import os
import signal
import time

import numpy

from omrig.broker.rabbitmq import installed

OPTIONS = ("-m", 60, "-w", 2)


def orders(folder):
    """The configurations of each round in the order in which their runs began, as measured."""
    begun = {
        (path.parts[-3], int(path.parts[-2])): json.loads(path.read_text())["started_epoch_seconds"]
        for path in folder.glob("?/??/run.json")
    }
    rounds = max(number for _, number in begun)
    return [
        sorted("ab", key=lambda name, number=number: begun[name, number])
        for number in range(1, rounds + 1)
    ]


def test_both_are_measured_in_rounds_and_compared(run, broker, tmp_path):
    url = ("--transport-url", broker.url)
    status, out, err = run(
        "ab", "-n", 3, "--output", "ab", "--json", "c.json", "--gate", "errors<=0",
        *("--margin", "50%"),
        *("--", *OPTIONS, *url), *("--", *OPTIONS, *url, "--executor", "threading"),
    )  # fmt: skip
    assert status == 0, err
    out = " ".join(out.split())
    assert "3 interleaved pairs" in out
    found = {str(path.parent)[-4:] for path in (tmp_path / "ab").glob("*/*/run.json")}
    assert found == {"a/01", "a/02", "a/03", "b/01", "b/02", "b/03"}
    about = json.loads((tmp_path / "ab/experiment.json").read_text())
    assert about["rounds"] == orders(tmp_path / "ab")
    assert about["complete"]
    assert "executor" in out
    assert about["decision"]["text"] in out
    assert json.loads((tmp_path / "c.json").read_text())["decision"] == about["decision"]
    password = broker.url.partition("@")[0].rpartition(":")[2]
    assert password not in out + err + json.dumps(about)


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
    wait_for(tmp_path / "ab/a/02/run.json", deadline)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "throughput" in out
    about = json.loads((tmp_path / "ab/experiment.json").read_text())
    assert (about["complete"], about["reason"]) == (False, "interrupted")


def wait_for(path, deadline):
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def test_killed_within_a_run_it_goes_on_from_there(run, start, broker, tmp_path):
    url = ("--transport-url", broker.url)
    both = ("--", *OPTIONS, *url, "--", *OPTIONS, *url)
    process = start("ab", "-n", 3, "--output", "ab", *both)
    wait_for(tmp_path / "ab/b/02/run.json", time.monotonic() + 50)
    process.kill()
    process.communicate(timeout=30)
    about = json.loads((tmp_path / "ab/experiment.json").read_text())
    assert not about["complete"]
    assert "was killed" in about["reason"]
    status, out, err = run("ab", "--resume", "ab", *both)
    assert status == 0, err
    assert "3 interleaved pairs" in " ".join(out.split())
    found = json.loads((tmp_path / "ab/experiment.json").read_text())
    assert found["rounds"][: len(about["rounds"])] == about["rounds"]
    assert found["complete"]
    assert found["measured"] == [{"a": number, "b": number} for number in (1, 2, 3)]


def test_each_rabbitmq_that_is_named_is_started_once(run, tmp_path):
    """As a folder, and by the version of the one that is installed: that is the same broker."""
    version = installed.server("").resolve().parents[1].name.removeprefix("rabbitmq_server-")
    status, _, err = run(
        *("ab", "-n", 1, "--output", "ab", "--"),
        *(*OPTIONS, "--rabbitmq", installed.SYSTEM, "--", *OPTIONS, "--rabbitmq", version),
    )
    assert status == 0, err
    runs = [json.loads(p.read_text()) for p in (tmp_path / "ab").glob("*/*/run.json")]
    assert len({each["transport"]["url"] for each in runs}) == 1
    assert {each["environment"]["broker_version"] for each in runs} == {version}
    assert {each["plan"]["rabbitmq"] for each in runs} == {version, str(installed.SYSTEM)}


def test_a_duet_loads_the_broker_with_both_at_once(run, broker, tmp_path):
    url = ("--transport-url", broker.url)
    load = ("--", "--duration", "1.5", "-w", 2, *url)
    status, out, err = run("ab", "--duet", "-n", 1, "--output", "ab", *load, *load)
    assert status == 0, err
    assert "both ran at once" in " ".join(out.split())
    spans = []
    for side in "ab":
        about = json.loads((tmp_path / f"ab/{side}/01/run.json").read_text())
        assert about["environment"].get("cores", [0]) == [max(os.sched_getaffinity(0))]
        with numpy.load(tmp_path / f"ab/{side}/01/producer/messages.npz") as found:
            spans.append((found["start_ns"].min(), found["start_ns"].max()))
    (began, ended), (its_began, its_ended) = spans
    together = min(ended, its_ended) - max(began, its_began)
    assert together > 0.8 * (max(ended, its_ended) - min(began, its_began))
