"""A stage map as a value: which functions delimit which stage, and whether they are installed."""

import dataclasses

from omrig.model.actions import Action
from omrig.model.stages import STAGES

INSTALLED, MISSING, OTHER_VERSION = "installed", "missing", "not for this version"
"""What becomes of a probe here: its function is there, it is not, or it is not for this version."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """One function, ``module:qualified.name``, and what is done there."""

    action: Action
    function: str
    package: str
    versions: str = ""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that cannot be told without it: those that need a column of its action."""
        columns = set(self.action.columns)
        return tuple(stage.name for stage in STAGES if columns & set(stage.needs))


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
