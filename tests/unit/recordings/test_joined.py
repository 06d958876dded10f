"""The messages of several members as those of one."""

import numpy
import pytest

from omrig.model.members import side_of
from omrig.recordings import joined, series
from omrig.recordings.joined import Numbering
from omrig.recordings.messages import Messages

PRODUCERS = Numbering(("p", "q"), (3, 2))


def column(*values):
    return numpy.array(values, numpy.int64)


def test_the_messages_of_producers_follow_one_another():
    first = Messages({"start_ns": column(10, 20, 30), "end_ns": column(11, 0, 31)})
    second = Messages({"start_ns": column(15, 25), "end_ns": column(16, 26)})
    found = joined.of_producers([first, second], PRODUCERS, (0, 0))
    assert found.start_ns.tolist() == [10, 20, 30, 15, 25]
    assert found.end_ns.tolist() == [11, 0, 31, 16, 26]
    assert PRODUCERS.offsets == (0, 3)
    assert PRODUCERS.id == "p+q"


def test_numbers_are_moved_and_what_one_did_not_record_is_nothing():
    first = Messages({"start_ns": column(1, 2, 3), "failed_seq": column(2), "failed_ns": column(9)})
    second = Messages(
        {
            "start_ns": column(4, 5),
            "seq": column(1, 0),
            "stage.api": column(7, 8),
            "size_bytes": column(6, 6),
        }
    )
    found = joined.of_producers([first, second], PRODUCERS, (0, 0))
    assert [each.tolist() for each in found.failed] == [[2], [9]]
    assert found.seq().tolist() == [4, 3]
    assert found.stage("api").tolist() == [7, 8]
    assert found.columns["size_bytes"].tolist() == [0, 0, 0, 6, 6]


def test_another_clock_is_put_on_the_first_ones():
    second = Messages({"start_ns": column(1004, 0), "end_ns": column(1005, 0)})
    found = joined.of_producers([Messages({}), second], Numbering(("p", "q"), (0, 2)), (0, 1000))
    assert found.start_ns.tolist() == [4, 0]
    assert found.end_ns.tolist() == [5, 0]


CONSUMERS = (
    Messages({"received_ns.p": column(5, 0, 9), "received_ns.q": column(0, 4)}),
    Messages({"received_ns.p": column(7, 6, 0), "received_ns.z": column(3)}),
)


def test_a_message_counts_where_it_was_first_and_a_copy_where_it_was_last():
    once = joined.of_consumers(CONSUMERS, PRODUCERS, copies=False)
    assert once.received_of("p+q").tolist() == [5, 6, 9, 0, 4]
    assert once.received_of("z").tolist() == [3]
    assert once.received().tolist() == [3, 4, 5, 6, 9]
    assert joined.again(CONSUMERS) == 1
    each = joined.of_consumers(CONSUMERS, PRODUCERS, copies=True)
    assert each.received_of("p+q").tolist() == [7, 0, 0, 0, 0]


def test_without_a_numbering_each_producer_is_one_of_its_own():
    found = joined.of_consumers(CONSUMERS, None, copies=False)
    assert found.received_of("p").tolist() == [5, 6, 9]
    assert found.received_of("q").tolist() == [0, 4]


def test_what_one_consumer_had_is_by_the_numbers_of_all_producers():
    assert joined.received_at(CONSUMERS[1], PRODUCERS).tolist() == [7, 6, 0, 0, 0]


def test_samples_of_several_processes_add_up():
    def samples(at, cpu, rss):
        return {
            "monotonic_ns": numpy.array(at, float),
            "cpu_user_seconds": numpy.array(cpu, float),
            "rss_bytes": numpy.array(rss, float),
        }

    found = series.added([samples([0, 10], [0, 5], [7, 7]), samples([5, 15], [1, 3], [2, 4])])
    assert found["monotonic_ns"].tolist() == [0, 5, 10, 15]
    assert found["cpu_user_seconds"].tolist() == [1, 3.5, 7, 8]
    assert found["rss_bytes"].tolist() == [9, 9, 10, 11]
    nan = float("nan")
    unknown = series.added([samples([0, 1], [0, 1], [nan, nan]), samples([0, 1], [0, 1], [1, 2])])
    assert numpy.isnan(unknown["rss_bytes"]).all()


@pytest.mark.parametrize("name", ["consumer", "consumer-1", "consumer-12"])
def test_the_side_of_a_member(name):
    assert side_of(name) == "consumer"
