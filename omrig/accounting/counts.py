"""How many messages a run had, and why it is incomplete."""

from omrig.model.patterns import PATTERNS
from omrig.model.result import Counts
from omrig.model.run import Run
from omrig.recordings.recording import Sides


def count(run: Run, sides: Sides) -> Counts:
    """The counts of the run; None for what no side of it could see."""
    producer = sides["producer"].about if "producer" in sides else None
    consumer = sides["consumer"].about if "consumer" in sides else None
    sent = producer.sent if producer else None
    received = consumer.received if consumer else None
    others = None
    if producer and consumer:
        # The same consumer may have served other producers.
        times = sides["consumer"].messages.received_of(producer.producer_id)
        received = 0 if times is None else int((times > 0).sum())
        others = consumer.received - received
    replied = producer.done if producer and PATTERNS[run.plan.pattern].replies else None
    return Counts(
        requested=run.plan.messages,
        sent=sent,
        received=received,
        replied=replied,
        lost=_lost(sent, received, replied),
        duplicated=consumer.duplicated if consumer else None,
        out_of_range=consumer.out_of_range if consumer else None,
        foreign=consumer.foreign if consumer else None,
        of_other_producers=others,
        errors=producer.errors if producer else {},
    )


def _lost(sent: int | None, received: int | None, replied: int | None) -> int | None:
    if sent is not None and received is not None:
        return max(0, sent - received)
    if sent is not None and replied is not None:
        return sent - replied
    return None


def incomplete(run: Run, sides: Sides, messages: Counts) -> str | None:
    """Why the run is incomplete, in words; None when it is complete."""
    reasons = [run.ended_because] if run.ended_because else []
    missing = [name for name in run.wanted if name not in sides]
    if missing and (sides or not reasons):
        reasons.append(f"the {' and the '.join(missing)} left no results")
    requested = messages.requested
    unsent = (requested or 0) - (messages.sent or 0) if "producer" in sides else 0
    if unsent > 0:
        reasons.append(f"{unsent} of {requested} messages were not sent")
    if messages.failed:
        names = ", ".join(f"{name} {count}" for name, count in messages.errors.items())
        reasons.append(f"{messages.failed} of {messages.sent} messages failed: {names}")
    if messages.lost:
        reasons.append(f"{messages.lost} messages were lost")
    if list(sides) == ["consumer"] and requested is not None:
        absent = requested - (messages.received or 0)
        if absent > 0:
            reasons.append(f"{absent} of {requested} messages did not come")
    return "; ".join(reasons) or None
