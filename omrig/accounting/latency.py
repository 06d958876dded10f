"""How long the messages of a producer took, and for how long those under way that failed."""

import numpy

from omrig.accounting.statistics import summary
from omrig.model.columns import Integers
from omrig.model.latency import Latency
from omrig.recordings.recording import Recording


def of_ended(producer: Recording) -> Integers:
    """What the messages took that ended well, in ns: in an open loop from when they were due."""
    due, ended = producer.messages.due_ns, producer.messages.end_ns
    return _took(due, ended)


def of_service(producer: Recording) -> Integers:
    """As :func:`of_ended`, from when they were sent."""
    started, ended = producer.messages.start_ns, producer.messages.end_ns
    return _took(started, ended)


def _took(since: Integers, ended: Integers) -> Integers:
    done = ended > 0
    took = ended[done]
    took -= since[done]
    return took


def span_ns(producer: Recording) -> tuple[int, int]:
    """When the first message was sent that ended well, and when the last one ended."""
    started, ended = producer.messages.start_ns, producer.messages.end_ns
    return int(started[ended > 0].min()), int(ended.max())


def of_failed(producer: Recording) -> Integers | None:
    """What the messages that failed took until they did; None where that was not recorded."""
    if producer.messages.failed is None:
        return None
    number, at = producer.messages.failed
    took: Integers = at - producer.messages.due_ns[number]
    return took


def of_failed_at_least(producer: Recording) -> Integers:
    """As :func:`of_failed`, each as a timeout where that was not recorded."""
    took = of_failed(producer)
    if took is not None:
        return took
    failed = sum(producer.about.errors.values())
    return numpy.full(failed, producer.run.timeout_ns, numpy.int64)


def given_up_ns(producer: Recording) -> Integers:
    """When each message was given up, by sequence number, if it did not end before.

    That is when it failed, else when its timeout had passed.
    """
    given_up: Integers = producer.messages.start_ns + producer.run.timeout_ns
    if producer.messages.failed is not None:
        number, at = producer.messages.failed
        given_up[number] = at
    return given_up


def with_failures(values: Integers, failed: Integers) -> Latency | None:
    """The summary of ``values`` and of what those took that ``failed``.

    None where none failed: there is nothing to add then.
    """
    return summary(numpy.concatenate([values, failed])) if len(failed) else None
