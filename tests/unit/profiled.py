"""Run folders with what profilers left of functions, made of numbers."""

import json

import numpy

from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile
from omrig.model.functions import Function, Functions, file_of
from tests.unit import synthetic

MODULE = "oslo_messaging._drivers.common"

MESSAGES = 2000

OWN_US = {
    "serialize_msg": 40,
    "dumps": 150,
    "Connection._publish": 90,
    "poll": 300,
    "rare": 0.2,
} | {f"helper_{number}": 5 + 3 * number for number in range(40)}
"""What each function takes of a message."""

STAGES = {"serialize_msg": "serialize", "dumps": "serialize"}


def functions(own_us, mode="yappi", calls=None, root="/env/lib/site-packages", line=10):
    """A process in which functions took so long of each message."""
    made = []
    for number, (name, each_us) in enumerate(own_us.items()):
        own = round(each_us * 1000 * MESSAGES) if mode == "yappi" else round(each_us)
        called = (calls or {}).get(name, 1) * MESSAGES
        made.append(
            Function(
                module=MODULE,
                name=name,
                own=own,
                calls=called if mode == "yappi" else None,
                made=called if mode == "yappi" else None,
                stages={STAGES.get(name, ""): own},
                file=f"{root}/oslo_messaging/_drivers/common.py",
                line=line + 10 * number,
            )
        )
    unit = "nanoseconds" if mode == "yappi" else "samples"
    return Functions(unit=unit, clock="cpu", functions=tuple(made))


def noisy(rng, own_us, speed=1.0, noise=0.01):
    """The same in another run of a machine that is ``speed`` times as slow."""
    return {
        name: each * speed * float(numpy.exp(rng.normal(0, noise))) for name, each in own_us.items()
    }


def sampled(rng, own_us, speed=1.0, period_us=10_000):
    """How often a sampler found each on top, of all messages."""
    return {
        name: int(rng.poisson(each * speed * MESSAGES / period_us)) for name, each in own_us.items()
    }


def save(folder, made, number, mode="yappi", outcome=None):
    """A run folder of both sides with the functions and stacks of each."""
    outcome = outcome or synthetic.result()
    outcome["profiles"] = {side: {mode: {"rate_hz": 100}} for side in made}
    if mode == "yappi":
        outcome["distortion"] = {
            mode: {"throughput_ratio": 0.4, "cpu_ratio": 3.5, "pairs": 5, "method": "slices"}
        }
    synthetic.save(folder, outcome, started_s=float(number))
    for side, found in made.items():
        (folder / side).mkdir(exist_ok=True)
        (folder / side / file_of(mode)).write_text(json.dumps(found.to_json()))
        frames = [
            ((Frame(side), Frame("worker"), Frame(each.name, each.file, each.line)), each.own)
            for each in found.functions
            if each.own
        ]
        with (folder / side / f"{mode}.speedscope.json").open("w") as file:
            stacks.write_speedscope(file, side, [Profile(side, "nanoseconds", frames)])
    return folder


def save_pairs(folder, rng, added_us=None, count=5, drift=0.3, changes=None, **more):
    """Interleaved runs; the producer of NEW takes ``added_us`` more in functions."""
    for number in range(count):
        speed = float(numpy.exp(rng.normal(0, drift)))
        for at, side in enumerate(("base", "new")):
            producer = noisy(rng, OWN_US, speed)
            if at:
                for name, more_us in (added_us or {}).items():
                    producer[name] = producer.get(name, 0.0) + more_us * speed
            made = {
                "producer": functions(producer, **(more if at else {})),
                "consumer": functions(noisy(rng, OWN_US, speed)),
            }
            outcome = synthetic.result(rng, 0.005, changes=changes if at else None)
            save(folder / side / f"{number}", made, 2 * number + at, outcome=outcome)
    return folder
