"""Experiments without brokers and loads: runs that are made of numbers and lie in real folders."""

import contextlib
import dataclasses
import json
import zlib
from pathlib import Path

import numpy

from omrig.experiment import trials
from omrig.experiment.trials import Configuration, Tools
from omrig.model.plan import SIDES, Plan
from omrig.model.result import Result
from tests.unit import synthetic


class Display:
    def close(self):
        """Nothing was shown."""


class Measured:
    """What measures: writes what a run leaves; ``factors`` are by configuration.

    ``fails`` are (name, run) that come to nothing, ``raises`` what is raised in place of a run.
    """

    def __init__(self, factors=None, noise=0.02, seed=0):
        self.seed = seed
        self.factors = factors or {}
        self.noise = noise
        self.plans = []
        self.said = []
        self.fails = set()
        self.raises = {}
        self.duets = []

    @property
    def tools(self):
        return Tools(self, lambda _messages: Display(), self.said.append, self.at_once, Display)

    @property
    def order(self):
        return ["/".join(Path(plan.output.folder).parts[-2:]) for plan in self.plans]

    def at_once(self, plans, display, interrupts, brokers):
        self.duets.append(len(self.plans))
        return [
            self(plan, display, interrupts, each) for plan, each in zip(plans, brokers, strict=True)
        ]

    def __call__(self, plan, _display, _interrupts, _broker):
        folder = Path(plan.output.folder)
        run = "/".join(folder.parts[-2:])
        self.plans.append(plan)
        about = synthetic.run(len(self.plans))
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(about))
        if run in self.raises:
            raise self.raises.pop(run)
        changes = dict(self.factors.get(folder.parent.name, {}))
        # By the run and not by its turn: that is drawn by lot.
        rng = numpy.random.default_rng((self.seed, zlib.crc32(run.encode())))
        outcome = synthetic.result(rng, self.noise, **changes)
        if run in self.fails:
            self.fails.discard(run)
            outcome |= {"complete": False, "reason": "the consumer died"}
        (folder / "result.json").write_text(json.dumps(outcome))
        return folder, Result.from_json(outcome)


def configuration(name, *arguments):
    return Configuration(name, arguments, Plan(sides=SIDES, run_id="r"))


@contextlib.contextmanager
def opened(folder, measured, **more):
    """Trials that need no broker: their plans name a transport."""
    with trials.opened(folder, [], measured.tools, **more) as found:
        yield found


def named(name, *arguments):
    made = configuration(name, *arguments)
    plan = made.plan.with_transport(url="rabbit://elsewhere/")
    return dataclasses.replace(made, plan=plan)
