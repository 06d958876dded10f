"""The verdict: whose the time of a message is, in which stage it goes, why, and on what evidence.

First comes what forbids a verdict (nothing measured, too little, books that do not close, a side
that is missing), then the owner by share of time, then the owner's largest stage, then the reason
that this stage, the executor and the :class:`Facts` suggest.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from omrig.analysis.comb import MILLISECOND, Comb
from omrig.analysis.stages import BY_NAME, OWNERS
from omrig.results import units

MIN_MESSAGES = 50
"""Messages with a timeline below which shares are chance."""

MAX_UNEXPLAINED = 0.05
"""Share of the end-to-end time that may be in no stage before the books count as open."""

MIN_MATCHED = 0.9
"""Share of the messages that must have a whole timeline before it speaks for all of them."""

MAX_NEGATIVE = 0.01
"""Share of the messages that may have a stage below zero before no stage is believed."""

DOMINANT = 0.5
"""An owner with more than this share of the time is named alone."""

ONE_SIDED = 0.9
"""A side with this share of the processes' waiting is named as the one whose process it is."""

SATURATED_CPU = 0.9
"""CPU seconds per second from which one Python process has no core time left."""

IDLE_CPU = 0.5
"""CPU seconds per second up to which CPU work cannot be why a process does not get round to it."""

FULL_MACHINE = 0.9
"""Busy share of all cores from which it is the machine that limits the run: whatever runs next
waits for a core."""

OTHER_CPU = 0.25
"""Cores used by processes that are not measured from which the figures are theirs, too."""

STOLEN = 0.05
"""Share of the cores' time given to other guests from which the hypervisor is worth a line."""

UNFAIR = 20
"""A p99 above this many times the p50 is a tail: a few messages pay for the others."""

TAIL_SHARE = 0.05
"""Share of the time from which a stage with a tail is worth a line."""

TAIL_OF_LATENCY = 0.5
"""A stage whose p99 is above this part of the end-to-end p99 makes the tail ..."""

TAIL_OF_MEAN = 0.1
"""... and goes unseen in the mean while it is below this part of it."""

COMB_SHARE = 0.1
"""Share of the time from which a stage that comes in steps is worth a line."""

RWND_LIMITED = 0.1
"""Share of the time with a full receive window from which a sender's waiting hides in AMQP."""

UNREAD_BYTES = 64 * 1024
"""Bytes unread in a socket from which the backlog is on our side of the connection."""

NETWORK_EXPLAINS = 0.5
"""Part of a stage that round trips must explain before the network is the reason."""

RETRANSMITS = 0.01
"""Retransmitted segments per message from which loss delays enough messages to be the reason."""

BLOCKED_SHARE = 0.1
"""Part of a stage's time that the broker's blocking must be able to explain to be the reason."""

SLOW_ENDPOINT = 0.1
"""Share of the time from which the endpoint is what keeps the executor's pool busy."""

