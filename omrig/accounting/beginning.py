"""How long services took to begin that connected all at once."""

import numpy

from omrig.accounting.statistics import percentile
from omrig.model.beginning import Beginning
from omrig.recordings.recording import Recording, Sides


def account(sides: Sides) -> Beginning | None:
    """How services began; None where a process was one service."""
    consumer, producer = sides.get("consumer"), sides.get("producer")
    took = [ns for each in (consumer.members if consumer else ()) for ns in each.about.listening_ns]
    if not took:
        return None
    first, served = _first_messages(producer) if producer else (0, None)
    return Beginning(
        services=len(took),
        p50_ns=percentile(numpy.array(took), 50),
        max_ns=max(took),
        first=first,
        served_ns=served,
    )


def _first_messages(producer: Recording) -> tuple[int, int | None]:
    """How many first messages there were, and how long the slowest producer took for its own."""
    services = producer.run.plan.services or 1
    count, slowest, all_ended = 0, 0, True
    for each in producer.members:
        # A message's number says whose turn it is.
        starts = each.messages.start_ns[:services]
        ends = each.messages.end_ns[:services]
        count += len(starts)
        all_ended &= bool((ends > 0).all())
        if len(starts):
            slowest = max(slowest, int(ends.max() - starts[starts > 0].min(initial=ends.max())))
    return count, slowest if all_ended else None
