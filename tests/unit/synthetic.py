"""Runs made of numbers: what a comparison reads, with known differences planted."""

import dataclasses
import json
from pathlib import Path

import numpy

from omrig.compare import comparison, gates, runs
from omrig.compare.runs import Messages, RunSet, StoredRun
from omrig.model.result import Result
from omrig.model.run import Run
from tools import synthetic_values as builder

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m&"

STAGES = {
    "api": ("producer", "driver", 30_000),
    "serialize": ("producer", "serialization", 100_000),
    "publish": ("producer", "driver", 200_000),
    "amqp_request": ("wire", "amqp", 400_000),
    "receive_lag": ("consumer", "scheduler", 300_000),
    "decode": ("consumer", "driver", 150_000),
    "endpoint": ("consumer", "endpoint", 10_000),
    "wakeup": ("producer", "scheduler", 250_000),
}
"""Side, bucket and mean in ns."""


def result(rng=None, noise=0.02, changes=None, factor=1.0, cpu=1.0, sides=("producer", "consumer")):
    """A result whose runs differ by ``noise``; ``changes`` adds ns to stages."""
    rng = rng or numpy.random.default_rng(0)
    run_factor = factor * float(numpy.exp(rng.normal(0, noise)))

    def vary(value):
        return value * float(numpy.exp(rng.normal(0, noise)))

    rows = []
    for name, (side, bucket, mean_ns) in STAGES.items():
        mean = vary(mean_ns * run_factor) + (changes or {}).get(name, 0)
        row = builder.row(
            name, mean, 0.1, side=side, bucket=bucket, count=2000, p50_ns=0.8 * mean,
            p90_ns=1.5 * mean, p99_ns=3 * mean, max_ns=9 * mean, total_ns=2000 * mean,
        )  # fmt: skip
        rows.append(row.to_json())
    whole = sum(row["mean_ns"] for row in rows)
    usage = {
        "cpu_user_seconds": vary(cpu * 1.0), "cpu_system_seconds": vary(cpu * 0.2),
        "peak_rss_bytes": vary(55e6), "wall_seconds": 3.0,
    }  # fmt: skip
    made = builder.changed(
        builder.result(sides=sides, executor="eventlet"),
        messages={"requested": 2000, "received": 2000},
        throughput={"messages_per_second": 1e9 / whole},
        latency={
            "count": 2000, "mean": whole, "p50": vary(0.9 * whole), "p90": vary(1.3 * whole),
            "p99": vary(2 * whole), "p999": vary(4 * whole), "max": vary(6 * whole),
        },
        stages=rows,
        resources={side: dict(usage) for side in sides},
    )  # fmt: skip
    return made.to_json()


PARTS = {
    "plan": (
        "messages",
        "workers",
        "producers",
        "consumers",
        "pattern",
        "executor",
        "profile",
        "size_bytes",
        "sizes",
        "mix",
    ),
    "environment": ("host", "kernel", "cpu_count", "python", "broker", "broker_version"),
    "transport": ("url", "source", "vhost", "tls", "driver", "in_memory"),
}


def run(started_s=0.0, **changes):
    """A ``run.json``; ``changes`` replace parts of plan, environment and transport by name."""
    parts = {
        part: {name: changes[name] for name in names if name in changes}
        for part, names in PARTS.items()
    }
    parts["plan"] = {
        "run_id": f"id-{started_s}", "messages": 2000, "workers": 1, "executor": "eventlet",
        **parts["plan"],
    }  # fmt: skip
    made = builder.run(
        started_at=f"at {started_s}",
        started_epoch_seconds=float(started_s),
        options=changes.get("options", {}),
        **parts,
    )
    return made.to_json()


def stored(started_s=0.0, outcome=None, **changes):
    about = Run.from_json(run(started_s, **changes))
    return StoredRun(Path(f"/r/{started_s:g}"), about, Result.from_json(outcome or result()))


def altered(runs, change):
    """The same runs once ``change`` was made in the ``result.json`` of each."""
    found = []
    for each in runs.runs:
        outcome = each.result.to_json()
        change(outcome)
        found.append(dataclasses.replace(each, result=Result.from_json(outcome)))
    return dataclasses.replace(runs, runs=tuple(found))


def first_altered(runs, change):
    """The same runs once ``change`` was made in the ``result.json`` of the first one."""
    (first,) = altered(RunSet(runs.runs[:1]), change).runs
    return dataclasses.replace(runs, runs=(first, *runs.runs[1:]))


