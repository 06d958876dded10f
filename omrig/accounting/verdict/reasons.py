"""Why a stage takes its time: the reason that the stage, the executor and the facts suggest."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from omrig.accounting.verdict import incidents
from omrig.accounting.verdict.case import Case
from omrig.accounting.verdict.phrases import (
    core_wait,
    counted,
    inside,
    noun,
    percent,
    step,
    words,
)
from omrig.accounting.verdict.thresholds import (
    BLOCKED_SHARE,
    HELD_BACK,
    IDLE_CPU,
    NETWORK_EXPLAINS,
    RETRANSMITS,
    RWND_LIMITED,
    SENT_INSIDE,
    SLOW_ENDPOINT,
    UNREAD_BYTES,
)
from omrig.model import units
from omrig.model.facts import Network
from omrig.model.stages import BY_NAME
from omrig.model.units import MS

_SENDERS = MappingProxyType(
    {
        "socket_wait": "producer",
        "confirm_wait": "producer",
        "amqp_request": "producer",
        "reply_socket_wait": "consumer",
        "amqp_reply": "consumer",
    }
)
_MORE_CORES = "give it cores of its own, or send from another machine"
_REPLY_WAITER_NS = 500 * MS


def reason_of(case: Case) -> str:
    """Why the time of a part goes where it goes, and what would help."""
    if case.part.held:
        return _held_back(case)
    return _blocked(case) or _lost(case) or _steps(case) or REASONS.get(case.name, _own_code)(case)


def _held_back(case: Case) -> str:
    held = case.facts.held[case.name]
    return (
        f"rabbit_qos_prefetch_count {held.prefetch} keeps messages in the broker until we read, at"
        f" least {percent(held.own_share)} of its {case.mean}: our own lag; {_busy(case)}"
    )


def _steps(case: Case) -> str | None:
    comb = case.facts.combs.get(case.name)
    if not comb:
        return None
    if comb.kind == "delayed acknowledgement":
        return (
            f"{percent(comb.share)} of the messages take steps of {step(comb)} of its {case.mean}:"
            " as long as TCP delays an acknowledgement that somebody waits for"
        )
    if case.name != "wakeup":
        return (
            f"its {case.mean} come in steps of {step(comb)} ({percent(comb.share)} of the"
            " messages): something polls or sleeps instead of working"
        )
    known = "; oslo.messaging 14.8.0 to 18.1.0 do so: upgrade"
    return (
        f"the caller wakes up in steps of {step(comb)} (mean wait {case.mean}): a reply waiter"
        f" that polls with a sleep{known if comb.period_ns == _REPLY_WAITER_NS else ''}"
    )


def _blocked(case: Case) -> str | None:
    sender = _SENDERS.get(case.name)
    mine = [blocked for blocked in case.facts.blocked if blocked.side == sender]
    duration = sum(blocked.duration_ns for blocked in mine)
    # All workers wait at the same time, so blocking explains its own length once for each of them.
    explained = duration * (case.facts.workers or case.stage.count)
    measured = case.stage.total_ns * case.facts.sample
    if not duration or explained < BLOCKED_SHARE * measured:
        return None
    reason = words(max(mine, key=lambda blocked: blocked.duration_ns).reason)
    return (
        f"the {sender} was blocked by the broker ({reason}) for {units.duration(duration)}: free"
        " the broker's memory or disk, or send less"
    )


def _lost(case: Case) -> str | None:
    """The loss of a node of the broker, where nothing moved for most of the stage's time then."""
    found = [each for each in case.facts.outages if each.still_ns]
    # All workers wait at the same time, as while the broker blocks.
    explained = sum(each.still_ns for each in found) * (case.facts.workers or case.stage.count)
    if not found or explained < HELD_BACK * case.stage.total_ns * case.facts.sample:
        return None
    longest = max(found, key=lambda each: each.still_ns)
    return f"{incidents.outage(longest)}: messages waited for another node"


def _receive_lag(case: Case) -> str:
    is_reply = case.name == "reply_receive_lag"
    what = "replies" if is_reply else "messages"
    thread = "reply thread runs" if is_reply else "listener thread runs"
    reader = "hub reads them" if case.is_eventlet else thread
    return f"{what} lie {case.mean} in our socket buffer before the {reader}; {_busy(case)}"


def _busy(case: Case) -> str:
    cpu = f" (CPU {case.cpu:.2f})" if case.cpu is not None else ""
    if case.cpu is not None and case.cpu <= IDLE_CPU:
        shared = "or other processes take its core"
        if case.is_eventlet:
            native = "the native heartbeat thread or " if case.facts.native_heartbeat else ""
            return (
                f"the process hardly runs{cpu}: {native}a call that does not yield holds the hub,"
                f" {shared}"
            )
        return f"the process hardly runs{cpu}: a lock or a blocking call holds it, {shared}"
    full = f", its core is full{cpu}" if case.is_saturated else cpu
    if case.is_eventlet:
        return f"the hub is busy with other greenlets{full}: {case.remedy}"
    return f"with threads this is the GIL{full}: {case.remedy}"


