"""Stage maps: which functions of a driver, an executor or a library delimit which stage.

A map is a TOML file::

    schema = 3
    name = "impl_rabbit"
    title = "oslo.messaging's RabbitMQ driver"
    package = "oslo.messaging"              # the distribution whose version counts
    schemes = ["rabbit"]                    # optional: transport URLs for which it is used
    patterns = ["call", "cast"]             # with schemes: what the driver carries
    broker = "amqp"                         # with schemes: what is behind it, or "memory"
    requires = ["amqpdriver", "executor"]   # optional: maps that are used with it
    modules = ["oslo_messaging._drivers.impl_rabbit"]   # what line profilers look at

    [[probe]]
    function = "oslo_messaging._drivers.pool:Pool.get"
    stamp = { enter = "pool_begin", exit = "pool_end" } # one action of omrig.model.actions
    versions = ">=12"                       # optional: versions of the package that have it

Which stages cannot be told where the function is missing follows from the columns of its action.
A file of schema 1 or 2 named kinds of probes, which there are no more.
"""

import dataclasses
import functools
import importlib
import inspect
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from omrig.model import actions
from omrig.model.actions import Action, Said
from omrig.model.errors import UsageError, naming
from omrig.model.stage_map import INSTALLED, MISSING, OTHER_VERSION, Installed, Probe, StageMap
from omrig.model.transport import BROKERS

SCHEMA = 3

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
"""What a map says of the driver for which it is."""

_OPTIONAL = {"schemes", *_OF_DRIVERS, "requires", "modules", "probe"}
_PROBE_KEYS = {"function": str, **dict.fromkeys(actions.FORMS, dict), "versions": str}
_OPTIONAL_IN_PROBE = {*actions.FORMS, "versions"}


LOCALS = "<locals>"
"""What stands in a qualified name before the name of a function that is defined in a function."""


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a probe goes: the attribute ``name`` of ``owner`` (a module or a class), or a function
    that is defined within it, by the names on the way there."""

    probe: Probe
    owner: Any
    name: str
    within: tuple[str, ...]
    original: Any
    """The attribute as it was written in its owner when it was looked up, undecorated by attribute
    access. What is put around it later stays around it."""

    def unwrapped(self) -> FunctionType | None:
        """The function with the code: not what decorators have put around it; None for others."""
        original = self.original
        if isinstance(original, staticmethod | classmethod):
            original = original.__func__
        function: object = inspect.unwrap(original)
        return function if isinstance(function, FunctionType) else None


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
    if values["schema"] != SCHEMA:
        raise UsageError(
            f"stage map {file}: schema: {values['schema']} is not {SCHEMA}, in which a probe says"
            " what is done at its function; see doc/stages.rst"
        )
    _check_driver(values, f"stage map {file}: ")
    probes = []
    for number, probe in enumerate(values.get("probe", []), 1):
        where = f"stage map {file}: probe {number}: "
        _check_keys(probe, _PROBE_KEYS, _OPTIONAL_IN_PROBE, where)
        _check_probe(probe, where)
        probes.append(
            Probe(
                action=_action(probe, where),
                function=probe["function"],
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
    version_of = functools.cache(_version)
    for stage_map in maps:
        for probe in stage_map.probes:
            version = version_of(probe.package)
            if version and probe.versions and not _holds(probe.versions, version):
                continue
            yield probe, version, _find(probe) if version else None


def _find(probe: Probe) -> Site | None:
    module, _, qualified = probe.function.partition(":")
    try:
        owner: Any = importlib.import_module(module)
    except ImportError:
        return None
    outer, *within = qualified.split(f".{LOCALS}.")
    *path, name = outer.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    if owner is None or name not in vars(owner):
        return None
    site = Site(probe, owner, name, tuple(within), vars(owner)[name])
    function = site.unwrapped()
    return site if function and _has_code(function.__code__, site.within) else None


def _has_code(code: CodeType, within: tuple[str, ...]) -> bool:
    if not within:
        return True
    return any(
        _has_code(each, within[1:])
        for each in code.co_consts
        if isinstance(each, CodeType) and each.co_name == within[0]
    )


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
    what = f"{noun} {', '.join(probe.stages)}" if probe.stages else f"action {probe.action.name}"
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
    """Check what is said of a driver: all or nothing."""
    given = [key for key in _OF_DRIVERS if key in values]
    if given and "schemes" not in values:
        raise UsageError(f"{where}{given[0]}: needs schemes")
    if "schemes" not in values:
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


def _action(probe: dict[str, Any], where: str) -> Action:
    """The one action of a probe."""
    named = [name for name in actions.FORMS if name in probe]
    if len(named) != 1:
        known_ones = ", ".join(actions.FORMS)
        what = f"{' and '.join(named)} are given" if named else "missing"
        raise UsageError(f"{where}action: {what}; give one of {known_ones}")
    name, values = named[0], probe[named[0]]
    form = actions.FORMS[name]
    kinds = {**form.required, **form.optional}
    for key in form.required:
        if key not in values:
            raise UsageError(f"{where}{name}.{key}: missing")
    says: dict[str, Said] = {}
    for key, value in values.items():
        if key not in kinds:
            raise UsageError(f"{where}{name}.{key}: unknown key; known are {', '.join(kinds)}")
        says[key] = _said(value, kinds[key], f"{where}{name}.{key}: ")
    return Action(name, says)


def _said(value: object, kind: str | tuple[str, ...], where: str) -> Said:
    """What an action says under a key, if it can be said there."""
    if isinstance(kind, tuple):
        if value in kind:
            return str(value)
        raise UsageError(f"{where}unknown {value!r}; known are {', '.join(kind)}")
    if kind == actions.FLAG and isinstance(value, bool):
        return value
    if kind in (actions.KEYS, actions.PARAMETERS):
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            return tuple(value)
    elif isinstance(value, str) and _is_word(value, kind):
        return value
    raise UsageError(f"{where}{value!r} is not {kind}")


def _is_word(value: str, kind: str) -> bool:
    if kind == actions.COLUMN:
        return value in actions.COLUMN_NAMES
    try:
        _, steps = actions.split_path(value)
    except ValueError:
        return False
    if actions.EACH in steps:
        return kind == actions.PATHS
    return kind in (actions.PATH, actions.PATHS) or not steps


def _check_probe(probe: dict[str, Any], where: str) -> None:
    if ":" not in probe["function"]:
        raise UsageError(f"{where}function: {probe['function']!r} is not module:qualified.name")
    if probe.get("versions"):
        from packaging.specifiers import InvalidSpecifier

        try:
            _holds(probe["versions"], "1")
        except InvalidSpecifier as error:
            raise UsageError(f"{where}versions: {error}") from error
