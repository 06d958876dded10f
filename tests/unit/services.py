"""Recordings of services made of numbers, as values."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from omrig.model.latency import Latency
from omrig.model.result import Closure, StageRow
from omrig.model.service import Method, MethodName, Pool, Process, ServiceResult
from omrig.model.units import MS, NS


def row(name: str, mean_ns: float, count: int = 100, bucket: str = "endpoint") -> StageRow:
    mean = int(mean_ns)
    return StageRow(
        name=name, side="consumer", bucket=bucket, count=count, mean_ns=mean, p50_ns=mean,
        p90_ns=mean, p99_ns=mean, max_ns=mean, total_ns=mean * count, share=0.5,
    )  # fmt: skip


def method(
    name: str = "ping",
    pattern: str = "call",
    count: int = 100,
    mean_ms: float = 10.0,
    endpoint_ms: float | None = None,
    **changes: Any,
) -> Method:
    mean = int(mean_ms * MS)
    inside = mean_ms if endpoint_ms is None else endpoint_ms
    made = Method(
        name=MethodName(pattern=pattern, exchange="nova", topic="conductor", method=name),
        senders=("api",),
        servers=("conductor",),
        sent=count,
        served=count,
        matched=count,
        latency=Latency(
            count=count, mean=mean, p50=mean, p90=mean, p99=2 * mean, p999=2 * mean, max=2 * mean
        ),
        total_ns=mean * count,
        self_ns=mean * count,
        owners={"endpoint": inside / mean_ms},
        endpoint_own=inside / mean_ms,
        endpoint_nested=0.0,
        computing=0.25,
        stages=(row("endpoint", inside * MS, count),),
    )
    return dataclasses.replace(made, **changes)


def process(name: str, **changes: Any) -> Process:
    made = Process(
        name=name, host="vm", pid=1, executor="threading", sent=100, served=100,
        versions={"oslo.messaging": "18.3.1"}, executor_pool=Pool(size=64),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def result(*methods: Method, seconds: float = 20, **changes: Any) -> ServiceResult:
    made = ServiceResult(
        recording="rec-1",
        started_at="2026-11-25T20:00:00+00:00",
        duration_ns=int(seconds * NS),
        closure=Closure(messages=0),
        processes=(process("api"), process("conductor")),
        methods=methods or (method(),),
    )
    return dataclasses.replace(made, **changes)


def written(folder: Path, made: ServiceResult) -> Path:
    """The folder of a recording with this result."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(made.to_json()))
    return folder