def _wakeup(case: Case) -> str:
    waiter = "greenlet" if case.is_eventlet else "thread"
    what = "a reply" if case.has_reply else "the publisher confirm"
    return f"{what} waits {case.mean} until the caller's {waiter} runs; {_busy(case)}"


def _stall(case: Case) -> str:
    where = case.name.removesuffix("_stall")
    return f"{where} waits {case.mean} for the interpreter's lock; {_busy(case)}"


def _batch_wait(case: Case) -> str:
    return (
        f"a message waits {case.mean} until the listener's batch is full or timed out: that is how"
        " long batches are made for; a smaller batch or a shorter timeout hands them on earlier"
    )


def _executor_queue(case: Case) -> str:
    size, workers = case.facts.executor_pool_size, case.facts.all_workers
    pool = f"executor_thread_pool_size {size}" if size else "the executor's pool"
    if case.facts.of_services:
        # Of all its servers: how many threads, the option says of each.
        threads = f"{counted(size, 'thread')}, " if size else ""
        pool = f"{case.facts.whose(case.part.side)} executor ({threads}executor_thread_pool_size)"
    wait = f"messages wait {case.mean} for the executor"
    if case.facts.executor_free:
        return f"{wait}: {pool} has a free thread all the time, which does not run; {_busy(case)}"
    # In a closed loop with replies no more messages are under way than there are workers.
    replies = case.has_reply
    if replies and size and 0 < workers <= size:
        return (
            f"{wait}: {pool} has room for {counted(workers, 'worker')}, its threads do not run;"
            f" {_busy(case)}"
        )
    if replies and workers:
        pool += f" for {counted(workers, 'worker')}"
    return f"{wait}: {pool} is busy: {_executor_cause(case)}"


def _executor_cause(case: Case) -> str:
    endpoint = case.result.stage("endpoint")
    if endpoint and endpoint.share >= SLOW_ENDPOINT:
        return f"the endpoint is slow ({units.duration(endpoint.mean_ns)}) or the pool too small"
    if case.is_saturated:
        return f"its core is full (CPU {case.cpu:.2f}), so more processes help, a larger pool not"
    return "endpoint and reply are slow to finish or the pool is too small"


def _pool_wait(case: Case) -> str:
    what = "replies" if case.is_reply else f"{noun(case.result)}s"
    users = case.facts.executor_pool_size if case.is_reply else case.facts.workers
    pool = case.facts.reply_pool_size if case.is_reply else case.facts.pool_size
    size = "rpc_conn_pool_size" + (f" {pool:,}" if pool else "")
    if users:
        size += f" for {counted(users, 'executor worker' if case.is_reply else 'worker')}"
    wait = f"{what} wait {case.mean} for a connection: {size}"
    if users and pool and users <= pool:
        return f"{wait}, so its size is not the reason; {_busy(case)}"
    spread = f"p50 {units.duration(case.stage.p50_ns)}, p99 {units.duration(case.stage.p99_ns)}"
    cause = "the pool is LIFO and unfair, raise it" if case.has_tail else "the pool is too small"
    return f"{wait}, {spread}: {cause}"


def _connect(case: Case) -> str:
    warm = "" if case.facts.of_services else "warm up longer, "
    return (
        f"the pool makes connections while messages wait (mean {case.mean}, longest"
        f" {units.duration(case.stage.max_ns)}): {warm}raise conn_pool_min_size or"
        " conn_pool_ttl"
    )


def _own_code(case: Case) -> str:
    known = BY_NAME.get(case.name)
    part = f" ({known.span})" if known else ""
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    how = "with --profile lines or yappi"
    if case.facts.of_services:
        how = "in omrig run --profile lines or yappi"
    return f"{case.mean} a message in the code itself{part}{waits}: profile it {how}"


def _json(case: Case) -> str:
    work = "decoding" if "deserialize" in case.name else "encoding"
    done = case.result.throughput
    payload = (
        f" of {units.size(done.bytes_per_second / done.messages_per_second)} payload"
        if done and done.messages_per_second and done.bytes_per_second and not case.is_reply
        else ""
    )
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    return (
        f"JSON {work}{payload} takes {case.mean} a message, oslo's pass and kombu's{waits}: send"
        " smaller payloads"
    )


def _socket_wait(case: Case) -> str:
    network = case.facts.network.get(case.stage.side, Network())
    if network.sndbuf_limited_share > max(RWND_LIMITED, network.rwnd_limited_share):
        cause = (
            f"the buffer itself is too small {percent(network.sndbuf_limited_share)} of the time:"
            " raise net.ipv4.tcp_wmem"
        )
    else:
        cause = "the receiver or the broker does not read fast enough: send less"
    return f"the {case.stage.side}'s send buffer is full for {case.mean} a message; {cause}"


