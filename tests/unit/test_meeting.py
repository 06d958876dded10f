"""Producer and consumer compare what they would declare, before they do."""

import pytest

from omrig.broker import meeting
from omrig.errors import UsageError


def options(**given):
    return meeting.declaring_options(given)


def consumer(**given):
    return meeting.Consumer("5a", "t", "e", "there", 12, options(**given))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"rabbit_quorum_queue": True}, {"amqp_durable_queues": True}),
        ({"amqp_auto_delete": True}, {"amqp_auto_delete": True}),
        ({"use_queue_manager": True}, {}),
    ],
)
def test_what_the_broker_takes_is_taken(ours, theirs):
    meeting.check_options(options(**ours), consumer(**theirs))


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        ({"rabbit_quorum_queue": True}, {}, "rabbit_quorum_queue is True here and False there"),
        ({}, {"amqp_durable_queues": True}, "amqp_durable_queues is False here and True there"),
        ({"amqp_auto_delete": True}, {}, "amqp_auto_delete is True here and False there"),
    ],
)
def test_what_the_broker_would_refuse_is_told_with_the_options_and_both_values(ours, theirs, text):
    with pytest.raises(UsageError, match=text) as caught:
        meeting.check_options(options(**ours), consumer(**theirs))
    assert "the consumer on there, pid 12" in str(caught.value)
    assert "\n" not in str(caught.value)
