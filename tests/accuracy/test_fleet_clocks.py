"""Two hosts 20 ms apart, whose clocks differ and drift: the stages are right within the bound."""

import re
import subprocess
import sys

import numpy
import pytest

from omrig.accounting import merging, stamp_table
from omrig.model import units
from omrig.model.units import MS
from omrig.recordings import recording
from omrig.report.terminal import run as terminal
from tests import namespaces
from tests.namespaces import Clock

AHEAD_NS = 500 * MS
GAINS_PPM, LOSES_PPM = 50.0, -15.0
ONE_WAY_MS = 10.0
MESSAGES = 2600
WORKERS = 8
SIZE_KB = 0.1
"""A message in one segment: TCP may pace those of a larger one over milliseconds, one way only."""


@pytest.fixture(scope="module")
def rig():
    with namespaces.rig() as made:
        made.add("near", Clock(ppm=LOSES_PPM), ONE_WAY_MS, ONE_WAY_MS)
        made.add("far", Clock(ahead_ns=AHEAD_NS, ppm=GAINS_PPM), ONE_WAY_MS, ONE_WAY_MS)
        yield made


@pytest.fixture(scope="module")
def folders(rig, tmp_path_factory):
    """The folders of a producer on the near host and of a consumer on the far one."""
    folder = tmp_path_factory.mktemp("clocks")
    with rig.broker() as (url, _):
        omrig = (sys.executable, "-m", "omrig")
        options = ("--transport-url", url, "--quiet", "-m", MESSAGES, "-s", SIZE_KB)
        consumer = rig.start(
            rig.hosts["far"], *omrig, "-c", *options, "--output", folder / "consumer",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        producer = rig.start(
            rig.hosts["near"], *omrig, "-p", *options, "-w", WORKERS,
            "--output", folder / "producer",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        said = [each.communicate(timeout=100)[0] for each in (producer, consumer)]
    assert [producer.returncode, consumer.returncode] == [0, 0], said
    return [folder / "producer", folder / "consumer"]


@pytest.fixture(scope="module")
def merged(folders):
    return merging.merge(folders)


def test_the_clock_is_found_within_its_bound_which_is_below_a_millisecond(merged):
    (clock,) = merged.result.clocks
    assert (clock.name, clock.against) == ("far", "near")
    assert clock.windows >= 2 and len(clock.lines) == 1
    assert 0 < clock.error_ns < MS
    # What the hosts' networks take to the broker and back is known, and said.
    assert clock.network_ns == pytest.approx(4 * ONE_WAY_MS * MS, rel=0.1)
    assert merged.result.clock.error_ns == clock.error_ns


def test_the_drift_is_told_and_is_what_it_is(merged):
    (clock,) = merged.result.clocks
    assert clock.drift_ppm is not None
    assert clock.drift_error_ppm < GAINS_PPM - LOSES_PPM
    assert abs(clock.drift_ppm - (GAINS_PPM - LOSES_PPM)) < clock.drift_error_ppm


def test_each_stage_between_the_hosts_is_right_within_the_bound(rig, merged, folders):
    """By the clocks that the hosts were given: what each message took on the machine's own."""
    sides = recording.load(folders[0]) | recording.load(folders[1])
    sent, received = (stamp_table.read(sides[side]) for side in ("producer", "consumer"))
    near, far = rig.hosts["near"], rig.hosts["far"]

    def machine(host, own):
        return own - host.ahead_ns(own - host.ahead_ns(own))

    (timeline,) = merged.timelines
    rows = timeline.table["seq"]
    departed = dict(zip(sent["seq"].tolist(), sent["depart"].tolist(), strict=True))
    ids = dict(zip(sent["seq"].tolist(), sent["id"].tolist(), strict=True))
    arrived = dict(zip(received["id"].tolist(), received.arrival.tolist(), strict=True))
    replied = dict(zip(received["id"].tolist(), received["depart"].tolist(), strict=True))
    returned = dict(zip(sent["seq"].tolist(), sent.arrival.tolist(), strict=True))
    numbers = rows.tolist()
    true = {
        "amqp_request": machine(far, numpy.array([arrived[ids[seq]] for seq in numbers]))
        - machine(near, numpy.array([departed[seq] for seq in numbers])),
        "amqp_reply": machine(near, numpy.array([returned[seq] for seq in numbers]))
        - machine(far, numpy.array([replied[ids[seq]] for seq in numbers])),
    }
    error = merged.result.clock.error_ns
    for name, expected in true.items():
        apart = timeline.durations[name] - expected
        assert numpy.abs(apart).max() <= error, name
        # No message came faster than the wires let it.
        assert expected.min() >= 2 * ONE_WAY_MS * MS
    both = sum(timeline.durations[name] - expected for name, expected in true.items())
    # What the one has too much of, the other has too little: less what drifted in between.
    assert numpy.abs(both).max() < 0.1 * MS
    assert merged.result.closure.within_tolerance >= 0.99 * merged.result.closure.matched
    assert merged.result.closure.negative_stages == 0


def test_what_is_shown_has_the_bound_and_what_it_rests_on(merged, folders):
    text = " ".join(terminal.text(folders, merged.run, merged.result).split())
    error = units.duration(merged.result.clock.error_ns)
    for name in ("amqp_request", "amqp_reply"):
        assert re.search(rf"{name} wire amqp \S+ % \S+ ms ± {error} ", text)
    assert "ahead of the producer's, gains" in text
    assert "with a network as fast there as back, otherwise ±" in text
    assert "so far may amqp_request and amqp_reply be wrong, their sum is not" in text


def test_nothing_is_left_of_it(rig, merged):
    assert [rig.processes(each) for each in rig.hosts.values()] == [[], []]
