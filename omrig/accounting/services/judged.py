"""The verdict on the messages of one method, from the facts of the processes that had them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from omrig.accounting.verdict import decision
from omrig.accounting.verdict.thresholds import MIN_MESSAGES
from omrig.model.facts import EndpointTime, Facts
from omrig.model.result import Counts, Result
from omrig.model.service import Method, Pool, Process
from omrig.model.verdict import Verdict

SHARE = 0.05
"""Part of all self time from which a method gets a verdict."""

MOST_NAMES = 2
"""Processes of a side that are called by their names."""


MOST_SERVERS = 8
"""Servers that a process may well have, each with an executor of its own."""

_CALLED = {"producer": "senders", "consumer": "servers"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Server:
    """A process as a side of a method: what it is, and how many of the messages it had."""

    process: Process
    name: str
    messages: int


Sides = Mapping[str, Sequence[Server]]
"""By side the processes that had messages of a method."""


def judge(method: Method, sides: Sides, sample: int) -> Verdict | None:
    """The verdict; None for a method that takes little of the time, or has few messages."""
    if method.share < SHARE or method.stages is None or method.closure is None:
        return None
    if method.closure.messages < MIN_MESSAGES:
        return None
    return decision.decide(_result(method, sides), _facts(method, sides, sample))


def _result(method: Method, sides: Sides) -> Result:
    # Executors are by side here: that of the run is nobody's.
    failed: Counter[str] = Counter()
    for each in method.unanswered:
        if each.outcome and each.last_seen != "answered":
            failed[each.outcome] += each.count
    return Result(
        complete=True,
        pattern=method.name.pattern,
        executor="",
        sides=tuple(name for name, each in sides.items() if each),
        is_measurement=True,
        messages=Counts(sent=method.sent, received=method.served, errors=failed),
        latency=method.latency,
        stages=method.stages,
        buckets=method.buckets,
        closure=method.closure,
        waterfall=method.waterfall,
        quantised=method.quantised,
    )


def _facts(method: Method, sides: Sides, sample: int) -> Facts:
    servers, senders = sides.get("consumer", ()), sides.get("producer", ())
    pools = [*(_pool_line(each, each.process.executor_pool) for each in servers)]
    return Facts(
        processes={side: len(each) for side, each in sides.items() if len(each) > 1},
        names={side: _named(side, each) for side, each in sides.items() if each},
        executors={side: _executor(each) for side, each in sides.items() if each},
        pool_size=_size([each.process.send_pool for each in senders]),
        reply_pool_size=_size([each.process.send_pool for each in servers]),
        executor_pool_size=_size([each.process.executor_pool for each in servers]),
        combs=method.quantised or {},
        cpu_share={
            side: share for side, each in sides.items() if (share := _cpu(each)) is not None
        },
        sample=sample,
        endpoint=_endpoint(method),
        pools=tuple(line for line in pools if line),
        executor_free=bool(servers)
        and all(_is_free(each.process.executor_pool) for each in servers),
    )


def _named(side: str, servers: Sequence[Server]) -> tuple[str, ...]:
    """The names of the processes of a side; of many how many there are."""
    found = tuple(dict.fromkeys(each.name for each in servers))
    if len(found) <= MOST_NAMES:
        return found
    return (f"its {len(servers):,} {_CALLED[side]}",)


def _executor(servers: Sequence[Server]) -> str:
    most = max(servers, key=lambda each: each.messages)
    return most.process.executor


def _cpu(servers: Sequence[Server]) -> float | None:
    """The CPU share of the processes, each by the messages that it had."""
    known = [(each.process.cpu_share, each.messages) for each in servers]
    shares = [(share, messages) for share, messages in known if share is not None]
    whole = sum(messages for _, messages in shares)
    return sum(share * messages for share, messages in shares) / whole if whole else None


def _size(pools: Sequence[Pool | None]) -> int | None:
    """The size of a pool of several processes, where it is the same in all."""
    sizes = {pool.size for pool in pools if pool}
    return sizes.pop() if len(sizes) == 1 else None


def _is_free(pool: Pool | None) -> bool:
    """Whether some thread of each server was free all the time; the pool is of all its servers."""
    return pool is not None and pool.size is not None and pool.most * MOST_SERVERS <= pool.size


def _pool_line(server: Server, pool: Pool | None) -> str | None:
    if pool is None or not pool.most:
        return None
    noun = "greenthreads" if server.process.executor == "eventlet" else "threads"
    of = f" of {pool.size:,}" if pool.size else ""
    line = (
        f"executor {noun} of {server.process.name} in use: {pool.mean:.1f} on average, at most"
        f" {pool.most:,}{of}"
    )
    return f"{line}; {pool.advice}" if pool.advice else line


def _endpoint(method: Method) -> EndpointTime | None:
    if method.endpoint_own is None:
        return None
    nested = method.endpoint_nested or 0.0
    whole = method.endpoint_own + nested
    if whole <= 0:
        return None
    own = method.endpoint_own / whole
    computing = None if method.computing is None else method.computing * own
    return EndpointTime(nested_share=nested / whole, computing_share=computing)
