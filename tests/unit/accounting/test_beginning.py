"""How services began that connected all at once."""

import dataclasses
from pathlib import Path

import numpy
import pytest

from omrig.accounting import beginning
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.run import Run
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from tests.unit.model.test_run_json import about as run_json


def sides(starts, ends, listening=(30, 10, 20), services=3):
    told = run_json()
    told["plan"] |= {"services": services}
    run = Run.from_json(told)
    columns = {"start_ns": numpy.array(starts), "end_ns": numpy.array(ends)}
    producer = Recording("producer", Path(), run, About(), Messages(columns))
    consumer = Recording("consumer", Path(), run, About(listening_ns=tuple(listening)))
    return {"producer": producer, "consumer": consumer}


def test_until_all_listened_and_each_had_its_first_answer():
    found = beginning.account(sides([100, 101, 103, 500], [150, 190, 170, 900]))
    assert (found.services, found.p50_ns, found.max_ns) == (3, 20, 30)
    assert (found.first, found.served_ns) == (3, 90)


def test_of_several_members_the_slowest_counts():
    one = sides([100, 101, 103], [150, 190, 170])
    parts = tuple(
        dataclasses.replace(
            one["producer"],
            messages=Messages(
                {"start_ns": numpy.array([start] * 3), "end_ns": numpy.array([start + took] * 3)}
            ),
        )
        for start, took in ((1000, 70), (5000, 40))
    )
    several = {**one, "producer": dataclasses.replace(one["producer"], parts=parts)}
    assert beginning.account(several).served_ns == 70
    assert beginning.account(several).first == 6


def test_who_failed_was_not_served():
    assert beginning.account(sides([100, 101, 103], [150, 0, 170])).served_ns is None


def test_a_process_that_is_one_service_has_no_beginning():
    assert beginning.account(sides([1], [2], listening=())) is None
    assert beginning.account({}) is None


def test_a_consumer_alone_tells_of_its_own():
    found = beginning.account({"consumer": sides([1], [2])["consumer"]})
    assert (found.services, found.first, found.served_ns) == (3, 0, None)


def test_copies_and_services_do_not_go_together():
    with pytest.raises(UsageError, match="--services: each would get a copy of a fanout cast"):
        Load(services=2, pattern="fanout")
