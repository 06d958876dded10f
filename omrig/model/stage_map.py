"""A stage map as a value: which functions delimit which stage, and whether they are installed."""

import dataclasses

INSTALLED, MISSING, OTHER_VERSION = "installed", "missing", "not for this version"
"""What becomes of a probe here: its function is there, it is not, or it is not for this version."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """One function to be wrapped: ``module:qualified.name``, and the stages that need it."""

    kind: str
    function: str
    stages: tuple[str, ...]
    package: str
    versions: str = ""


@dataclasses.dataclass(frozen=True)
class StageMap:
    """A validated stage map; ``broker`` is empty where it is not the map of a driver."""

    name: str
    title: str
    package: str
    schemes: tuple[str, ...]
    patterns: tuple[str, ...]
    broker: str
    requires: tuple[str, ...]
    modules: tuple[str, ...]
    probes: tuple[Probe, ...]


@dataclasses.dataclass(frozen=True)
class Installed:
    """A stage map beside what is installed: the package's ``version``, and a state a probe."""

    stage_map: StageMap
    version: str
    states: tuple[str, ...]
