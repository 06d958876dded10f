"""The options of oslo.messaging that the command line sets: ``--set [GROUP.]OPTION=VALUE``.

They are asked for where oslo.config asks the environment, above all files: so the driver, which
registers its options when it is used, finds them as it finds any other.
"""

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from omrig.drivers import known, rabbit
from omrig.model.errors import UsageError

OPTION = "--set"

_FORM = "give [GROUP.]OPTION=VALUE"


@dataclasses.dataclass(frozen=True)
class Assigned:
    """An option as it was set; ``group`` is None for [DEFAULT].

    ``value`` is the text, as oslo.config takes it, or a list of them where the option is repeated.
    """

    group: str | None
    name: str
    value: str = dataclasses.field(repr=False)
    is_secret: bool = False
    is_repeated: bool = False


def parse(given: Sequence[str]) -> list[Assigned]:
    """What was given, checked against the options of the installed oslo.messaging.

    Raises ``UsageError`` for an option that there is not, with the nearest ones, for one that is
    in several groups, and for a value that the option cannot have, which is never shown.
    """
    if not given:
        return []
    there = [(group, option) for group, listed in known.options() for option in listed]
    return [_parse(text, there) for text in given]


def spelled(group: str | None, option: Any, value: Any) -> list[str]:
    """How an option of oslo.messaging is set to a value, as :func:`parse` takes it; nothing for one
    that it refuses: a run is itself, and has its URL."""
    if (group, option.dest) == (None, "transport_url") or _full(group, option) in rabbit.NOT_TAKEN:
        return []
    values = value if option.multi else [value]
    return [f"{group or 'DEFAULT'}.{option.dest}={_text(each)}" for each in values]


def _text(value: Any) -> str:
    """A value as oslo.config takes it from text."""
    if isinstance(value, dict):
        return ",".join(f"{name}:{_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    # A '$' would begin a reference to another option.
    return str(value).replace("$", "$$")


def _parse(text: str, there: Sequence[tuple[str | None, Any]]) -> Assigned:
    full, equals, value = text.partition("=")
    named, dot, name = full.strip().rpartition(".")
    if not equals or not name.replace("_", "").replace("-", "").isalnum():
        # What stands there may be a part of a password.
        raise UsageError(f"{OPTION}: {_FORM}")
    group, option = _find(named if dot else None, name.replace("-", "_"), there)
    _refuse(group, option)
    try:
        option.type(value)
    except ValueError:
        raise UsageError(
            f"{OPTION}: {_full(group, option)} takes {_wanted(option)}; correct its value"
        ) from None
    return Assigned(group, option.dest, value, known.is_secret(option), bool(option.multi))


def _refuse(group: str | None, option: Any) -> None:
    full = _full(group, option)
    if (group, option.dest) == (None, "transport_url"):
        raise UsageError(f"{OPTION}: {full} cannot be set: give it with --transport-url")
    if full in rabbit.NOT_TAKEN:
        raise UsageError(f"{OPTION}: {full} cannot be set: a run is itself, and no service")


def _find(
    named: str | None, name: str, there: Sequence[tuple[str | None, Any]]
) -> tuple[str | None, Any]:
    """The group and the option of a name; of the group ``named`` where that is not None."""
    wanted = None if named in (None, "DEFAULT") else named
    in_group = [(group, each) for group, each in there if named is None or group == wanted]
    if not in_group:
        groups = ", ".join(sorted({group or "DEFAULT" for group, _ in there}))
        raise UsageError(f"{OPTION}: there is no group {named!r}; there are {groups}")
    found = {group: each for group, each in in_group if each.dest == name}
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        several = " or ".join(f"{group or 'DEFAULT'}.{name}" for group in found)
        raise UsageError(f"{OPTION}: {name} is in several groups; write {several}")
    version = metadata.version("oslo.messaging")
    where = f" in [{named}]" if named else ""
    raise UsageError(
        f"{OPTION}: oslo.messaging {version} has no option {name!r}{where}{_nearest(name, there)}"
    )


def _nearest(name: str, there: Sequence[tuple[str | None, Any]]) -> str:
    now = [each.dest for _, each in there for old in each.deprecated_opts if old.name == name]
    near = now or difflib.get_close_matches(name, dict.fromkeys(each.dest for _, each in there))
    told = [_full(group, each) for wanted in near for group, each in there if each.dest == wanted]
    return f"; the nearest: {', '.join(dict.fromkeys(told))}" if told else ""


def _full(group: str | None, option: Any) -> str:
    return f"[{group or 'DEFAULT'}] {option.name}"


def _wanted(option: Any) -> str:
    kind = option.type
    if type(kind).__name__ == "Boolean":
        return "true or false"
    if choices := getattr(kind, "choices", None):
        return f"one of {', '.join(str(each) for each in choices)}"
    return f"a {known.type_name(kind)}"


def put_in(conf: Any, assigned: Sequence[Assigned], uses_environment: bool) -> None:
    """Have ``conf`` take these above all else, and the environment's options or none of them.

    For oslo.config's own ``conf``, after it was called.
    """
    from oslo_config.sources import _environment

    conf._env_driver = _environment.EnvironmentConfigurationSource()
    if assigned:
        conf._env_driver = _Source(assigned, conf._env_driver if uses_environment else None)
        conf._use_env = True


class _Source:
    """Where ``conf`` asks for the options of the environment."""

    def __init__(self, assigned: Sequence[Assigned], environment: Any) -> None:
        self._assigned = assigned
        self._environment = environment

    def get(self, group: str | None, name: str, option: Any) -> tuple[Any, Any]:
        """As oslo.config's sources do it: the value, and where it is from."""
        from oslo_config import cfg, sources

        found = list(self._values(group, name))
        if found:
            is_list = any(each.is_repeated for each in found)
            value = [each.value for each in found] if is_list else found[-1].value
            return value, cfg.LocationInfo(cfg.Locations.command_line, OPTION)
        if self._environment is None:
            return sources._NoValue, None
        given: tuple[Any, Any] = self._environment.get(group, name, option)
        return given

    def get_name(self, group: str | None, name: str) -> str:
        """What ``conf`` calls the place in its errors."""
        return f"{OPTION} {group or 'DEFAULT'}.{name}"

    def _values(self, group: str | None, name: str) -> Iterator[Assigned]:
        return (each for each in self._assigned if (each.group, each.name) == (group, name))
