"""Stage maps as a service reads them: checked where ``omrig exec`` was typed, and plain JSON.

A service has neither omrig's maps nor what reads TOML in its way.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from omrig.measured.attached import files
from omrig.model.actions import Action
from omrig.model.stage_map import Probe, StageMap

NAME = "maps.json"
"""The file in the folder of a service's recordings."""

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What a service has to know of the instrument: the ``maps`` of its driver, and the ``library``
    that changes code objects: the folder of omrig's own copy."""

    maps: Sequence[StageMap]
    library: str

    def write(self, folder: str) -> None:
        """Write it into ``folder``, whole. Raises ``OSError``."""
        maps = [dataclasses.asdict(each) | {"probes": _probes(each)} for each in self.maps]
        value = {"schema": SCHEMA, "library": self.library, "maps": maps}
        files.replace(folder, NAME, json.dumps(value, indent=1))


def read(folder: str) -> Resolved:
    """What ``omrig exec`` wrote into ``folder``.

    Raises ``OSError`` where it cannot be read, ``ValueError`` for what this omrig does not read.
    """
    value = json.loads(files.read(f"{folder}/{NAME}"))
    if value.get("schema") != SCHEMA:
        raise ValueError(f"{folder}/{NAME} is of schema {value.get('schema')}, not {SCHEMA}")
    return Resolved([_map(each) for each in value["maps"]], value["library"])


def _probes(stage_map: StageMap) -> list[dict[str, Any]]:
    return [
        {
            "function": probe.function,
            "package": probe.package,
            "versions": probe.versions,
            "action": probe.action.name,
            "says": dict(probe.action.says),
        }
        for probe in stage_map.probes
    ]


def _map(value: dict[str, Any]) -> StageMap:
    probes = [
        Probe(
            action=Action(each["action"], _tuples(each["says"])),
            function=each["function"],
            package=each["package"],
            versions=each["versions"],
        )
        for each in value["probes"]
    ]
    return StageMap(**_tuples(value) | {"probes": tuple(probes)})


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in value.items()}