def _confirm_wait(case: Case) -> str:
    longer = f"the broker takes {case.mean} longer to confirm a message"
    if starved := core_wait(case.facts):
        return f"{longer}: its threads {starved}: {_MORE_CORES}"
    if "amqp_request" in case.facts.quorum:
        return (
            f"{longer}: it goes to a quorum queue, which confirms what most of its nodes have"
            " written to disk: a faster disk helps, or rabbit_quorum_queue = false where messages"
            " may be lost"
        )
    return f"{longer}: look at its disk, and at mirrored or quorum queues"


def _wire(case: Case) -> str:
    held = case.facts.held.get(case.name)
    if held and held.way_ns and held.waited_share >= HELD_BACK:
        return (
            f"{percent(held.waited_share)} of its {case.mean} messages wait in the broker"
            f" (rabbit_qos_prefetch_count {held.prefetch}) for acknowledgements and the messages"
            f" after them, {units.duration(held.way_ns)} under way each time, on the network and in"
            " the broker: raise it, or shorten the way"
        )
    ways = ("consumer", "producer") if case.is_reply else ("producer", "consumer")
    sender, receiver = (case.facts.network.get(side, Network()) for side in ways)
    hidden = max(sender.rwnd_limited_share, receiver.rwnd_limited_share)
    window = (
        f"; the receive window was full {percent(hidden)} of the time, so part of the sender's"
        " waiting hides in here"
        if hidden >= RWND_LIMITED
        else ""
    )
    return _wire_cause(case, sender, receiver) + window


def _wire_cause(case: Case, sender: Network, receiver: Network) -> str:
    mean_ns = case.stage.mean_ns
    trip_ns = ((sender.rtt_us or 0) + (receiver.rtt_us or 0)) * 1_000 / 2
    trip = f"the network's round trips explain {units.duration(trip_ns)} of {case.mean}"
    if trip_ns >= NETWORK_EXPLAINS * mean_ns:
        return f"{trip}: a shorter way helps, the broker is not the reason"
    known = trip if trip_ns else f"{case.mean} on the wire and in the broker"
    lost = sender.retransmits + receiver.retransmits
    if lost and lost >= RETRANSMITS * case.stage.count * case.facts.sample:
        return f"{known}, and the network loses packets: {lost:,} retransmits"
    if starved := core_wait(case.facts):
        return f"{known}; the broker's threads {starved}: {_MORE_CORES}"
    if receiver.unread_bytes_max >= UNREAD_BYTES:
        unread = units.size(receiver.unread_bytes_max)
        return (
            f"{known}, and up to {unread} lay unread in our socket: we read too slowly:"
            f" {case.remedy}"
        )
    rest = ", the rest is the broker or what stands before it" if trip_ns else ""
    quorum = " (a quorum queue writes to disk first)" if case.name in case.facts.quorum else ""
    return f"{known}{rest}: a backlog in the queue{quorum}, or a busy broker"


def _endpoint(case: Case) -> str:
    waits = ", part of it waiting for a full core" if case.is_saturated else ""
    known = case.facts.endpoint
    if known and inside(known):
        whose = "" if known.nested_share >= SENT_INSIDE else "; messaging is not the reason"
        return (
            f"the endpoint takes {case.mean} (p99 {units.duration(case.stage.p99_ns)}){waits}:"
            f" {inside(known)}{whose}"
        )
    nested = case.result.nested
    if nested and nested.own_ns is not None:
        return (
            f"the endpoint takes {case.mean} (p99 {units.duration(case.stage.p99_ns)}),"
            f" {units.duration(nested.calls_ns)} of it in calls to another server, which have"
            f" stages of their own{waits}"
        )
    return (
        f"the endpoint's own method takes {case.mean} (p99"
        f" {units.duration(case.stage.p99_ns)}){waits}: messaging is not the reason"
    )


REASONS: Mapping[str, Callable[[Case], str]] = MappingProxyType(
    {
        "api": _own_code,
        "serialize": _json,
        "pool_wait": _pool_wait,
        "connect": _connect,
        "publish": _own_code,
        "socket_wait": _socket_wait,
        "amqp_request": _wire,
        "receive_lag": _receive_lag,
        "decode": _own_code,
        "deserialize": _json,
        "batch_wait": _batch_wait,
        "executor_queue": _executor_queue,
        "dispatch": _own_code,
        "endpoint": _endpoint,
        "reply_serialize": _json,
        "reply_pool_wait": _pool_wait,
        "reply_connect": _connect,
        "reply_publish": _own_code,
        "reply_socket_wait": _socket_wait,
        "amqp_reply": _wire,
        "reply_receive_lag": _receive_lag,
        "reply_decode": _own_code,
        "reply_deserialize": _json,
        "confirm_wait": _confirm_wait,
        "wakeup": _wakeup,
        "return": _own_code,
        "publish_stall": _stall,
        "decode_stall": _stall,
        "dispatch_stall": _stall,
        "reply_publish_stall": _stall,
        "reply_decode_stall": _stall,
    }
)
"""By stage: every one that is not everybody's time has its reason."""
