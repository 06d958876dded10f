"""A recording of services that never was, as a value: everything in it that a report can show."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import synthetic_values

from omrig.model.facts import Comb
from omrig.model.latency import Latency
from omrig.model.result import Closure
from omrig.model.service import (
    REMOTE,
    Method,
    MethodName,
    Node,
    Pool,
    Process,
    Request,
    Requests,
    ServiceResult,
    Unanswered,
)
from omrig.model.units import MS, NS
from omrig.model.verdict import Evidence, Verdict
from omrig.report import owners

ENGINE, EXECUTOR, API = "engine", "executor", "api 4711"

_KERNEL = "by the kernel's stamp of the socket, up to 50 µs late"

_PERCENTILES = {"10": 0.5, "50": 0.8, "90": 1.6, "99": 3.0, "99.9": 4.2, "100": 4.6}
"""The distribution of a method's latencies, in means."""


_SHORT = {
    "api": 0.4, "serialize": 0.2, "publish": 0.3, "amqp_request": 1.2, "receive_lag": 0.6,
    "decode": 0.3, "deserialize": 0.1, "executor_queue": 0.5, "dispatch": 0.2,
}  # fmt: skip
"""The stages of any message, in ms."""

_BACK = {
    "reply_serialize": 0.1, "reply_publish": 0.3, "amqp_reply": 0.9, "reply_receive_lag": 0.3,
    "reply_decode": 0.3, "reply_deserialize": 0.1, "wakeup": 0.2, "return": 0.1,
}  # fmt: skip
"""The stages of a reply, in ms."""


def method(
    name: MethodName, durations_ms: Mapping[str, float], count: int, share: float, **changes: Any
) -> Method:
    """A method whose stages took so long on average; ``changes`` are its fields."""
    found = synthetic_values.measured(durations_ms, name.pattern)
    mean = int(sum(durations_ms.values()) * MS)
    by_owner = owners.of_buckets(found.stages or ())
    shares = {owner: sum(parts.values()) / 100 for owner, parts in by_owner.items()}
    most = max(shares, key=lambda owner: shares[owner])
    longest = max(
        (
            row
            for row in found.stages or ()
            if owners.bucket_of(row.name, row.bucket) in by_owner[most]
        ),
        key=lambda row: row.total_ns,
    )
    made = Method(
        name=name,
        sent=count,
        served=count,
        matched=count,
        latency=Latency(
            count=count,
            mean=mean,
            p50=int(0.8 * mean),
            p90=int(1.6 * mean),
            p99=3 * mean,
            p999=int(4.2 * mean),
            max=int(4.6 * mean),
        ),
        total_ns=count * mean,
        self_ns=count * mean,
        share=share,
        owners=shares,
        stages=found.stages,
        buckets=found.buckets,
        closure=Closure(
            messages=count,
            matched=count,
            within_tolerance=count,
            tolerance="max(50 µs, 1 %)",
            unexplained_share=0.0002,
        ),
        waterfall=found.waterfall,
        distribution={each: int(times * mean) for each, times in _PERCENTILES.items()},
        verdict=verdict(most, longest.name, longest.bucket, shares[most]),
    )
    return dataclasses.replace(made, **changes)


def verdict(owner: str, stage: str, bucket: str, share: float) -> Verdict:
    """A verdict in the usual words."""
    head = f"{100 * share:.0f} % of a message is {owner}, above all {stage}"
    why = f"{stage} took the most of it, in every tenth of the recording"
    return Verdict(
        owner=owner,
        bucket=bucket,
        stage=stage,
        share=share,
        head=head,
        why=why,
        text=f"{head}: {why}",
        evidence=(
            Evidence("shares", f"shares: {owner} {100 * share:.1f} %"),
            Evidence("closure", "closure: all messages matched"),
            Evidence("cpu", "cpu: the process used 0.45 of a core"),
        ),
    )


def _methods() -> tuple[Method, ...]:
    whole = {**_SHORT, **_BACK}
    return (
        method(
            MethodName(pattern="cast", topic="mistral_engine", method="on_action_complete"),
            {**_SHORT, "endpoint": 1240.0},
            300,
            0.412,
            senders=(EXECUTOR,),
            servers=(ENGINE,),
            endpoint_own=0.9,
            endpoint_nested=0.092,
            computing=0.023,
        ),
        method(
            MethodName(pattern="call", topic="mistral_engine", method="start_workflow"),
            {**whole, "endpoint": 380.0},
            500,
            0.287,
            senders=(API, EXECUTOR, REMOTE),
            servers=(ENGINE,),
            sent=505,
            matched=498,
            timed_out=4,
            raised={"WorkflowNotFound": 3},
            unanswered=(
                Unanswered(
                    count=4,
                    last_seen="received",
                    outcome="MessagingTimeout",
                    requests=("req-0a1b2c3d", "req-1b2c3d4e", "req-2c3d4e5f", "req-3d4e5f60"),
                ),
                Unanswered(count=3, last_seen="answered", outcome="WorkflowNotFound"),
            ),
            endpoint_own=0.61,
            endpoint_nested=0.37,
            computing=0.31,
            quantised={"wakeup": Comb(5 * MS, 0.82, "poll")},
        ),
        method(
            MethodName(
                pattern="call",
                topic="conductor",
                namespace="objects_of_the_conductor",
                method="object_class_action_versions_of_the_node",
            ),
            {**whole, "executor_queue": 84.0, "endpoint": 12.0},
            1200,
            0.221,
            senders=(API,),
            servers=(f"{ENGINE} on another-host-of-this-cloud",),
            endpoint_own=0.11,
            computing=0.9,
        ),
    )


