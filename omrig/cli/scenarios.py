"""Scenarios: named sets of options in TOML, those of omrig and files of one's own.

A file has a ``title`` in one line and, by their long names, options as on the command line: a
text, a number, true for an option that takes no value, a list for one that may be repeated.
"""

import argparse
import contextlib
import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from omrig.cli.options import Parser, is_repeatable
from omrig.model.errors import UsageError, naming

OPTION = "--scenario"

_PACKAGE, _FOLDER, _SUFFIX = "omrig", "scenarios", ".toml"
_TITLE = "title"

_KEYS = "scenario_keys"
"""The attribute of parsed options that says which the scenario gave: its file and key by name."""

_NOT_THERE = {"scenario", "help", "version"}
"""Options that make no sense in a file, by the attribute that argparse gives them."""

Value: TypeAlias = str | int | float | bool | list[str]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A scenario's ``file`` in words, and what it says by its keys."""

    file: str
    values: Mapping[str, Value]

    @property
    def modes(self) -> list[str]:
        """The profiler modes that it names, as arguments."""
        modes = self.values.get("profile")
        return [f"--profile={modes}"] if isinstance(modes, str) else []


def add_option(parser: Parser) -> None:
    """Add the option that names a scenario, with a line for each that comes with omrig."""
    width = max(map(len, titles()))
    lines = "\n".join(f"  {name:<{width}}  {title}" for name, title in titles().items())
    parser.add_argument_group(
        "scenario", f"a named set of options; those of the command line win\n\n{lines}"
    ).add_argument(OPTION, metavar="NAME|FILE", help="one of these, or a TOML file of yours")


def titles() -> dict[str, str]:
    """The scenarios that come with omrig, in the order of their names: what each is."""
    files = resources.files(_PACKAGE).joinpath(_FOLDER).iterdir()
    texts = {
        file.name.removesuffix(_SUFFIX): file.read_text(encoding="utf-8")
        for file in files
        if file.name.endswith(_SUFFIX)
    }
    return {name: str(tomllib.loads(texts[name])[_TITLE]) for name in sorted(texts)}


def named(arguments: Sequence[str]) -> str | None:
    """The scenario that these arguments name; None where they name none."""
    early = Parser(add_help=False)
    early.add_argument(OPTION)
    name: str | None = early.parse_known_args(list(arguments))[0].scenario
    return name


def parse(parser: Parser, scenario: Scenario, own: Sequence[str]) -> argparse.Namespace:
    """The options that a scenario and the command line give together.

    What the command line says itself is not taken from the scenario. Raises ``UsageError`` for what
    either says wrongly; of the scenario it names the file and the key.
    """
    file = scenario.file
    given = parser.given(own)
    taken: list[str] = []
    keys: dict[str, str] = {}
    for key, value in scenario.values.items():
        action = _action(parser, file, key)
        spelt = _spelt(file, key, action, value)
        try:
            parser.parse_args(spelt)
        except UsageError as error:
            raise UsageError(f"{OPTION}: {file}: {key}: {error}") from error
        if action.dest not in given:
            taken += spelt
            keys[action.dest] = f"{file}: {key}"
    options: argparse.Namespace = parser.parse_args([*taken, *own])
    vars(options)[_KEYS] = keys
    return options


def read(name: str) -> Scenario:
    """The scenario of this name, or in this file.

    Raises ``UsageError`` for one that is not there, or is no TOML.
    """
    known = titles()
    path = Path(name)
    if name in known:
        file = f"{name}{_SUFFIX}"
        text = resources.files(_PACKAGE).joinpath(_FOLDER, file).read_text(encoding="utf-8")
    elif path.suffix != _SUFFIX and not path.exists():
        raise UsageError(
            f"{OPTION}: there is no {name!r}{_nearest(name, known)}; give one of"
            f" {', '.join(known)}, or a TOML file"
        )
    else:
        file = name
        with naming(OPTION):
            text = path.read_bytes().decode(errors="replace")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{OPTION}: {file} is no TOML: {error}") from error
    title = values.pop(_TITLE, None)
    if not isinstance(title, str) or not title.strip():
        raise UsageError(f"{OPTION}: {file}: {_TITLE}: say in one line what it is")
    return Scenario(file, values)


def _action(parser: Parser, file: str, key: str) -> argparse.Action:
    """The option that a key names."""
    action = parser.action_of(key)
    if action is not None and action.dest not in _NOT_THERE:
        return action
    known = (name for name in parser.long_names() if name not in _NOT_THERE)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    raise UsageError(
        f"{OPTION}: {file}: {key}: there is no option --{key}; the nearest is {nearest[0]}"
    )


def _spelt(file: str, key: str, action: argparse.Action, value: Value) -> list[str]:
    """A key and its value as they would be typed."""
    flag = f"--{key}"
    if action.nargs == 0 and isinstance(value, bool):
        return [flag] if value else []
    parts = value if isinstance(value, list) and is_repeatable(action) else [value]
    is_right = all(isinstance(part, str | int | float) for part in parts)
    if action.nargs == 0 or not is_right or any(isinstance(part, bool) for part in parts):
        wanted = "true or false" if action.nargs == 0 else "a text or a number"
        more = ", or a list of them" if is_repeatable(action) else ""
        raise UsageError(f"{OPTION}: {file}: {key}: {value!r} is not {wanted}{more}")
    return [f"{flag}={part}" for part in parts]


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" (is it {found[0]}?)" if found else ""


@contextlib.contextmanager
def naming_keys(options: argparse.Namespace) -> Iterator[None]:
    """A block of which what is wrong with an option is said with the file and the key of the
    scenario that gave it.

    Raises ``UsageError`` for it.
    """
    try:
        yield
    except UsageError as error:
        flag, colon, _ = str(error).partition(":")
        keys: Mapping[str, str] = vars(options).get(_KEYS, {})
        where = keys.get(flag.removeprefix("--").replace("-", "_")) if colon else None
        if where is None:
            raise
        raise UsageError(f"{OPTION}: {where}: {error}") from error
