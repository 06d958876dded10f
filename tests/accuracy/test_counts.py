"""Counts a message beside independent ones, with more of known size planted."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from omrig.model.counts import Recorded
from tests.accuracy.bench import EXECUTORS, Bench
from tests.accuracy.frames import tapped
from tests.accuracy.injection import PLANTED

MESSAGES = 100

RUNS = 3

_CLOSING = ("close", "close-ok", "cancel", "cancel-ok")
"""Said after a process has written its counts, too."""

NOTHING_MORE = {"more": "call", "times": 0, "side": "producer"}


@pytest.fixture(scope="module")
def counted(broker, tmp_path_factory):
    """Make a run in mode ``counts`` with something planted; its folder."""
    home = tmp_path_factory.mktemp("counts")
    bench = Bench(broker, home, MESSAGES)
    made = []

    def run(executor, planted, port=None) -> Path:
        folder = home / f"counted-{len(made)}"
        made.append(folder)
        url = broker.url.replace(f":{broker.port}/", f":{port}/") if port else broker.url
        command = [
            sys.executable, "-m", "omrig", "run", "--quiet", "--profile", "planted,counts",
            "--executor", executor, "--transport-url", url, "-w", "1", "-m", str(MESSAGES),
            "--warmup", "10", "--output", str(folder),
        ]  # fmt: skip
        environment = {**bench.environment, PLANTED: json.dumps(planted)}
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return folder

    return run


def counts_of(folder):
    return json.loads((folder / "result.json").read_text())["counts"]


def figures(folder):
    """What is exact, of both sides."""
    told = {}
    for side, each in counts_of(folder).items():
        assert each["exact"], each["calls"]
        told[side, "calls"] = each["calls"]["a_message"]
        for name in ("round_trips", "methods", "frames", "bytes"):
            told[side, name] = each["amqp"][name]
        for name, method in each["amqp"]["by_method"].items():
            told[side, f"{name} sent"] = method["sent"]
            told[side, f"{name} received"] = method["received"]
    return told


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_same_is_counted_alike_every_time(counted, executor):
    first, *others = (figures(counted(executor, NOTHING_MORE)) for _ in range(RUNS))
    assert all(each == first for each in others)
    assert first["producer", "calls"] > 100
    assert first["consumer", "round_trips"] == 1


@pytest.fixture(scope="module")
def unplanted(counted):
    """The figures of a run in which a side does nothing more."""
    return functools.cache(
        lambda executor, side: figures(counted(executor, {**NOTHING_MORE, "side": side}))
    )


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("side", ["producer", "consumer"])
@pytest.mark.parametrize(
    ("planted", "more"),
    [
        ({"more": "call", "times": 2}, {"calls": 2}),
        ({"more": "ack", "times": 1}, {"basic.ack sent": 1, "methods": 1, "frames": 1}),
        (
            {"more": "declare", "times": 1},
            {
                "queue.declare sent": 1,
                "queue.declare-ok received": 1,
                "round_trips": 1,
                "methods": 2,
                "frames": 2,
            },
        ),
    ],
)
def test_what_is_planted_is_what_is_more(counted, unplanted, executor, side, planted, more):
    before = unplanted(executor, side)
    grew = grown(before, figures(counted(executor, {**planted, "side": side})))
    assert {name for which, name in grew if which != side} == set()
    told = {name: change for (_, name), change in grew.items()}
    # What it is in bytes and calls is py-amqp's affair, where it is not a call.
    assert {name: change for name, change in told.items() if name in more} == more
    assert told.keys() - more.keys() <= {"calls", "bytes"}
    assert planted["more"] == "call" or told["bytes"] > 0


def grown(before, after):
    """By how much each figure is more; those that are not are left out."""
    changes = {name: after[name] - before.get(name, 0) for name in after}
    return {name: round(change, 6) for name, change in changes.items() if change}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_as_many_frames_and_bytes_as_were_on_the_wire(counted, broker, executor):
    with tapped(broker.port) as tap:
        folder = counted(executor, NOTHING_MORE, port=tap.port)
    told = {}
    for side in ("producer", "consumer"):
        recorded = Recorded.from_json(json.loads((folder / side / "counts.json").read_text()))
        for directions in recorded.frames.values():
            for direction, methods in directions.items():
                for method, values in methods.items():
                    before = told.get((direction, method), (0, 0, 0))
                    told[direction, method] = tuple(map(sum, zip(before, values, strict=True)))
    wire = {name: tuple(values) for name, values in tap.counted().items()}
    assert without_closing(told) == without_closing(wire)
    assert told["sent", "basic.publish"][0] == 2 * (MESSAGES + 10)


def without_closing(counted):
    return {
        (direction, method): values
        for (direction, method), values in counted.items()
        if method.partition(".")[2] not in _CLOSING
    }
