"""How many messages a run had, and why it is incomplete."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from omrig.model import members
from omrig.model.result import Counts
from omrig.model.run import Run
from omrig.recordings import joined
from omrig.recordings.recording import About, Recording, Sides


def count(run: Run, sides: Sides) -> Counts:
    """The counts of the run; None for what no side of it could see."""
    producer = sides["producer"].about if "producer" in sides else None
    consumer = sides["consumer"].about if "consumer" in sides else None
    is_copied = all(pattern.copies for pattern in run.plan.patterns)
    sent = producer.sent if producer else None
    received = consumer.received if consumer else None
    others = None
    if producer and consumer:
        # The same consumer may have served other producers.
        received = _received(sides, copies=is_copied)
        others = consumer.received - received
    replies = all(pattern.replies for pattern in run.plan.patterns)
    replied = producer.done if producer and replies else None
    copies = len(sides["consumer"].members) if consumer and is_copied else 1
    expected = None if sent is None or copies == 1 else sent * copies
    return Counts(
        requested=run.plan.messages,
        sent=sent,
        expected=expected,
        received=received,
        replied=replied,
        lost=_lost(
            sent if expected is None else expected,
            received,
            replied,
            # A copy for whoever left nothing is not expected.
            knows_all=is_copied or not unheard(run, sides),
        ),
        duplicated=consumer.duplicated if consumer else None,
        out_of_range=consumer.out_of_range if consumer else None,
        foreign=consumer.foreign if consumer else None,
        requeued=consumer.requeued if consumer else None,
        batches=consumer.batches if consumer else None,
        of_other_producers=others,
        errors=producer.errors if producer else {},
        errors_raised=_expected(sides.get("consumer"), lambda about: about.errors_raised),
        errors_replied=_expected(sides.get("producer"), lambda about: about.errors_replied),
    )


def _expected(
    side: Recording | None, of: Callable[[About], Mapping[str, int]]
) -> Mapping[str, int] | None:
    """The errors that endpoints were told to raise, as the members of a side counted them."""
    found: Counter[str] = Counter()
    for each in side.members if side else ():
        found.update(of(each.about))
    return found or None


def _received(sides: Sides, copies: bool) -> int:
    """How many different messages of the producers came; with ``copies`` at each consumer."""
    sent = sides["producer"]
    if copies:
        numbering = sent.numbering()
        return sum(
            int((joined.received_at(each.messages, numbering) > 0).sum())
            for each in sides["consumer"].members
        )
    times = sides["consumer"].messages.received_of(sent.about.producer_id)
    return 0 if times is None else int((times > 0).sum())


def unheard(run: Run, sides: Sides) -> tuple[str, ...]:
    """The consumers whose receipts are not known, though those of others are."""
    heard = [each.member.name for each in sides["consumer"].members] if "consumer" in sides else []
    if not heard:
        return ()
    named = [name for name in run.members if members.side_of(name) == "consumer"]
    return tuple(name for name in named if name not in heard)


def _lost(
    sent: int | None, received: int | None, replied: int | None, knows_all: bool
) -> int | None:
    """How many messages are known to be lost.

    Where it is not known what all consumers received, what came to no other may have come to one
    that left nothing: then replies tell, where there are any.
    """
    if sent is None:
        return None
    if received is not None and knows_all:
        return max(0, sent - received)
    return None if replied is None else sent - replied


def incomplete(run: Run, sides: Sides, messages: Counts) -> str | None:
    """Why the run is incomplete, in words; None when it is complete."""
    reasons = [run.ended_because] if run.ended_because else []
    reasons += _missing(run, sides, bool(reasons))
    requested = messages.requested
    unsent = (requested or 0) - (messages.sent or 0) if "producer" in sides else 0
    if run.plan.pace.gives_up and not run.ended_because:
        # The load ended with its time, as it was asked to.
        unsent = 0
    if unsent > 0:
        reasons.append(f"{unsent} of {requested} messages were not sent")
    if messages.failed:
        names = ", ".join(f"{name} {count}" for name, count in messages.errors.items())
        reasons.append(f"{messages.failed} of {messages.sent} messages failed: {names}")
    absent_ones = unheard(run, sides)
    if messages.lost is None and absent_ones and messages.sent is not None:
        unknown = messages.sent - (messages.received or 0)
        reasons.append(
            f"{unknown} of {messages.sent} messages came to no other consumer than"
            f" {' and '.join(absent_ones)}, if they came at all"
        )
    if messages.lost:
        reasons.append(_lost_words(sides, messages))
    if list(sides) == ["consumer"] and requested is not None:
        if all(pattern.copies for pattern in run.plan.patterns):
            requested *= len(sides["consumer"].members)
        absent = requested - (messages.received or 0)
        if absent > 0:
            reasons.append(f"{absent} of {requested} messages did not come")
    return "; ".join(reasons) or None


def _missing(run: Run, sides: Sides, is_explained: bool) -> Iterator[str]:
    """Who left no results, and what of the counts is not known for that."""
    found = [each.member.name for side in sides.values() for each in side.members]
    missing = [name for name in run.wanted if name not in found]
    if missing and (sides or not is_explained):
        named = [name if name != members.side_of(name) else f"the {name}" for name in missing]
        yield f"{' and '.join(named)} left no results"


def _lost_words(sides: Sides, messages: Counts) -> str:
    """How many messages were lost; of copies at which consumer how many."""
    if messages.expected is None or messages.sent is None:
        return f"{messages.lost} messages were lost"
    numbering = sides["producer"].numbering()
    absent = {
        each.member.name: messages.sent
        - int((joined.received_at(each.messages, numbering) > 0).sum())
        for each in sides["consumer"].members
    }
    where = ", ".join(
        f"{count} of {messages.sent} at {name}" for name, count in absent.items() if count > 0
    )
    return f"{messages.lost} of {messages.expected} copies were lost: {where}"
