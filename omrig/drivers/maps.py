"""Stage maps: which functions of a driver, an executor or a library delimit which stage.

A map is a TOML file::

    schema = 2
    name = "impl_rabbit"
    title = "oslo.messaging's RabbitMQ driver"
    package = "oslo.messaging"              # the distribution whose version counts
    schemes = ["rabbit"]                    # optional: transport URLs for which it is used
    patterns = ["call", "cast"]             # with schemes: what the driver carries
    broker = "amqp"                         # with schemes: what is behind it, or "memory"
    requires = ["amqpdriver", "executor"]   # optional: maps that are used with it
    modules = ["oslo_messaging._drivers.impl_rabbit"]   # what line profilers look at

    [[probe]]
    kind = "delivery"                       # what is stamped: one of omrig.model.kinds
    function = "oslo_messaging._drivers.impl_rabbit:Consumer._callback"
    stages = ["receive_lag", "decode"]      # the stages that cannot be told without it
    versions = ">=12"                       # optional: versions of the package that have it

A file of schema 1 has neither ``patterns`` nor ``broker``: a driver it is for has to be known
otherwise.
"""

import dataclasses
import importlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from omrig.model.errors import UsageError, naming
from omrig.model.kinds import KINDS
from omrig.model.stage_map import INSTALLED, MISSING, OTHER_VERSION, Installed, Probe, StageMap
from omrig.model.stages import BY_NAME
from omrig.model.transport import BROKERS

SCHEMA = 2

PATTERNS = ("call", "cast", "fanout", "notify")
"""What a driver of oslo.messaging may carry."""

PACKAGE = "omrig.profiles"

_MAP_KEYS = {
    "schema": int,
    "name": str,
    "title": str,
    "package": str,
    "schemes": list,
    "patterns": list,
    "broker": str,
    "requires": list,
    "modules": list,
    "probe": list,
}
_OF_DRIVERS = ("patterns", "broker")
"""What a map says of the driver for which it is; since schema 2."""

