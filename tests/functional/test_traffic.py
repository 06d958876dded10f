"""A load of several patterns and sizes through a real RabbitMQ: exact, and accounted apart."""

import json
from collections import Counter

import numpy
import pytest

from omrig.model import sizes
from tests.functional.conftest import result_of

MESSAGES = 600
WEIGHTS = {"call": 70, "cast": 20, "fanout": 10}

CLOSE = 0.97
"""Part of the messages that has to add up: a process may lose its core between the load's reading
of the clock and the probe's."""


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_mix_of_a_clouds_sizes_is_exact_by_pattern(run, broker, tmp_path, executor):
    mix = ",".join(f"{name}={weight}" for name, weight in WEIGHTS.items())
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 10, "--transport-url", broker.url, "--executor", executor,
        "--mix", mix, "-s", "nova-boot", "--output", tmp_path / "run", "--json",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    assert (result["pattern"], result["complete"]) == ("mix", True)
    assert result["messages"]["sent"] == result["messages"]["received"] == MESSAGES
    assert result["messages"]["replied"] == MESSAGES * 70 // 100
    # No percentile is of two patterns.
    assert result["latency"] is result["waterfall"] is result["verdict"] is None
    for name, weight in WEIGHTS.items():
        _check(result["patterns"][name], MESSAGES * weight // 100, name == "call")
    assert sum(each["closure"]["matched"] for each in result["patterns"].values()) == MESSAGES
    assert sum(result["buckets"].values()) == pytest.approx(1)
    with numpy.load(tmp_path / "run" / "producer" / "messages.npz") as file:
        codes, sent = file["pattern"], file["size_bytes"]
    assert Counter(codes.tolist()) == {0: 420, 1: 120, 2: 60}
    assert set(sent.tolist()) <= set(sizes.parse("nova-boot").sizes_bytes)
    assert (tmp_path / "run" / "latency.hlog").read_text().count("Tag=") == 3


def _check(part, count, replies):
    """A pattern has so many messages, its books close, and so it is with its classes of sizes."""
    messages, closure = part["messages"], part["closure"]
    assert messages["requested"] == messages["sent"] == messages["received"] == count
    assert messages["replied"] == (count if replies else None)
    assert (messages["lost"], messages["errors"]) == (0, {})
    assert part["latency"]["count"] == closure["messages"] == closure["matched"] == count
    assert closure["within_tolerance"] >= CLOSE * count
    assert closure["negative_stages"] == closure["flagged_arrivals"] == 0
    assert closure["unexplained_share"] <= 0.01
    assert ("amqp_reply" in {row["name"] for row in part["stages"]}) == replies
    assert sum(row["share"] for row in part["stages"]) == pytest.approx(1)
    assert part["verdict"]["text"]
    assert sum(each["messages"]["sent"] for each in part["sizes"].values()) == count
    assert sum(each["closure"]["matched"] for each in part["sizes"].values()) == count


def test_sizes_of_one_pattern_make_the_throughput_of_their_bytes(run, broker, tmp_path):
    status, out, err = run(
        "run", "-m", 300, "-w", 5, "--transport-url", broker.url, "-s", "1-20", "--json",
        "--output", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    assert list(result["sizes"]) == ["1024-2047", "2048-4095", "4096-8191", "8192-16383",
                                     "16384-32767"]  # fmt: skip
    assert [each["messages"]["sent"] for each in result["sizes"].values()] == [15, 30, 60, 120, 75]
    assert sum(each["messages"]["received"] for each in result["sizes"].values()) == 300
    done = result["throughput"]
    mean = done["bytes_per_second"] / done["messages_per_second"]
    assert mean == pytest.approx(10.5 * 1024, rel=1e-3)
    assert result["latency"]["count"] == 300
    assert result_of(tmp_path / "run") == result


def test_a_failure_is_counted_in_its_pattern(run, broker, tmp_path):
    status, out, err = run(
        "run", "-m", 200, "-w", 10, "--transport-url", broker.url, "--mix", "call=1,cast=1",
        "--timeout", "0.0001", "--warmup", 0, "--output", tmp_path / "run", "--json",
    )  # fmt: skip
    assert status == 1, err
    parts = json.loads(out)["patterns"]
    failed = {name: part["messages"]["errors"] for name, part in parts.items()}
    assert failed["cast"] == {}
    assert sum(failed["call"].values()) > 0
    assert failed["call"].keys() == {"MessagingTimeout"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mix", "call=1,shout=1"], "--mix: unknown 'shout'"),
        (["--mix", "call=1,cast=1", "--pattern", "call"], "--mix: the load has the patterns"),
        (["-s", "no-such-file"], "--message_size: 'no-such-file' is neither a size nor a file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(run, arguments, said):
    status, _, err = run("run", *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