def _small_methods() -> tuple[Method, ...]:
    whole = {**_SHORT, **_BACK}
    return (
        method(
            MethodName(pattern="call", topic="keystone_listener", method="validate"),
            {"api": 0.4, "serialize": 0.2, "publish": 0.4, "remote": 24.0, "wakeup": 0.3},
            800,
            0.048,
            served=0,
            senders=(API,),
            servers=(REMOTE,),
            unanswered=(Unanswered(count=1, last_seen="sent", requests=("req-77aa88bb",)),),
        ),
        method(
            MethodName(pattern="notify", topic="versioned_notifications", method="node.power.end"),
            _SHORT,
            260,
            0.019,
            senders=(ENGINE,),
            servers=(API,),
        ),
        method(
            MethodName(pattern="call", topic="conductor", namespace="baseapi", method="ping"),
            whole,
            12,
            0.012,
            senders=(API,),
            servers=(ENGINE,),
            verdict=None,
        ),
        Method(
            name=MethodName(pattern="fanout", topic="scheduler", method="update_service"),
            sent=1,
            senders=(ENGINE,),
            share=0.001,
            self_ns=1,
        ),
    )


def _processes() -> tuple[Process, ...]:
    return (
        Process(
            name=API,
            host="vm",
            pid=4711,
            executor="threading",
            recorded_ns=39 * NS,
            sent=1917,
            served=260,
            cpu_share=0.114,
            threads=21,
            connections=4,
            send_pool=Pool(size=30, mean=1.8, most=4, at_most_share=0.002),
            turning_on_ns=2 * MS,
            arrivals=_KERNEL,
        ),
        Process(
            name=ENGINE,
            host="vm",
            pid=4720,
            executor="threading",
            recorded_ns=39 * NS,
            sent=861,
            served=2012,
            cpu_share=0.873,
            threads=68,
            connections=6,
            executor_pool=Pool(
                size=64,
                mean=61.5,
                most=64,
                at_most_share=0.84,
                advice="all 64 threads were busy for 84 % of the time: raise"
                " executor_thread_pool_size, or make start_workflow faster",
            ),
            send_pool=Pool(size=30, mean=0.4, most=2, at_most_share=0.05),
            turning_on_ns=3 * MS,
            arrivals=_KERNEL,
            overwritten=120,
        ),
        Process(
            name=EXECUTOR,
            host="vm",
            pid=4731,
            executor="eventlet",
            recorded_ns=20 * NS,
            sent=300,
            served=0,
            threads=None,
            connections=3,
            executor_pool=Pool(mean=0.0, most=0),
            arrivals="by the reading process: what waits in the socket counts as AMQP's",
            ended="it was killed",
        ),
    )


def _node(label: str, count: int, begin_ms: int, total_ms: int, *children: Node) -> Node:
    nested = sum(child.total_ns for child in children)
    return Node(
        label=label,
        count=count,
        begin_ns=begin_ms * MS,
        total_ns=total_ms * MS,
        self_ns=total_ms * MS - nested,
        children=children,
    )


def _request(name: str, took_s: float, methods: Mapping[str, int], *tree: Node) -> Request:
    return Request(
        id=name,
        messages=sum(methods.values()),
        duration_ns=int(took_s * NS),
        methods=methods,
        tree=tree,
    )


_COMPLETE = "cast mistral_engine on_action_complete"
_START = "call mistral_engine start_workflow"
_VERSIONS = "call conductor objects_of_the_conductor.object_class_action_versions_of_the_node"
_POWER = "notify versioned_notifications node.power.end"


def _requests() -> Requests:
    typical = _request(
        "req-4d3c2b1a",
        1.64,
        {_START: 1, _VERSIONS: 2, _POWER: 1, _COMPLETE: 3},
        _node(
            _START,
            1,
            0,
            384,
            _node(_VERSIONS, 2, 8, 190, _node(_POWER, 1, 12, 4)),
            _node(_POWER, 1, 300, 4),
        ),
        _node(_COMPLETE, 3, 390, 1250),
    )
    return Requests(
        count=100,
        mean_messages=13.04,
        most_messages=31,
        without=12,
        typical=typical,
        slowest=(
            _request(
                "req-9f8e7d6c",
                12.1,
                {_COMPLETE: 20, _START: 1, "call keystone_listener validate": 6, _POWER: 4},
            ),
            _request("req-8e7d6c5b", 9.04, {_COMPLETE: 13}),
        ),
    )


def result(**changes: Any) -> ServiceResult:
    """A recording of three processes; ``changes`` are its fields."""
    base = ServiceResult(
        recording="rec-1",
        started_at="2026-11-25T20:00:00+00:00",
        duration_ns=39_600 * MS,
        sent=3078,
        served=2272,
        matched=2270,
        closure=Closure(
            messages=3078,
            matched=2270,
            within_tolerance=2268,
            flagged_arrivals=4,
            tolerance="max(50 µs, 1 %)",
            unexplained_share=0.0004,
        ),
        processes=_processes(),
        methods=(*_methods(), *_small_methods()),
        requests=_requests(),
        broker_messages=5102,
        not_seen=(
            "servers of keystone_listener: no recorded process serves it",
            "the network between two hosts: one host was recorded",
        ),
    )
    return dataclasses.replace(base, **changes)
