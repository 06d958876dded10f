#!/usr/bin/env python
"""Run folders of messages that never were, of any size, to try what reads run folders.

The folder is as omrig writes it: every figure of ``result.json`` follows from its
``messages.npz``. Usage: tools/synthetic.py -m 1000000 FOLDER
"""

import argparse
import csv
import dataclasses
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from synthetic_values import STAGES_COST, WORKERS, changed, result, run, used

from omrig.accounting import closure, statistics
from omrig.accounting.verdict import decision
from omrig.model.columns import Integers
from omrig.model.facts import Facts
from omrig.model.result import Artefact, Clock, Closure, Counts, Result
from omrig.model.run import Run
from omrig.model.stages import STAGES
from omrig.model.transport import AMQP
from omrig.model.units import MS, NS
from omrig.recordings import environment, series, writer
from omrig.recordings import folder as run_folder
from omrig.watcher import layout

BEGAN_NS = 5_000 * NS
"""CLOCK_MONOTONIC at the first send."""

PRODUCER_ID = "0123456789abcdef"
SAMPLES_A_NS = 10

MEDIANS_MS: Mapping[str, float] = {
    "pool_wait": 0.01,
    "publish": 0.3,
    "amqp_request": 1.2,
    "receive_lag": 20,
    "executor_queue": 8,
    "dispatch": 0.1,
    "amqp_reply": 1.1,
    "reply_receive_lag": 24,
    "wakeup": 6,
}
"""Median durations; of a stage that is not named :data:`MEDIAN_MS`."""

MEDIAN_MS = 0.03
NEVER = frozenset({"connect", "reply_connect", "socket_wait", "reply_socket_wait", "confirm_wait"})
"""Stages that take no time in most runs."""

ONE_SIDED = {
    "producer": lambda stage: stage.side == "producer" or stage.mixed,
    "consumer": lambda stage: stage.side == "consumer",
}


def write(
    folder: Path,
    messages: int,
    *,
    sides: Sequence[str] = ("producer", "consumer"),
    pattern: str = "call",
    staged: bool = True,
    failed: int = 0,
    seed: int = 1,
) -> None:
    """Write a run of so many messages of which ``failed`` never ended, with stages or without."""
    generator = numpy.random.default_rng(seed)
    stages = _stages(generator, messages, sides, pattern)
    starts, ends = _times(stages, pattern)
    failures = generator.choice(messages, failed, replace=False)
    ends[failures] = 0
    ended = numpy.flatnonzero(ends)
    rows = ended[numpy.argsort(ends[ended])]
    kept = {name: values[rows] for name, values in stages.items()} if staged and len(rows) else {}
    for side in sides:
        (folder / side).mkdir(parents=True)
    about = _run(sides, pattern, messages, staged)
    outcome = _result(about, kept, starts, ends)
    if "producer" in sides:
        columns = {"start_ns": starts, "end_ns": ends}
        _save(folder / "producer", columns | ({"seq": rows} if staged else {}), kept)
    if "consumer" in sides:
        columns = {f"received_ns.{PRODUCER_ID}": ends}
        _save(folder / "consumer", columns, {} if "producer" in sides else kept)
    for side in sides:
        _write_side(folder / side, side, outcome, staged)
    _write_samples(folder, sides, int(ends.max()))
    writer.write_json(folder / run_folder.RUN, about.to_json())
    writer.write_json(folder / run_folder.RESULT, outcome.to_json())


def _stages(
    generator: numpy.random.Generator, messages: int, sides: Sequence[str], pattern: str
) -> dict[str, Integers]:
    wanted = ONE_SIDED[sides[0]] if len(sides) == 1 else lambda stage: not stage.mixed
    stages = {}
    for stage in STAGES:
        is_reply = stage.name.startswith("reply_") or stage.name in ("amqp_reply", "remote")
        if not wanted(stage) or (is_reply and pattern != "call"):
            continue
        median = 0 if stage.name in NEVER else MEDIANS_MS.get(stage.name, MEDIAN_MS)
        values = median * MS * generator.lognormal(0, 0.5, messages)
        stages[stage.name] = values.astype(numpy.int64)
    # A tail: what the percentiles and the slowest messages are for.
    slow = generator.random(messages) < 0.005
    for name in ("receive_lag", "publish"):
        if name in stages:
            stages[name][slow] *= 8
    return stages


def _times(stages: Mapping[str, Integers], pattern: str) -> tuple[Integers, Integers]:
    """When each message began and ended: workers in a closed loop, numbers as they were sent."""
    mine = {
        stage.name: stages[stage.name]
        for stage in STAGES
        if stage.name in stages and (pattern == "call" or stage.side == "producer")
    }
    whole = closure.total(mine or dict(stages))
    starts = numpy.empty_like(whole)
    for worker in range(WORKERS):
        took = whole[worker::WORKERS]
        starts[worker::WORKERS] = BEGAN_NS + worker * 10_000 + numpy.cumsum(took) - took
    order = numpy.argsort(starts, kind="stable")
    for values in stages.values():
        values[:] = values[order]
    return starts[order], (starts + whole)[order]


def _run(sides: Sequence[str], pattern: str, messages: int, staged: bool) -> Run:
    now = datetime.datetime.now(datetime.UTC)
    here = dataclasses.replace(
        environment.describe(AMQP), broker="RabbitMQ", broker_version="3.10.8"
    )
    return run(
        plan={
            "sides": tuple(sides),
            "messages": messages,
            "pattern": pattern,
            "profile": ("stages" if staged else "none",),
        },
        sides=tuple(sides),
        started_at=now.isoformat(timespec="seconds"),
        started_epoch_seconds=now.timestamp(),
        environment=here,
        options={"[oslo_messaging_rabbit] rabbit_qos_prefetch_count": 10},
    )


