"""What the commands' argument parsers share."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

from omrig.cli import streams
from omrig.model.errors import UsageError
from omrig.model.profiling import Option, Value


class Parser(argparse.ArgumentParser):
    """A parser that fails with one line, and takes every long option with ``-`` and with ``_``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise ``UsageError`` in place of printing the usage."""
        text = message.removeprefix("argument ")
        raise UsageError(f"{text}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse passes over what it cannot write.
        with streams.shown():
            (file or sys.stderr).write(message)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse ``args``; ``--worker-count`` and ``--worker_count`` are one option."""
        for argument in args:
            if "\0" in argument:
                raise UsageError(f"{argument!r}: no path and no name has a NUL in it")
        known = {name.replace("_", "-"): name for name in self._option_string_actions}
        parsed = super().parse_args([_spelt(argument, known) for argument in args], namespace)
        for name, value in vars(parsed).items():
            if name != "transport_url":
                self._refuse_logins(name, value if isinstance(value, list) else [value])
        return parsed

    def _refuse_logins(self, name: str, values: Iterable[Any]) -> None:
        """A URL in the wrong place would be quoted, or cut up and quoted, with its password."""
        from omrig.model import redaction

        for value in values:
            if isinstance(value, str) and ":" in value and not _exists(value):
                if redaction.shown_argument(value) == value:
                    continue
                shown = redaction.shown_argument(value)
                self.error(
                    f"--{name.replace('_', '-')}: {shown} looks like a URL with a login; give it"
                    " with --transport-url"
                )


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _spelt(argument: str, known: dict[str, str]) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return known.get(name.replace("_", "-"), name) + equals + value


def count(text: str) -> int:
    """A number of things, for argparse: whole, 1 or more."""
    return int(_number(text, int, 1, "a whole number of 1 or more"))


def count_or_none(text: str) -> int:
    """A number of things, for argparse: whole, 0 or more."""
    return int(_number(text, int, 0, "a whole number of 0 or more"))


def kilobytes(text: str) -> int:
    """A size in kilobytes, for argparse; the value is in bytes."""
    return round(_number(text, float, 0, "kilobytes, 0 or more") * 1024)


def seconds(text: str) -> float:
    """A time in seconds, for argparse: 0 or more."""
    return float(_number(text, float, 0, "seconds, 0 or more"))


def add_mode_option(group: argparse._ArgumentGroup, option: Option[Value]) -> None:
    """Add an option that profiler modes declare; raises ``UsageError`` where the flag is taken."""
    about = option.help.replace("%", "%%")
    try:
        if option.type is bool:
            group.add_argument(option.flag, action="store_true", help=about)
        else:
            group.add_argument(
                option.flag,
                action="append" if option.repeatable else "store",
                default=[] if option.repeatable else option.default,
                type=_with_reason(option.type),
                metavar=option.metavar,
                help=about,
            )
    except argparse.ArgumentError as error:
        raise UsageError(f"--profile: a mode's option {option.flag} is omrig's own") from error


def mode_value(options: argparse.Namespace, option: Option[Value]) -> Value:
    """What an option that modes declare was set to; raises ``UsageError`` if there is no such."""
    value = vars(options)[option.argument]
    value = tuple(value) if option.repeatable else value
    option.check(value)
    return cast(Value, value)


def _with_reason(convert: Callable[[str], object]) -> Callable[[str], object]:
    """A type for argparse, which by itself does not tell why a value is none."""

    def converted(text: str) -> object:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def _number(text: str, kind: type[int] | type[float], least: int, wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from error
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value