_OPTIONAL = {"schemes", *_OF_DRIVERS, "requires", "modules", "probe"}
_PROBE_KEYS = {"kind": str, "function": str, "stages": list, "versions": str}
_OPTIONAL_IN_PROBE = {"versions"}


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a probe goes: the attribute ``name`` of ``owner`` (a module or a class)."""

    probe: Probe
    owner: Any
    name: str

    @property
    def original(self) -> Any:
        """The attribute as it is written in its owner, undecorated by attribute access."""
        return vars(self.owner)[self.name]


def known() -> dict[str, StageMap]:
    """Omrig's own maps by name."""
    files = sorted(
        (entry for entry in resources.files(PACKAGE).iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    maps = [parse(entry.read_text(encoding="utf-8"), entry.name) for entry in files]
    return {each.name: each for each in maps}


def read(path: str) -> StageMap:
    """The map in a file of the user's.

    Raises ``UsageError`` naming the file and the key that is wrong.
    """
    try:
        with naming("--target"):
            return parse(Path(path).read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise UsageError(f"--target: {path} cannot be read ({error})") from error


def parse(text: str, file: str) -> StageMap:
    """The map in ``text``; ``file`` is named in errors (``UsageError``)."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"stage map {file}: {error}") from error
    _check_keys(values, _MAP_KEYS, _OPTIONAL, f"stage map {file}: ")
    if not 1 <= values["schema"] <= SCHEMA:
        raise UsageError(f"stage map {file}: schema: {values['schema']} is not 1 to {SCHEMA}")
    _check_driver(values, f"stage map {file}: ")
    probes = []
    for number, probe in enumerate(values.get("probe", []), 1):
        where = f"stage map {file}: probe {number}: "
        _check_keys(probe, _PROBE_KEYS, _OPTIONAL_IN_PROBE, where)
        _check_probe(probe, where)
        probes.append(
            Probe(
                kind=probe["kind"],
                function=probe["function"],
                stages=tuple(probe["stages"]),
                package=values["package"],
                versions=probe.get("versions", ""),
            )
        )
    return StageMap(
        name=values["name"],
        title=values["title"],
        package=values["package"],
        schemes=tuple(values.get("schemes", ())),
        patterns=tuple(values.get("patterns", ())),
        broker=values.get("broker", ""),
        requires=tuple(values.get("requires", ())),
        modules=tuple(values.get("modules", ())),
        probes=tuple(probes),
    )


def for_scheme(scheme: str, extra: Iterable[StageMap] = ()) -> list[StageMap]:
    """The maps used for a URL's scheme, with what they require, and those in ``extra``."""
    maps = known()
    chosen: dict[str, StageMap] = {}

    def take(stage_map: StageMap) -> None:
        if stage_map.name in chosen:
            return
        chosen[stage_map.name] = stage_map
        for name in stage_map.requires:
            if name not in maps:
                raise UsageError(f"stage map {stage_map.name}: requires: no map named {name!r}")
            take(maps[name])

    for stage_map in [*maps.values(), *extra]:
        if scheme in stage_map.schemes or stage_map not in maps.values():
            take(stage_map)
    return list(chosen.values())


def resolve(maps: Sequence[StageMap]) -> tuple[list[Site], list[str]]:
    """Where the probes of ``maps`` go, and a sentence for each that has no place to go to."""
    sites, missing = [], []
    for probe, version, site in _looked_up(maps):
        if site:
            sites.append(site)
        else:
            missing.append(_missing(probe, version))
    return sites, missing


def lost_stages(maps: Sequence[StageMap]) -> set[str]:
    """The stages that cannot be told because a function that they need is missing."""
    return {stage for probe, _, site in _looked_up(maps) if not site for stage in probe.stages}


def installed(stage_map: StageMap) -> Installed:
    """The map beside what is installed here; the modules of its functions are imported."""
    version = _version(stage_map.package) or "not installed"
    states = tuple(_state(stage_map, probe) for probe in stage_map.probes)
    return Installed(stage_map, version, states)


def _state(stage_map: StageMap, probe: Probe) -> str:
    sites, missing = resolve([dataclasses.replace(stage_map, probes=(probe,))])
    if sites:
        return INSTALLED
    return MISSING if missing else OTHER_VERSION


def _looked_up(maps: Sequence[StageMap]) -> Iterator[tuple[Probe, str | None, Site | None]]:
    """Each probe that the installed version should have, that version, and where it goes."""
    for stage_map in maps:
        for probe in stage_map.probes:
            version = _version(probe.package)
            if version and probe.versions and not _holds(probe.versions, version):
                continue
            yield probe, version, _find(probe) if version else None


def _find(probe: Probe) -> Site | None:
    module, _, qualified = probe.function.partition(":")
    try:
        owner: Any = importlib.import_module(module)
    except ImportError:
        return None
    *path, name = qualified.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    return Site(probe, owner, name) if owner is not None and name in vars(owner) else None


def _holds(specifier: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _missing(probe: Probe, version: str | None) -> str:
    noun = "stage" if len(probe.stages) == 1 else "stages"
    what = f"{noun} {', '.join(probe.stages)}" if probe.stages else f"kind {probe.kind}"
    if version is None:
        return f"{what} not measured: package {probe.package} is not installed"
    return (
        f"{what} not measured with {probe.package} {version}: function {probe.function} is missing"
    )


def _check_keys(
    values: dict[str, Any], keys: Mapping[str, type], optional: set[str], where: str
) -> None:
    for key, value in values.items():
        if key not in keys:
            raise UsageError(f"{where}{key}: unknown key; known are {', '.join(keys)}")
        if not isinstance(value, keys[key]):
            raise UsageError(f"{where}{key}: {value!r} is not of type {keys[key].__name__}")
    for key in keys:
        if key not in values and key not in optional:
            raise UsageError(f"{where}{key}: missing")


def _check_driver(values: dict[str, Any], where: str) -> None:
    """Check what is said of a driver: all or nothing, from schema 2 on."""
    given = [key for key in _OF_DRIVERS if key in values]
    if given and (values["schema"] == 1 or "schemes" not in values):
        need = "schema 2" if values["schema"] == 1 else "schemes"
        raise UsageError(f"{where}{given[0]}: needs {need}")
    if values["schema"] == 1 or "schemes" not in values:
        return
    for key in _OF_DRIVERS:
        if key not in values:
            raise UsageError(f"{where}{key}: missing beside schemes")
    for pattern in values["patterns"]:
        if pattern not in PATTERNS:
            known_ones = ", ".join(PATTERNS)
            raise UsageError(f"{where}patterns: unknown {pattern!r}; known are {known_ones}")
    if values["broker"] not in BROKERS:
        raise UsageError(
            f"{where}broker: unknown {values['broker']!r}; known are {', '.join(BROKERS)}"
        )


def _check_probe(probe: dict[str, Any], where: str) -> None:
    if probe["kind"] not in KINDS:
        raise UsageError(
            f"{where}kind: unknown {probe['kind']!r}; known are {', '.join(sorted(KINDS))}"
        )
    if ":" not in probe["function"]:
        raise UsageError(f"{where}function: {probe['function']!r} is not module:qualified.name")
    for stage in probe["stages"]:
        if stage not in BY_NAME:
            raise UsageError(f"{where}stages: unknown stage {stage!r}")
    if probe.get("versions"):
        from packaging.specifiers import InvalidSpecifier

        try:
            _holds(probe["versions"], "1")
        except InvalidSpecifier as error:
            raise UsageError(f"{where}versions: {error}") from error