def _result(run: Run, stages: Mapping[str, Integers], starts: Integers, ends: Integers) -> Result:
    sides, done = run.sides, ends > 0
    taken, failed = (ends - starts)[done], int((~done).sum())
    found = result(
        complete=not failed,
        reason=f"{failed} of {len(ends)} messages failed: MessagingTimeout" if failed else None,
        pattern=run.plan.pattern,
        sides=sides,
        messages=Counts(
            requested=len(ends),
            sent=len(ends) if "producer" in sides else None,
            received=len(ends) if "consumer" in sides else None,
            replied=int(done.sum()) if "producer" in sides and run.plan.pattern == "call" else None,
            lost=0 if len(sides) == 2 else None,
            duplicated=0 if "consumer" in sides else None,
            errors={"MessagingTimeout": failed} if failed else {},
        ),
        overhead={"stages": STAGES_COST} if stages else {},
        resources={side: used(5.75) for side in sides},
        profiles={side: {} for side in sides},
        artefacts=tuple(
            Artefact(
                path=f"{side}/messages.npz",
                kind="message times",
                side=side,
                open_with="numpy.load",
            )
            for side in sides
        ),
    )
    summary = statistics.summary(taken)
    found = changed(
        found,
        throughput=_throughput(run, starts, ends[done]),
        latency=summary.to_json() if summary and "producer" in sides else None,
    )
    return _staged(found, stages) if stages else found


def _throughput(run: Run, starts: Integers, ends: Integers) -> dict[str, Any] | None:
    if not len(ends):
        return None
    began = starts.min() if "producer" in run.sides else ends.min()
    lasted = int(ends.max() - began) / NS
    counted = len(ends) - ("producer" not in run.sides)
    counts = numpy.bincount((ends - began) // NS)
    return {
        "messages_per_second": counted / lasted,
        "bytes_per_second": counted / lasted * run.plan.size_bytes,
        "duration_seconds": lasted,
        "series": [
            {"t_seconds": second, "messages": count} for second, count in enumerate(counts.tolist())
        ],
    }


def _staged(found: Result, stages: Mapping[str, Integers]) -> Result:
    rows = statistics.table(dict(stages))
    whole = closure.total(dict(stages))
    both = len(found.sides) == 2
    balance = Closure(
        messages=len(whole),
        matched=len(whole) if both else None,
        within_tolerance=len(whole) if both else None,
        tolerance=closure.TOLERANCE,
        unexplained_share=0.0 if both else None,
    )
    staged = changed(
        found,
        stages=[row.to_json() for row in rows],
        buckets=statistics.buckets(rows),
        waterfall=statistics.waterfall(dict(stages), whole).to_json(),
        closure=balance.to_json(),
        clock=Clock(same_host=True).to_json() if both else None,
        not_measured=[],
    )
    facts = Facts(workers=WORKERS, cpu_share={"producer": 0.6, "consumer": 0.6})
    return dataclasses.replace(staged, verdict=decision.decide(staged, facts))


def _save(
    folder: Path,
    columns: Mapping[str, Integers],
    stages: Mapping[str, Integers],
) -> None:
    named = {f"stage.{name}": values for name, values in stages.items()}
    with (folder / "messages.npz").open("wb") as file:
        numpy.savez(file, **columns, **named)  # type: ignore[arg-type] # allow_pickle is not among them


def _write_side(folder: Path, side: str, result: Result, staged: bool) -> None:
    length = int(result.throughput.duration_seconds * NS) if result.throughput else 0
    about = {"side": side, "boot_id": "same", "producer_id": PRODUCER_ID, "slices": []}
    writer.write_json(folder / "side.json", about)
    if not staged:
        return
    blocked = [[BEGAN_NS + length // 4, "low on memory"], [BEGAN_NS + length // 3, ""]]
    writer.write_json(
        folder / "stages.json",
        {
            "realtime_offsets": [[BEGAN_NS, 0], [BEGAN_NS + length, 0]],
            "blocked": blocked if side == "producer" else [],
        },
    )
    # The second connection is lost half-way, the third made for it.
    lives = ((-0.1, 1.0), (-0.1, 0.5), (0.52, 1.0))
    rows = []
    for number, life in enumerate(lives, start=1):
        for part in life:
            row = dict.fromkeys(layout.TCP_INFO_COLUMNS, 0)
            row |= {"connection": number, "t_ns": BEGAN_NS + int(part * length), "info_bytes": 500}
            rows.append(list(row.values()))
    numpy.array(rows, "<u8").tofile(folder / layout.TCP_INFO)


def _write_samples(folder: Path, sides: Sequence[str], ended_ns: int) -> None:
    step = NS // SAMPLES_A_NS
    times = range(BEGAN_NS - NS, max(BEGAN_NS, ended_ns) + NS, step)
    for name in (*sides, series.BROKER):
        (folder / name).mkdir(exist_ok=True)
        with (folder / name / series.PROCESS).open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(series.PROCESS_COLUMNS)
            for number, at in enumerate(times):
                used = f"{0.5 * number / SAMPLES_A_NS:.4f}"
                row = {"monotonic_ns": at, "cpu_user_seconds": used, "cpu_system_seconds": "0"}
                row["rss_bytes"] = (60 + number % 3) << 20
                table.writerow([row.get(column, "") for column in series.PROCESS_COLUMNS])


def main() -> int:
    """Write the folder that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("-m", "--message_count", type=int, default=10_000, metavar="N")
    options = parser.parse_args()
    write(options.folder, options.message_count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