def pairs(count, rng, base=None, new=None, noise=0.02, drift=0.0, **changes):
    """Interleaved runs; ``base`` and ``new`` are further arguments of :func:`result`.

    ``drift`` is by how much the machine differs from pair to pair.
    """
    sides = ([], [])
    for number in range(count):
        factor = float(numpy.exp(rng.normal(0, drift)))
        for which, more in enumerate((base or {}, new or {})):
            outcome = result(rng, noise, **{"factor": factor, **more})
            position = which if number % 2 == 0 else 1 - which
            sides[which].append(stored(2 * number + position, outcome, **changes))
    return RunSet(tuple(sides[0])), RunSet(tuple(sides[1]))


def messages(rng, count=2000, level=1.0, drift=0.1, slices=20):
    """Messages of a run whose speed drifts from slice to slice."""
    speed = level * numpy.exp(rng.normal(0, drift, slices)).repeat(count // slices)
    latency = (1_500_000 * speed * numpy.exp(rng.normal(0, 0.2, count))).astype(numpy.int64)
    ended = 1_000_000 + numpy.cumsum(latency)
    stages = {
        name: (latency * mean_ns / 1_440_000).astype(numpy.int64)
        for name, (_, _, mean_ns) in STAGES.items()
    }
    return Messages(1_000_000, ended, latency, stages, {})


def result_of(recorded):
    """The result that belongs to the messages of a run."""
    outcome = result()
    latency = recorded.latency_ns
    outcome["throughput"] = {
        "messages_per_second": len(latency) / (recorded.ended_ns[-1] - recorded.began_ns) * 1e9
    }
    outcome["latency"] = {
        "count": len(latency), "mean": int(latency.mean()), "max": int(latency.max()),
        **{n: int(numpy.percentile(latency, q)) for n, q in
           (("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9))},
    }  # fmt: skip
    for row in outcome["stages"]:
        values = recorded.stages[row["name"]]
        row |= {"mean_ns": int(values.mean()), "p50_ns": int(numpy.median(values))}
    return outcome


def save(folder, outcome, recorded=None, started_s=0.0, **changes):
    """A run folder as a run leaves it."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run(started_s, **changes)))
    (folder / "result.json").write_text(json.dumps(outcome))
    if recorded:
        count = len(recorded.latency_ns)
        begins = recorded.ended_ns - recorded.latency_ns
        # By sequence number, which is not the order in which they ended.
        order = numpy.random.default_rng(1).permutation(count)
        for side in ("producer", "consumer"):
            (folder / side).mkdir()
            about = {"side": side, "producer_id": "x", "boot_id": "b"}
            (folder / side / "side.json").write_text(json.dumps(about))
        columns = {f"stage.{name}": values[order] for name, values in recorded.stages.items()}
        numpy.savez(
            folder / "producer" / "messages.npz",
            start_ns=begins[order],
            end_ns=recorded.ended_ns[order],
            seq=numpy.arange(count),
            **columns,
        )
        numpy.savez(folder / "consumer" / "messages.npz", **{"received_ns.x": begins[order] + 1})
    return folder


def save_pairs(folder):
    """Five pairs, in which serializing takes 60 us more on the new side."""
    rng = numpy.random.default_rng(2)
    sides = pairs(5, rng, new={"changes": {"serialize": 60_000}}, noise=0.005)
    for name, side in zip(("base", "new"), sides, strict=True):
        for each in side.runs:
            save(folder / name / each.folder.name, each.result.to_json(), started_s=each.started_s)
    return folder


def save_single(folder):
    """A run each, with recordings, the new one twice as slow."""
    rng = numpy.random.default_rng(1)
    for number, (name, level) in enumerate((("base", 1.0), ("new", 2.0))):
        recorded = messages(rng, level=level, drift=0.03)
        save(folder / name, result_of(recorded), recorded, started_s=number)
    return folder


def save_hostile(folder):
    """Three pairs whose stages and hosts have the worst of names."""
    for number, name in enumerate(("base", "new")):
        outcome = result()
        outcome["stages"][0]["name"] = HOSTILE
        for each in range(3):
            started_s = 2 * each + number
            save(folder / name / f"{each}", outcome, started_s=started_s, host=HOSTILE + name)
    return folder


def compared(folder, *texts):
    """The comparison of the saved runs, with the gates ``texts``."""
    base, new = (runs.read(str(folder / name), name) for name in ("base", "new"))
    return comparison.compare(base, new, [gates.parse(text) for text in texts])
