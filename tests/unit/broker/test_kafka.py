"""What a Kafka cluster is asked, and in what words it is told that it does not do it."""

import concurrent.futures
import types
from pathlib import Path

import pytest

from omrig.broker import choice, kafka
from omrig.broker.base import Needs, Refused
from omrig.broker.kafka import KafkaBroker
from omrig.drivers.kafka import MOCK_PRODUCT
from omrig.model.declared import GROUP, TOPIC, Thing
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.plan import Plan, Where
from omrig.model.transport import Endpoint, Login

library = pytest.importorskip("confluent_kafka")

LOGIN = Login((Endpoint("h", 9092, "u", "secret"),), vhost="", client={"sasl.username": "u"})


class Cluster:
    """An ``AdminClient`` that does what it is asked, but fails with ``errors`` by name."""

    def __init__(self, cluster_id="real", errors=()):
        self.id, self.errors, self.topics, self.groups = cluster_id, dict(errors), {}, set()
        self.made = []

    def list_topics(self, topic=None, **_):
        if error := self.errors.get("list"):
            raise library.KafkaException(library.KafkaError(error))
        if topic:
            self.topics[topic] = None
        brokers = {2: _broker(2), 1: _broker(1)}
        return types.SimpleNamespace(cluster_id=self.id, brokers=brokers, topics=self.topics)

    def create_topics(self, topics, **_):
        self.made += topics
        self.topics |= {each.topic: None for each in topics}
        return {each.topic: self._done(each.topic) for each in topics}

    def delete_topics(self, names, **_):
        return {name: self._done(name) for name in names}

    delete_consumer_groups = delete_topics

    def _done(self, name):
        future = concurrent.futures.Future()
        if error := self.errors.get(name):
            future.set_exception(library.KafkaException(library.KafkaError(error)))
        else:
            future.set_result(None)
        return future


def _broker(number):
    return types.SimpleNamespace(id=number, host=f"h{number}", port=9092)


@pytest.fixture
def reach(monkeypatch):
    """The cluster that everything is asked of."""

    def reach(**about):
        cluster = Cluster(**about)
        monkeypatch.setattr(kafka, "_admin", lambda _login: cluster)
        return cluster

    return reach


@pytest.mark.parametrize(
    ("cluster_id", "product"), [("real", "Kafka"), ("mockCluster12", MOCK_PRODUCT)]
)
def test_a_cluster_says_what_it_is(reach, cluster_id, product):
    reach(cluster_id=cluster_id)
    broker = choice.of(types.SimpleNamespace(broker="kafka", login=LOGIN))
    info = broker.check(1.0, Needs(("producer", "consumer"), {}))
    assert (info.product, info.cluster_name, info.host, info.port) == (
        product, cluster_id, "h1", 9092,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("_TRANSPORT", UsageError, "no Kafka cluster answers at h:9092 within 1 s ("),
        ("_AUTHENTICATION", Refused, "the Kafka cluster h:9092 did not let omrig in ("),
    ],
)
def test_one_that_does_not_let_us_in_is_told_in_a_line(reach, error, kind, said):
    reach(errors={"list": getattr(library.KafkaError, error)})
    with pytest.raises(kind) as caught:
        KafkaBroker(LOGIN).check(1.0)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_one_side_alone_is_refused(reach):
    reach()
    broker = KafkaBroker(LOGIN)
    plan = Plan(sides=("producer",), run_id="1")
    for ask in (
        lambda: broker.check(1.0, Needs(("producer",), {})),
        lambda: broker.meet(plan, lambda _left: None),
        lambda: broker.host(plan, lambda _line: None, lambda *_: None, None),
        lambda: broker.join(plan, lambda _left: None),
        lambda: broker.reach(plan, None),
    ):
        with pytest.raises(UsageError, match="over Kafka one side alone finds nobody"):
            ask()


@pytest.fixture
def plan(tmp_path):
    return Plan(
        sides=("producer", "consumer"),
        run_id="5a" * 16,
        load=Load(pattern="notify", consumers=3),
        transport=Where(record=str(tmp_path / "record.jsonl")),
    )


def test_the_topic_of_a_run_is_written_down_and_made_and_deleted(reach, plan):
    cluster = reach()
    KafkaBroker(LOGIN).prepare(plan)
    (made,) = cluster.made
    assert (made.topic, made.num_partitions) == (f"omrig.{plan.tag}.info", 3)
    lines = [line for line in Path(plan.transport.record).read_text().splitlines() if line]
    assert [f'"{kind}"' in line for kind, line in zip((TOPIC, GROUP), lines, strict=True)] == [
        True, True,
    ]  # fmt: skip
    things = [Thing(TOPIC, made.topic, True), Thing(GROUP, f"omrig-{plan.tag}", True)]
    assert kafka.remaining(LOGIN, things) == things[:1]
    assert KafkaBroker(LOGIN).clean_up(things) == []


def test_a_mock_makes_what_it_is_asked_about_and_nothing_of_it_stays(reach, plan):
    cluster = reach(cluster_id="mockCluster")
    KafkaBroker(LOGIN).prepare(plan)
    assert (cluster.made, list(cluster.topics)) == ([], [f"omrig.{plan.tag}.info"])
    assert KafkaBroker(LOGIN).clean_up([Thing(TOPIC, f"omrig.{plan.tag}.info", True)]) == []


def test_who_may_not_make_a_topic_is_told(reach, plan):
    reach(errors={f"omrig.{plan.tag}.info": library.KafkaError.TOPIC_AUTHORIZATION_FAILED})
    with pytest.raises(UsageError, match=r"did not make the topic omrig\.5a.*allowed to create"):
        KafkaBroker(LOGIN).prepare(plan)


def test_what_is_not_deleted_is_left_with_what_deletes_it(reach):
    errors = {
        "t": library.KafkaError.TOPIC_AUTHORIZATION_FAILED,
        "gone": library.KafkaError.GROUP_ID_NOT_FOUND,
        "g": library.KafkaError.NON_EMPTY_GROUP,
    }
    cluster = reach(errors=errors)
    cluster.topics["t"] = None
    things = [Thing(TOPIC, "t", True), Thing(GROUP, "gone", True), Thing(GROUP, "g", True)]
    left = kafka.remove(LOGIN, things)
    assert [each.thing.name for each in left] == ["t", "g"]
    assert left[0].command == "kafka-topics.sh --bootstrap-server h:9092 --delete --topic t"
    assert left[1].command == (
        "kafka-consumer-groups.sh --bootstrap-server h:9092 --delete --group g"
    )


def test_a_cluster_that_is_gone_leaves_everything_and_raises_nothing(reach):
    reach(errors={"list": library.KafkaError._TRANSPORT})
    things = [Thing(TOPIC, "t", True), Thing(GROUP, "g", True)]
    assert [each.thing for each in kafka.remove(LOGIN, things)] == things
    assert kafka.remove(LOGIN, []) == []
    assert not KafkaBroker(Login((Endpoint("127.0.0.1", 1, "", ""),))).reachable()


@pytest.mark.parametrize(
    ("url", "asks"),
    [
        ("kafka://mock/", True),
        ("kafka://mock", True),
        ("kafka://mock/?max_poll_records=5", True),
        ("kafka://[mock", False),
        ("kafka://u:p@mock/", False),
        ("kafka://mock:9092/", False),
        ("kafka://h:9092/", False),
        ("rabbit://mock/", False),
    ],
)
def test_a_mock_is_asked_for_by_its_name(url, asks):
    assert kafka.asks_for_mock(url) == asks
