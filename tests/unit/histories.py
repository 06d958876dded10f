"""Folders of runs of one version after the other, with changes planted at known versions."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy

from tests.unit import synthetic

VERSIONS = ("14.6.0", "14.7.0", "14.8.0", "14.10.0", "15.0.0", "16.0.0", "17.0.0", "18.0.0")
"""Ascending, which as texts they are not."""


def save(
    folder: Path,
    versions=VERSIONS,
    rounds=3,
    changes: Mapping[str, Mapping[str, float]] | None = None,
    seed=7,
    begin_s=0.0,
    name="{version}",
    **about,
) -> Path:
    """Runs of each version in rounds; ``changes`` adds, from that version on, ns to stages."""
    rng = numpy.random.default_rng(seed)
    started_s = begin_s
    for number in range(1, rounds + 1):
        for at in rng.permutation(len(versions)):
            version = versions[at]
            added: dict[str, float] = {}
            for since, stages in (changes or {}).items():
                if at >= versions.index(since):
                    added = {**added, **stages}
            outcome = synthetic.result(rng, 0.01, changes=added)
            put(folder / name.format(version=version) / f"{number:02}", version, outcome,
                started_s=started_s, **about)  # fmt: skip
            started_s += 10
    return folder


def put(folder: Path, version: str, outcome, started_s=0.0, package="oslo.messaging", **about):
    """A run with a version of a package."""
    synthetic.save(folder, outcome, started_s=started_s, **about)
    path = folder / "run.json"
    content = json.loads(path.read_text())
    content["environment"][package] = version
    path.write_text(json.dumps(content))
    return folder
