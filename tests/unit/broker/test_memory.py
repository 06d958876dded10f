"""What is behind a transport, and that in memory nobody is asked."""

import pytest

from omrig.broker import choice
from omrig.broker.amqp.broker import AmqpBroker
from omrig.broker.base import BrokerInfo, Group
from omrig.broker.kafka import KafkaBroker
from omrig.broker.memory import MemoryBroker
from omrig.model.declared import Thing
from omrig.model.plan import Plan
from omrig.model.transport import AMQP, BROKERS, KAFKA, MEMORY, Login, Transport

PLAN = Plan(sides=("producer",), run_id="5a" * 16)


def transport(kind):
    return Transport(
        scheme="mine", broker=kind, patterns=("call",), login=Login(()), options={}, settings={},
        redacted="mine:///", source="f", is_named=True, url="mine://",
    )  # fmt: skip


def test_every_kind_of_broker_has_its_own():
    made = {kind: type(choice.of(transport(kind))) for kind in BROKERS}
    assert made == {AMQP: AmqpBroker, KAFKA: KafkaBroker, MEMORY: MemoryBroker}


@pytest.mark.parametrize(("kind", "one_process"), [(AMQP, False), (KAFKA, False), (MEMORY, True)])
def test_only_in_memory_both_sides_are_one_process(kind, one_process):
    assert choice.of(transport(kind)).one_process is one_process


def test_in_memory_there_is_nobody_to_ask(tmp_path):
    memory = MemoryBroker()
    assert memory.check(1.0) is None
    assert memory.reachable()
    assert memory.state("q") is None
    assert memory.meet(PLAN, lambda _left_s: None) is None
    assert memory.host(PLAN, lambda _text: None, lambda *_: None, Group()) is None
    located = memory.locate(BrokerInfo("kombu", "1", "", "", "/", "h", 1))
    assert located.pid is None


def test_in_memory_the_driver_s_files_are_deleted_and_nothing_else_is_looked_for(tmp_path):
    counter = tmp_path / "counter"
    counter.touch()
    (tmp_path / "folder").mkdir()
    things = [
        Thing("queue", "q", True),
        Thing("file", str(counter), True),
        Thing("file", str(tmp_path / "folder"), True),
    ]
    (left,) = MemoryBroker().clean_up(things)
    assert not counter.exists()
    assert (left.thing, left.command) == (things[2], f"rm {tmp_path / 'folder'}")
