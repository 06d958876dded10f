"""Stacks placed on a message's way, by the stacks at which messages went on."""

from omrig.measured.profilers.positions import (
    BETWEEN,
    OTHER_THREADS,
    UNORDERED,
    Placed,
    learn,
    place,
)
from omrig.measured.profilers.whereabouts import At, Passed

THREAD = (At("/lib/threading.py", "Thread.run", 980),)


def stack(*levels):
    """``work:30 send:12`` below a thread's own levels."""
    named = (level.partition(":") for level in levels)
    return (*THREAD, *(At("/site/driver.py", name, int(line)) for name, _, line in named))


def passed(stage, *levels, thread=1):
    return Passed(stage, stack(*levels), thread)


MESSAGE = [
    # The load's call, the driver's send as it is entered, the pool, the end.
    passed("api", "work:31", "call:10"),
    passed("serialize", "work:32", "call:14", "send:50"),
    passed("pool_wait", "work:32", "call:14", "send:55", "get:80"),
    passed("publish", "work:32", "call:14", "send:55", "get:90"),
    passed("amqp_request", "work:32", "call:14", "send:60", "write:100"),
    passed("reply_decode", "poll:200", "read:210", thread=2),
    passed("wakeup", "poll:200", "hand:230", thread=2),
    passed("return", "work:32", "call:16", "wait:300"),
    passed("", "work:33"),
]

COURSES = learn([MESSAGE])


def placed(*levels):
    return place(stack(*levels), COURSES)


def test_a_sample_is_in_the_stage_of_the_last_stamp_before_it():
    assert placed("work:32", "call:12") == Placed("api")
    assert placed("work:32", "call:14", "send:52", "dumps:5") == Placed("serialize")
    assert placed("work:32", "call:14", "send:55", "get:85", "wait:3") == Placed("pool_wait")
    assert placed("work:32", "call:14", "send:58", "publish:7", "basic:8") == Placed("publish")
    assert placed("work:32", "call:14", "send:60", "write:101") == Placed("amqp_request")
    assert placed("work:32", "call:18") == Placed("return")


def test_what_is_below_the_line_of_a_stamp_is_before_it():
    # The stamp at the end of ``get`` is set when what line 90 calls has returned.
    below = placed("work:32", "call:14", "send:55", "get:90", "made:1")
    assert below == Placed("pool_wait")


def test_threads_are_told_apart():
    assert placed("poll:205") == Placed("wakeup")
    assert placed("poll:200", "read:211", "loads:1") == Placed("reply_decode")
    assert placed("beat:5", "send:60").reason == OTHER_THREADS
    assert place(THREAD, COURSES).reason == OTHER_THREADS


def test_before_and_after_a_message_there_is_no_stage():
    assert placed("work:30") == Placed(None, BETWEEN)
    assert placed("work:34") == Placed(None, BETWEEN)
    assert placed("poll:199") == Placed(None, BETWEEN)


def test_two_calls_on_a_line_are_in_the_order_that_was_seen():
    # ``read`` and ``hand`` are called on one line; ``hand`` has been entered, but not passed.
    assert placed("poll:200", "hand:220") == Placed("reply_decode")


def test_a_call_beside_a_stamp_on_its_line_is_in_no_stage():
    unknown = placed("work:32", "call:14", "send:55", "release:400")
    assert unknown == Placed(None, UNORDERED)


def test_what_only_some_messages_pass_is_learned_in_its_place():
    connecting = [*MESSAGE[:3], passed("connect", "work:32", "call:14", "send:55", "get:84")]
    courses = learn([MESSAGE, connecting])
    (course,) = (steps for (_, name), steps in courses.items() if name == "work")
    assert [step.stage for step in course] == [
        *("api", "serialize", "pool_wait", "connect", "publish", "amqp_request", "return", "")
    ]
    here = stack("work:32", "call:14", "send:55", "get:86", "open:2")
    assert place(here, courses) == Placed("connect")


def test_the_same_messages_again_teach_nothing_new():
    assert learn([MESSAGE, MESSAGE, MESSAGE]) == COURSES
    assert learn([]) == {}
