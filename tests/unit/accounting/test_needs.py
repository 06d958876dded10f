"""What each stage says that it needs is what the accounting takes of the columns, and no more."""

import dataclasses

import numpy
import pytest

from omrig.accounting import legs, stamp_table
from omrig.model.result import Clock
from omrig.model.stages import BY_NAME, STAGES
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS
from tests.unit.accounting import stamped

HERE = Clock(same_host=True)
ROWS = 200

NOT_OF_A_FUNCTION = {"call", "return", "id", "seq"}
"""The load opens and closes its record itself."""

BESIDE = {"arrival": "arrival", "confirm_arrival": "confirm_stamp", "reconnect_later": "reconnect"}
"""What a table derives, and the column that it needs for it."""


def _random(names, seed):
    generator = numpy.random.default_rng(seed)
    return {name: generator.integers(0, 10_000, ROWS) for name in (*names, *BESIDE) if name != "id"}


def _stages(producer, consumer):
    sides = {
        "producer": stamped.producer(**producer),
        "consumer": stamped.consumer(**consumer),
    }
    found = []
    for side, known in (("producer", legs.PRODUCER), ("consumer", legs.CONSUMER)):
        found += [leg(sides[side]) for leg in known.values()]
    found += [leg(sides["producer"], sides["consumer"], HERE) for leg in legs.WIRE.values()]
    return [(name, values) for stages in found for name, values in stages.items()]


def _used():
    """By stage, the columns that change it."""
    base = {
        "producer": _random(PRODUCER_COLUMNS, 1),
        "consumer": _random(CONSUMER_COLUMNS, 2),
    }
    before = _stages(**base)
    used = {name: set() for name, _ in before}
    for side, columns in base.items():
        for column in columns:
            other = {**base, side: {**columns, column: columns[column] + 997}}
            for (name, was), (_, now) in zip(before, _stages(**other), strict=True):
                if (was != now).any():
                    used[name].add(BESIDE.get(column, column))
    return used


USED = _used()


@pytest.mark.parametrize("name", [stage.name for stage in STAGES if stage.name in USED])
def test_a_stage_needs_what_it_is_made_of(name):
    needs = set(BY_NAME[name].needs)
    # Whether there was a confirm decides how the others are used.
    assert needs - {"confirm"} == USED[name] - {"confirm"} - NOT_OF_A_FUNCTION
    assert ("confirm" in needs) >= ("confirm" in USED[name])


def test_what_native_threads_wait_for_is_taken_out_of_a_stage_and_needs_the_same():
    # Without CPU readings beside the table there is none of them.
    stalls = {stage.name for stage in STAGES} - USED.keys()
    assert stalls - {"batch_wait"} == {name for name in BY_NAME if name.endswith("_stall")}
    for name in stalls - {"batch_wait"}:
        assert BY_NAME[name].needs == BY_NAME[name.removesuffix("_stall")].needs


def test_in_batches_a_message_waits_between_two_columns_that_it_needs():
    columns = _random(CONSUMER_COLUMNS, 3)

    table = stamped.consumer(**columns)
    found = legs.serve(dataclasses.replace(table, batched=True))
    assert (found["batch_wait"] == columns["submit"] - columns["taken"]).all()
    assert {*BY_NAME["batch_wait"].needs} == {"submit", "taken"}
    alone = legs.serve(table)
    assert (alone["decode"] == found["decode"] + found["batch_wait"]).all()
    assert sum(alone.values()).sum() == sum(found.values()).sum()


def test_of_several_consumers_in_batches_messages_wait_there_too():
    table = dataclasses.replace(stamped.consumer(**_random(CONSUMER_COLUMNS, 3)), batched=True)
    assert "batch_wait" in legs.serve(stamp_table.as_one([table, table]))