_SENDERS = MappingProxyType(
    {
        "socket_wait": "producer",
        "confirm_wait": "producer",
        "amqp_request": "producer",
        "reply_socket_wait": "consumer",
        "amqp_reply": "consumer",
    }
)
_REPLY_WAITER_NS = 500 * MILLISECOND
_LONGEST_REASON = 60
_NOUNS = {"notify": "notification"}
_OWNER_NAMES = {"amqp": "AMQP", "driver": "driver", "process": "own process"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocked:
    """A ``connection.blocked`` of the broker: on which side, its words, for how long in ns."""

    side: str
    reason: str
    duration_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """What TCP says of a side's connections to the broker.

    ``rtt_us`` is the round trip in microseconds, or None. ``retransmits`` counts segments. The
    two shares (0 to 1) are of the time in which sending waited for the receive window or for the
    send buffer. ``unread_bytes_max`` is the most that lay unread in our socket.
    """

    rtt_us: float | None = None
    retransmits: int = 0
    rwnd_limited_share: float = 0.0
    sndbuf_limited_share: float = 0.0
    unread_bytes_max: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """How busy a machine was, and which ``sides`` ran there.

    The shares (0 to 1) are of the time of all its ``cores``, ``steal_share`` what the hypervisor
    gave to others. ``other_cpu_share`` is in cores: what processes used that are not measured.
    """

    sides: Sequence[str] = ()
    cores: int = 1
    busy_share: float = 0.0
    steal_share: float = 0.0
    other_cpu_share: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known beside the times of the stages; every default means "not known".

    ``workers`` of the producer (0: unknown); ``pool_size`` is ``rpc_conn_pool_size`` and
    ``executor_pool_size`` ``executor_thread_pool_size``. ``combs`` is keyed by stage;
    ``network`` and ``cpu_share`` (CPU seconds per second of the measured process) by side,
    ``broker_cpu_share`` likewise.
    ``is_measurement`` is False for in-memory transports. One of ``sample`` messages has stages.
    """

    workers: int = 0
    pool_size: int | None = None
    executor_pool_size: int | None = None
    combs: Mapping[str, Comb] = dataclasses.field(default_factory=dict)
    blocked: Sequence[Blocked] = ()
    network: Mapping[str, Network] = dataclasses.field(default_factory=dict)
    cpu_share: Mapping[str, float] = dataclasses.field(default_factory=dict)
    broker_cpu_share: float | None = None
    machines: Sequence[Machine] = ()
    is_measurement: bool = True
    sample: int = 1


@dataclasses.dataclass(frozen=True)
class _Case:
    """A stage that needs a reason, with all that may explain it."""

    result: Mapping[str, Any]
    facts: Facts
    stage: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.stage["name"])

    @property
    def is_reply(self) -> bool:
        return self.name.startswith("reply_") or self.name == "amqp_reply"

    @property
    def mean(self) -> str:
        return units.duration(self.stage["mean_ns"])

    @property
    def is_eventlet(self) -> bool:
        return self.result.get("executor") == "eventlet"

    @property
    def has_tail(self) -> bool:
        return bool(self.stage["p99_ns"] > UNFAIR * self.stage["p50_ns"])

    @property
    def cpu(self) -> float | None:
        return self.facts.cpu_share.get(self.stage["side"])

    @property
    def is_saturated(self) -> bool:
        return self.cpu is not None and self.cpu >= SATURATED_CPU


def decide(result: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """The verdict on ``result`` (the keys of ``result.json``), ready for JSON.

    Returns ``owner``, ``bucket``, ``stage``, ``share`` (of the owner's part of the time, 0 to 1;
    of the two largest owners together when ``mixed``), ``text`` (one sentence) and ``evidence``
    (a list of lines). ``bucket`` is that of ``stage``, the largest of the owner's stages; both
    are None when the owner is ``unknown`` for want of any usable stage.
    """
    evidence = _evidence(result, facts)
    objection = _objection(result, facts)
    if objection:
        return _verdict("unknown", None, 0.0, f"no verdict: {objection}", evidence)
    shares = _owner_shares(result)
    ranking = sorted(shares, key=lambda owner: -shares[owner])
    largest = max(result["stages"], key=lambda stage: stage["share"])
    is_dominant = shares[ranking[0]] > DOMINANT
    if _is_mixed(largest) or (not is_dominant and "remote" in ranking[:2]):
        return _remote(result, evidence)
    owners = ranking[:1] if is_dominant else ranking[:2]
    stage = max(_stages_of(result, owners), key=lambda stage: stage["share"])
    text = f"{_head(result, owners, stage)}: {_reason(_Case(result, facts, stage))}"
    share = sum(shares[owner] for owner in owners)
    return _verdict(owners[0] if len(owners) == 1 else "mixed", stage, share, text, evidence)


def _verdict(
    owner: str, stage: Mapping[str, Any] | None, share: float, text: str, evidence: list[str]
) -> dict[str, Any]:
    return {
        "owner": owner,
        "bucket": stage and stage["bucket"],
        "stage": stage and stage["name"],
        "share": round(float(share), 4),
        "text": text,
        "evidence": evidence,
    }


def _objection(result: Mapping[str, Any], facts: Facts) -> str | None:
    if not facts.is_measurement:
        return (
            "the in-memory transport has no broker and no network and polls on its own terms, so"
            " its times are for function only"
        )
    if not any(stage["share"] for stage in result.get("stages") or ()):
        return "no stage was measured; run with --profile stages"
    closure = result.get("closure") or {}
    messages = closure.get("messages") or 0
    if messages < MIN_MESSAGES:
        return f"not enough messages: {messages:,} with stages, and {MIN_MESSAGES} are needed"
    return _open_books(closure, messages)


def _open_books(closure: Mapping[str, Any], messages: int) -> str | None:
    matched = closure.get("matched")
    # One side alone has nothing to match.
    if matched is not None and matched < MIN_MATCHED * messages:
        return (
            f"the books do not close: only {matched:,} of {messages:,} messages have a whole"
            " timeline; look for lost messages or a side that was not recorded"
        )
    negative = closure.get("negative_stages") or 0
    if negative > MAX_NEGATIVE * messages:
        return (
            f"the books do not close: {negative:,} of {messages:,} messages have a stage below"
            " zero; a stamp is wrong, please report it with the run folder"
        )
    unexplained = closure.get("unexplained_share")
    if unexplained is None and matched is None:
        return (
            "a consumer alone has no end-to-end time; merge with the producer's run:"
            " omrig report P C"
        )
    if unexplained is None:
        return "the books do not close: nobody compared the stages with the end-to-end time"
    if abs(unexplained) > MAX_UNEXPLAINED:
        return (
            f"the books do not close: {_percent(abs(unexplained))} of the end-to-end time is in"
            " no stage; the stage map may not fit this version of the driver"
        )
    return None


def _is_mixed(stage: Mapping[str, Any]) -> bool:
    known = BY_NAME.get(stage["name"])
    return known is not None and known.mixed


def _owner(stage: Mapping[str, Any]) -> str:
    return "remote" if _is_mixed(stage) else OWNERS.get(stage["bucket"], "unknown")


def _owner_shares(result: Mapping[str, Any]) -> dict[str, float]:
    """Share of each owner, and of ``remote``, which the buckets count as AMQP."""
    shares = dict.fromkeys(OWNERS.values(), 0.0)
    for stage in result.get("stages") or ():
        owner = _owner(stage)
        shares[owner] = shares.get(owner, 0.0) + stage["share"]
    return shares


def _stages_of(result: Mapping[str, Any], owners: Sequence[str]) -> list[Mapping[str, Any]]:
    return [stage for stage in result["stages"] if _owner(stage) in owners]


def _remote(result: Mapping[str, Any], evidence: list[str]) -> dict[str, Any]:
    stage = next(stage for stage in result["stages"] if _is_mixed(stage))
    text = (
        f"no verdict: {_percent(stage['share'])} of {_subject(result)} is {stage['name']}"
        f" (mean {units.duration(stage['mean_ns'])}), which holds broker, network and the whole"
        " other side; merge with the consumer's run: omrig report P C"
    )
    return _verdict("unknown", stage, stage["share"], text, evidence)


def _subject(result: Mapping[str, Any]) -> str:
    noun = f"a {_noun(result)}"
    sides: Sequence[str] = result.get("sides") or ()
    if len(set(sides)) != 1 or (noun == "a call" and "producer" in sides):
        return noun
    return f"the {sides[0]}'s part of {noun}"


def _noun(result: Mapping[str, Any]) -> str:
    pattern = str(result.get("pattern", "call"))
    return _NOUNS.get(pattern, pattern)


def _head(result: Mapping[str, Any], owners: Sequence[str], stage: Mapping[str, Any]) -> str:
    shares = _owner_shares(result)
    subject = _subject(result)
    named = f"{stage['name']} ({_percent(stage['share'])})"
    first = owners[0]
    if len(owners) == 1:
        above_all = f", above all {named}" if stage["name"] != first else ""
        return f"{_percent(shares[first])} of {subject} is {_title(result, first)}{above_all}"
    parts = " and ".join(f"{_title(result, owner)} ({_percent(shares[owner])})" for owner in owners)
    return f"{parts} share {subject}, above all {named}"


def _title(result: Mapping[str, Any], owner: str) -> str:
    if owner != "process":
        return {"amqp": "AMQP", "unknown": "an unknown stage"}.get(owner, f"the {owner}")
    sides: dict[str, float] = {}
    for stage in _stages_of(result, [owner]):
        sides[stage["side"]] = sides.get(stage["side"], 0.0) + stage["share"]
    side = max(sides, key=lambda side: sides[side], default="")
    if sides and sides[side] >= ONE_SIDED * sum(sides.values()):
        return f"the {side}'s own process"
    return "our own processes"


def _reason(case: _Case) -> str:
    return _blocked(case) or _steps(case) or _REASONS.get(case.name, _own_code)(case)


def _steps(case: _Case) -> str | None:
    comb = case.facts.combs.get(case.name)
    if not comb:
        return None
    if case.name != "wakeup":
        return (
            f"its {case.mean} come in steps of {_step(comb)} ({_percent(comb.share)} of the"
            " messages): something polls or sleeps instead of working"
        )
    known = "; oslo.messaging 14.8.0 to 18.1.0 do so: upgrade"
    return (
        f"the caller wakes up in steps of {_step(comb)} (mean wait {case.mean}): a reply waiter"
        f" that polls with a sleep{known if comb.period_ns == _REPLY_WAITER_NS else ''}"
    )


def _blocked(case: _Case) -> str | None:
    sender = _SENDERS.get(case.name)
    mine = [blocked for blocked in case.facts.blocked if blocked.side == sender]
    duration = sum(blocked.duration_ns for blocked in mine)
    # All workers wait at the same time, so blocking explains its own length once for each of them.
    explained = duration * (case.facts.workers or case.stage["count"])
    measured = case.stage["total_ns"] * case.facts.sample
    if not duration or explained < BLOCKED_SHARE * measured:
        return None
    reason = _words(max(mine, key=lambda blocked: blocked.duration_ns).reason)
    return (
        f"the {sender} was blocked by the broker ({reason}) for {units.duration(duration)}: free"
        " the broker's memory or disk, or send less"
    )


def _receive_lag(case: _Case) -> str:
    is_reply = case.name == "reply_receive_lag"
    what = "replies" if is_reply else "messages"
    thread = "reply thread runs" if is_reply else "listener thread runs"
    reader = "hub reads them" if case.is_eventlet else thread
    return f"{what} lie {case.mean} in our socket buffer before the {reader}; {_busy(case)}"


def _busy(case: _Case) -> str:
    remedy = "fewer workers or more processes"
    cpu = f" (CPU {case.cpu:.2f})" if case.cpu is not None else ""
    if case.cpu is not None and case.cpu <= IDLE_CPU:
        shared = "or other processes take its core"
        if case.is_eventlet:
            return (
                f"the process hardly runs{cpu}: a call that does not yield holds the hub, {shared}"
            )
        return f"the process hardly runs{cpu}: a lock or a blocking call holds it, {shared}"
    full = f", its core is full{cpu}" if case.is_saturated else cpu
    if case.is_eventlet:
        return f"the hub is busy with other greenlets{full}: {remedy}"
    return f"with threads this is the GIL{full}: {remedy}"


def _wakeup(case: _Case) -> str:
    waiter = "greenlet" if case.is_eventlet else "thread"
    return f"a reply waits {case.mean} until the caller's {waiter} runs; {_busy(case)}"


def _stall(case: _Case) -> str:
    where = case.name.removesuffix("_stall")
    return f"{where} waits {case.mean} for the interpreter's lock; {_busy(case)}"


def _executor_queue(case: _Case) -> str:
    size, workers = case.facts.executor_pool_size, case.facts.workers
    pool = f"executor_thread_pool_size {size}" if size else "the executor's pool"
    wait = f"messages wait {case.mean} for the executor"
    # In a closed loop of calls no more messages are under way than there are workers.
    is_call = case.result["pattern"] == "call"
    if is_call and size and 0 < workers <= size:
        return (
            f"{wait}: {pool} has room for {workers} workers, its threads do not run; {_busy(case)}"
        )
    if is_call and workers:
        pool += f" for {workers} workers"
    return f"{wait}: {pool} is busy: {_executor_cause(case)}"


def _executor_cause(case: _Case) -> str:
    endpoint = _stage(case.result, "endpoint")
    if endpoint and endpoint["share"] >= SLOW_ENDPOINT:
        return f"the endpoint is slow ({units.duration(endpoint['mean_ns'])}) or the pool too small"
    if case.is_saturated:
        return f"its core is full (CPU {case.cpu:.2f}), so more processes help, a larger pool not"
    return "endpoint and reply are slow to finish or the pool is too small"


def _pool_wait(case: _Case) -> str:
    what = "replies" if case.is_reply else f"{_noun(case.result)}s"
    users = case.facts.executor_pool_size if case.is_reply else case.facts.workers
    size = "rpc_conn_pool_size" + (f" {case.facts.pool_size}" if case.facts.pool_size else "")
    if users:
        size += f" for {users} {'executor workers' if case.is_reply else 'workers'}"
    spread = (
        f"p50 {units.duration(case.stage['p50_ns'])}, p99 {units.duration(case.stage['p99_ns'])}"
    )
    cause = "the pool is LIFO and unfair, raise it" if case.has_tail else "the pool is too small"
    return f"{what} wait {case.mean} for a connection: {size}, {spread}: {cause}"


def _connect(case: _Case) -> str:
    return (
        f"the pool makes connections while messages wait (mean {case.mean}, longest"
        f" {units.duration(case.stage['max_ns'])}): warm up longer, raise conn_pool_min_size or"
        " conn_pool_ttl"
    )


def _own_code(case: _Case) -> str:
    known = BY_NAME.get(case.name)
    part = f" ({known.what.partition(', less')[0]})" if known else ""
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    return (
        f"{case.mean} a message in the code itself{part}{waits}: profile it with --profile lines"
        " or yappi"
    )


def _json(case: _Case) -> str:
    work = "decoding" if "deserialize" in case.name else "encoding"
    throughput = case.result.get("throughput") or {}
    rate = throughput.get("messages_per_second")
    payload = (
        f" of {units.size(throughput['bytes_per_second'] / rate)} payload"
        if rate and throughput.get("bytes_per_second") and not case.is_reply
        else ""
    )
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    return (
        f"JSON {work}{payload} takes {case.mean} a message, oslo's pass and kombu's{waits}: send"
        " smaller payloads"
    )


def _socket_wait(case: _Case) -> str:
    network = case.facts.network.get(case.stage["side"], Network())
    if network.sndbuf_limited_share > max(RWND_LIMITED, network.rwnd_limited_share):
        cause = (
            f"the buffer itself is too small {_percent(network.sndbuf_limited_share)} of the time:"
            " raise net.ipv4.tcp_wmem"
        )
    else:
        cause = "the receiver or the broker does not read fast enough: send less"
    return f"the {case.stage['side']}'s send buffer is full for {case.mean} a message; {cause}"


def _confirm_wait(case: _Case) -> str:
    return (
        f"the broker takes {case.mean} longer to confirm a message: look at its disk, and at"
        " mirrored or quorum queues"
    )


def _wire(case: _Case) -> str:
    ways = ("consumer", "producer") if case.is_reply else ("producer", "consumer")
    sender, receiver = (case.facts.network.get(side, Network()) for side in ways)
    hidden = max(sender.rwnd_limited_share, receiver.rwnd_limited_share)
    window = (
        f"; the receive window was full {_percent(hidden)} of the time, so part of the sender's"
        " waiting hides in here"
        if hidden >= RWND_LIMITED
        else ""
    )
    return _wire_cause(case, sender, receiver) + window


def _wire_cause(case: _Case, sender: Network, receiver: Network) -> str:
    mean_ns = case.stage["mean_ns"]
    trip_ns = ((sender.rtt_us or 0) + (receiver.rtt_us or 0)) * 1_000 / 2
    trip = f"the network's round trips explain {units.duration(trip_ns)} of {case.mean}"
    if trip_ns >= NETWORK_EXPLAINS * mean_ns:
        return f"{trip}: a shorter way helps, the broker is not the reason"
    known = trip if trip_ns else f"{case.mean} on the wire and in the broker"
    lost = sender.retransmits + receiver.retransmits
    if lost and lost >= RETRANSMITS * case.stage["count"] * case.facts.sample:
        return f"{known}, and the network loses packets: {lost:,} retransmits"
    if receiver.unread_bytes_max >= UNREAD_BYTES:
        remedy = "" if case.is_reply else ", set rabbit_qos_prefetch_count"
        unread = units.size(receiver.unread_bytes_max)
        return f"{known}, and up to {unread} lay unread in our socket: we read too slowly{remedy}"
    rest = ", the rest is the broker or what stands before it" if trip_ns else ""
    return f"{known}{rest}: a backlog in the queue, or a busy broker"


def _endpoint(case: _Case) -> str:
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    return (
        f"the endpoint's own method takes {case.mean} (p99"
        f" {units.duration(case.stage['p99_ns'])}){waits}: messaging is not the reason"
    )


_REASONS: Mapping[str, Callable[[_Case], str]] = MappingProxyType(
    {
        "serialize": _json,
        "pool_wait": _pool_wait,
        "connect": _connect,
        "socket_wait": _socket_wait,
        "amqp_request": _wire,
        "receive_lag": _receive_lag,
        "deserialize": _json,
        "executor_queue": _executor_queue,
        "endpoint": _endpoint,
        "reply_serialize": _json,
        "reply_pool_wait": _pool_wait,
        "reply_connect": _connect,
        "reply_socket_wait": _socket_wait,
        "amqp_reply": _wire,
        "reply_receive_lag": _receive_lag,
        "reply_deserialize": _json,
        "confirm_wait": _confirm_wait,
        "wakeup": _wakeup,
        "publish_stall": _stall,
        "decode_stall": _stall,
        "dispatch_stall": _stall,
        "reply_publish_stall": _stall,
        "reply_decode_stall": _stall,
    }
)


def _evidence(result: Mapping[str, Any], facts: Facts) -> list[str]:
    return [
        *_share_lines(result),
        *_closure_lines(result),
        *_tail_lines(result),
        *_comb_lines(result, facts),
        *_blocked_lines(facts),
        *(f"network of the {side}: {_network(facts.network[side])}" for side in facts.network),
        *_cpu_lines(facts),
        *([f"stages of 1 message in {facts.sample:,}"] if facts.sample > 1 else []),
    ]


def _share_lines(result: Mapping[str, Any]) -> list[str]:
    shares = _owner_shares(result)
    if not any(shares.values()):
        return []
    return [
        ", ".join(
            f"{_OWNER_NAMES.get(owner, owner)} {_percent(share)}" for owner, share in shares.items()
        )
    ]


def _closure_lines(result: Mapping[str, Any]) -> list[str]:
    closure = result.get("closure") or {}
    messages = closure.get("messages")
    if not messages:
        return []
    matched, adding_up = closure.get("matched"), closure.get("within_tolerance")
    line = f"closure: {messages:,} messages"
    if matched is not None:
        line = f"closure: {matched:,} of {messages:,} messages have a whole timeline"
    if adding_up is not None:
        line += f", {adding_up:,} add up"
    if closure.get("unexplained_share") is not None:
        line += f", {_percent(abs(closure['unexplained_share']))} unexplained"
    if closure.get("negative_stages"):
        line += f", {closure['negative_stages']:,} with a negative stage"
    if closure.get("flagged_arrivals"):
        line += f", {closure['flagged_arrivals']:,} without a sure arrival time"
    return [line]


def _tail_lines(result: Mapping[str, Any]) -> list[str]:
    latency = result.get("latency") or {}
    lines = (_tail_line(stage, latency) for stage in result.get("stages") or ())
    return [line for line in lines if line]


def _tail_line(stage: Mapping[str, Any], latency: Mapping[str, Any]) -> str | None:
    p99, whole = stage["p99_ns"], latency.get("p99") or 0
    line = f"{stage['name']} has a tail: p50 {units.duration(stage['p50_ns'])}"
    line += f", p99 {units.duration(p99)}"
    if p99 > TAIL_OF_LATENCY * whole > 0 and stage["mean_ns"] < TAIL_OF_MEAN * (
        latency.get("mean") or 0
    ):
        return (
            f"{line}, which is {_percent(p99 / whole)} of the end-to-end p99, but"
            f" {_percent(stage['mean_ns'] / latency['mean'])} of its mean"
        )
    if p99 > UNFAIR * stage["p50_ns"] and stage["share"] > TAIL_SHARE:
        return line
    return None


def _comb_lines(result: Mapping[str, Any], facts: Facts) -> list[str]:
    return [
        f"{name} comes in steps of {_step(comb)} ({_percent(comb.share)} of the messages): a"
        f" {comb.kind}"
        for name, comb in facts.combs.items()
        if (_stage(result, name) or {"share": 0.0})["share"] > COMB_SHARE
    ]


def _blocked_lines(facts: Facts) -> list[str]:
    return [
        f"{blocked.side} blocked by the broker ({_words(blocked.reason)}) for"
        f" {units.duration(blocked.duration_ns)}"
        for blocked in facts.blocked
    ]


def _cpu_lines(facts: Facts) -> list[str]:
    """Which process or machine had nothing left, and what the others used."""
    lines = [
        f"CPU of the {side}: {share:.2f} of a core"
        + (", which is full: the process limits the run" if share >= SATURATED_CPU else "")
        for side, share in facts.cpu_share.items()
    ]
    if facts.broker_cpu_share is not None:
        # Unlike ours it runs on all cores at once.
        room = f" of {facts.machines[0].cores}" if len(facts.machines) == 1 else ""
        lines.append(f"CPU of the broker: {facts.broker_cpu_share:.2f}{room} cores")
    return lines + [line for machine in facts.machines for line in _machine_lines(machine, facts)]


def _machine_lines(machine: Machine, facts: Facts) -> list[str]:
    whose = f" of the {machine.sides[0]}'s machine" if len(facts.machines) > 1 else ""
    which = "the only core" if machine.cores == 1 else f"all {machine.cores} cores"
    lines = []
    if machine.busy_share >= FULL_MACHINE * (1 - machine.steal_share):
        were = "was" if machine.cores == 1 else "were"
        lines.append(
            f"{which}{whose} {were} busy {_percent(machine.busy_share)} of the time: what is"
            " measured is the machine"
        )
    if machine.other_cpu_share >= OTHER_CPU:
        unknown = " (the broker is one of them, or elsewhere)"
        lines.append(
            f"other processes{unknown if facts.broker_cpu_share is None else ''} used"
            f" {units.cores(machine.other_cpu_share)}{whose} meanwhile"
        )
    if machine.steal_share >= STOLEN:
        lines.append(
            f"the hypervisor kept {_percent(machine.steal_share)} of the cores' time{whose} for"
            " others"
        )
    return lines


def _network(network: Network) -> str:
    parts = [f"rtt {units.duration(network.rtt_us * 1_000)}" if network.rtt_us else "rtt unknown"]
    if network.retransmits:
        parts.append(f"{network.retransmits:,} retransmits")
    if network.rwnd_limited_share:
        parts.append(f"receive window full {_percent(network.rwnd_limited_share)} of the time")
    if network.sndbuf_limited_share:
        parts.append(f"send buffer full {_percent(network.sndbuf_limited_share)} of the time")
    if network.unread_bytes_max:
        parts.append(f"up to {units.size(network.unread_bytes_max)} unread")
    return ", ".join(parts)


def _stage(result: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((stage for stage in result.get("stages") or () if stage["name"] == name), None)


def _step(comb: Comb) -> str:
    return f"{comb.period_ns / MILLISECOND:g} ms"


def _words(reason: str) -> str:
    return " ".join(reason.split())[:_LONGEST_REASON]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
