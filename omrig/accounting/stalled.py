"""The stalls of a run, and what is to be judged without the messages that they held."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from omrig.accounting import books, latency, stalls
from omrig.accounting.verdict.owners import parts_of, shares_of
from omrig.accounting.verdict.thresholds import MIN_MESSAGES
from omrig.model.facts import Facts, Held
from omrig.model.result import StageRow
from omrig.recordings.recording import Recording

Sides = Mapping[str, Recording]

QUEUES = ("pool", "executor")
"""Buckets in which a message waits for other messages."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Stalls as ``result.json`` has them.

    ``rest`` are the keys of the result without the messages that were held, None where the verdict
    is to be on all of them.
    """

    told: dict[str, Any]
    rest: dict[str, Any] | None


def find(sides: Sides, timelines: books.Timelines | None) -> Found | None:
    """The stalls of a run, from when its messages began and ended; None without any."""
    producer = sides.get("producer")
    if producer is None:
        return None
    times = producer.times
    found = stalls.find(times["start_ns"], times["end_ns"], latency.given_up_ns(producer))
    if found is None:
        return None
    told = found.as_json()
    if timelines is None or timelines.producer is None:
        return Found({**told, **_owned(None)}, None)
    others, held = books.without(timelines, found.held)
    told |= _owned(held)
    if not found.few or others.book.rows < MIN_MESSAGES:
        return Found(told, None)
    ended = times["end_ns"] > 0
    ended[found.held] = False
    latencies = (times["end_ns"] - times["start_ns"])[ended]
    return Found(told, {**books.judged(others), "latency": latency.summarise(latencies)})


def _owned(held: books.Timelines | None) -> dict[str, Any]:
    """Whose most of the time of these messages is, less what waited in queues behind others.

    Who waits for a connection or an executor waits for those that have one, and these are held.
    Nobody's where all of it is in queues.
    """
    if held is None or not held.book.rows:
        return {"owner": None, "owner_share": None, "queue_share": None}
    result = books.judged(held)
    facts = Facts(held={name: Held(**each) for name, each in result["prefetch"].items()})
    parts = parts_of([StageRow.from_json(row) for row in result["stages"]], facts)
    queued = [part for part in parts if not part.held and part.stage.bucket in QUEUES]
    shares = shares_of([part for part in parts if part not in queued])
    owner = max(shares, key=lambda name: shares[name])
    owned = round(shares[owner], 4)
    return {
        "owner": owner if owned > 0 else None,
        "owner_share": owned if owned > 0 else None,
        "queue_share": round(sum(part.share for part in queued), 4),
    }
