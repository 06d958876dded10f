"""Sweeps made of numbers: a closed loop whose executor threads are few, with a known knee."""

import numpy

from omrig.experiment import sequential, sweeping
from omrig.experiment.factors import factor
from omrig.experiment.standing import Rule
from omrig.experiment.sweeping import Measured

BUCKETS = {
    "amqp_request": "amqp",
    "receive_lag": "scheduler",
    "executor_queue": "executor",
    "endpoint": "endpoint",
}

LEVELS = (1, 2, 4, 8, 16, 32)

LOAD = "calls of 10.0 KiB, a closed loop in which at most 20 messages are under way at once"


def figures(rng, level=8, *, knee=8, noise=0.01, factor=1.0, lag_ns=2e6, workers=20):
    """A run's figures: below ``knee`` threads messages queue, above it nothing changes.

    ``lag_ns`` is what the hub takes, by level where it is a function.
    """
    whole = 20e6 / min(1.0, level / knee)
    lag = lag_ns(level) if callable(lag_ns) else lag_ns
    stages = {"amqp_request": 1e6, "receive_lag": lag, "endpoint": 5e6}
    stages["executor_queue"] = max(0.05e6, whole - 8e6)
    factor *= float(numpy.exp(rng.normal(0, noise)))
    stages = {name: value * factor for name, value in stages.items()}
    whole = sum(stages.values())
    found = {f"stage.{name}": value for name, value in stages.items()}
    found |= {"stages": whole, "mean": whole, "throughput": workers * 1e9 / whole}
    found |= {name: whole * part * float(numpy.exp(rng.normal(0, noise)))
              for name, part in (("p50", 0.9), ("p99", 2.0))}  # fmt: skip
    return found | {"cpu": 1e6 * float(numpy.exp(rng.normal(0, noise)))}


def measured(rng, rounds=8, levels=LEVELS, **more):
    """Points of one factor, in rounds that differ by 10 %."""
    drift = numpy.exp(rng.normal(0, 0.1, rounds))
    return [
        Measured(
            str(level),
            (str(level),),
            {at: figures(rng, level, factor=drift[at], **more) for at in range(rounds)},
        )
        for level in levels
    ]


def sweep(points, *, default=None, margin=0.05, looks=None, metric="throughput", name="threads"):
    """What is found of ``points`` of one factor."""
    levels = [each.levels[0] for each in points]
    looks = looks or (len(sweeping.common(points)),)
    of = factor(name, "--set", levels, default)
    return sweeping.found([of], points, BUCKETS, Rule(metric, margin, looks), LOAD)


def until_decided(rng, rounds=40, **more):
    """A sweep that is looked at as it goes on, until it is decided."""
    points = measured(rng, rounds, **more)
    for look in (each for each in sequential.LOOKS if each <= rounds):
        seen = [
            Measured(each.name, each.levels, {at: each.runs[at] for at in range(look)})
            for each in points
        ]
        found = sweep(seen, looks=sequential.LOOKS)
        if found.decided:
            break
    return found
