"""Runs and results that never were, as values: what a test says of one, the rest is usual."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy

import omrig
from omrig.accounting import closure, statistics
from omrig.model.latency import Latency
from omrig.model.overhead import Overhead
from omrig.model.resources import Resources
from omrig.model.result import Clock, Closure, Counts, LittlesLaw, Result, StageRow, Throughput
from omrig.model.run import Environment, RecordedPlan, RecordedTransport, Run
from omrig.model.stages import BY_NAME, STAGES
from omrig.model.stalls import Stall, Stalls
from omrig.model.units import MS, NS
from omrig.model.values import Value

Made = TypeVar("Made", bound=Value)

WORKERS = 100


def run(**changes: Any) -> Run:
    """A run through RabbitMQ that ended well.

    ``changes`` replace its fields; what is a dictionary replaces fields of that part.
    """
    base = Run(
        omrig=omrig.__version__,
        run_id="synthetic",
        plan=RecordedPlan(
            sides=("producer", "consumer"),
            messages=4000,
            size_bytes=10240,
            workers=WORKERS,
            pattern="call",
            executor="threading",
            profile=("stages",),
        ),
        sides=("producer", "consumer"),
        started_at="2026-11-25T20:00:00+00:00",
        started_epoch_seconds=1_795_636_800.0,
        environment=Environment(
            host="vm",
            kernel="6.1",
            cpu_count=2,
            python="3.11.2",
            versions={
                "oslo.messaging": "18.3.1",
                "kombu": "5.7.0",
                "amqp": "5.4.2",
                "eventlet": "0.41.3",
            },
            broker="RabbitMQ",
            broker_version="3.10.8",
        ),
        transport=RecordedTransport(
            url="rabbit://u:***@h:1/",
            source="--transport-url",
            driver="rabbit",
            vhost="/",
            in_memory=False,
            exchange="omrig",
            topic="omrig",
        ),
        pools={"rpc_conn_pool_size": 30, "executor_thread_pool_size": 64},
    )
    parts = {
        name: dataclasses.replace(getattr(base, name), **change)
        if dataclasses.is_dataclass(getattr(base, name)) and isinstance(change, dict)
        else change
        for name, change in changes.items()
    }
    return dataclasses.replace(base, **parts)


def result(**changes: Any) -> Result:
    """A result of which nothing is known but that it is there; ``changes`` are its fields."""
    base = Result(
        complete=True,
        pattern="call",
        executor="threading",
        sides=("producer", "consumer"),
        is_measurement=True,
        messages=Counts(),
    )
    return dataclasses.replace(base, **changes)


def row(name: str, mean_ns: int = 1_000, share: float = 0.0, **changes: Any) -> StageRow:
    """A row of the stage table; ``changes`` are its fields. An unknown stage is a driver's."""
    known = BY_NAME.get(name)
    base = StageRow(
        name=name,
        side=known.side if known else "producer",
        bucket=known.bucket if known else "driver",
        count=1000,
        mean_ns=mean_ns,
        p50_ns=mean_ns,
        p90_ns=mean_ns,
        p99_ns=2 * mean_ns,
        max_ns=3 * mean_ns,
        total_ns=1000 * mean_ns,
        share=share,
    )
    return dataclasses.replace(base, **changes)


def changed(value: Made, **changes: Any) -> Made:
    """``value`` with some keys of its JSON replaced."""
    return type(value).from_json({**value.to_json(), **changes})


def measured(durations_ms: Mapping[str, float], pattern: str = "call", **changes: Any) -> Result:
    """The result of 4,000 messages whose stages took so long on average, in ms by stage.

    What is not of the stages says 100 ms a message. ``changes`` are keys of its JSON.
    """
    # Ten messages as long as asked on average: from half of it to one and a half.
    spread = numpy.linspace(0.5, 1.5, 10)
    stages = {
        stage.name: (durations_ms[stage.name] * MS * spread).astype(numpy.int64)
        for stage in STAGES
        if stage.name in durations_ms
    }
    names = ("mean", "p50", "p90", "p99", "p999", "max")
    base = result(
        pattern=pattern,
        messages=Counts(
            requested=4000, sent=4000, received=4000, replied=4000, lost=0, duplicated=0
        ),
        throughput=Throughput(
            messages_per_second=1000.0, bytes_per_second=1024e4, duration_seconds=4.0
        ),
        latency=Latency(count=4000, **dict.fromkeys(names, 100 * MS)),
        closure=Closure(
            messages=4000,
            matched=4000,
            within_tolerance=3998,
            flagged_arrivals=3,
            tolerance=closure.TOLERANCE,
            unexplained_share=0.000123,
        ),
        clock=Clock(same_host=True),
        not_measured=(),
        littles_law=LittlesLaw(expected_mean_ns=100 * MS, measured_mean_ns=98 * MS, ratio=0.98),
        overhead={"stages": STAGES_COST},
        resources={"producer": used(2.0)},
    )
    rows = statistics.table(stages)
    return changed(
        base,
        **{
            "stages": [row.to_json() for row in rows],
            "buckets": statistics.buckets(rows),
            "waterfall": statistics.waterfall(stages, closure.total(stages)).to_json(),
            **changes,
        },
    )


STAGES_COST = Overhead(
    throughput_ratio=0.951,
    throughput_quartiles=(0.93, 0.97),
    cpu_ratio=1.04,
    cpu_quartiles=(1.02, 1.09),
    pairs=10,
    who="stages",
    method="pairs of slices",
    text="stages slowed the run to 0.95 of its speed [0.93, 0.97]",
)
"""What the stages cost a run that was never made."""


def used(cpu_seconds: float, wall_seconds: float = 10.0) -> Resources:
    """What a process used that took so much of a CPU."""
    return Resources(
        wall_seconds=wall_seconds,
        cpu_user_seconds=cpu_seconds - 0.5,
        cpu_system_seconds=0.5,
        peak_rss_bytes=61 << 20,
        voluntary_context_switches=1234,
        involuntary_context_switches=567,
    )


def stalls(**changes: Any) -> Stalls:
    """One message of a thousand for which the broker took six seconds."""
    stall = Stall(begins_ns=5_100_000_000, ends_ns=11_100_000_000, messages=1)
    base = Stalls(
        messages=1,
        of=1000,
        share=0.4,
        longest_ns=6 * NS,
        stalled_ns=6 * NS,
        stalls=(stall,),
        owner="amqp",
        owner_share=0.998,
        queue_share=0.0,
    )
    return dataclasses.replace(base, **changes)
