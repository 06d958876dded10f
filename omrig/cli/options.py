"""What the commands' argument parsers share."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, cast

import omrig
from omrig.cli import streams
from omrig.model import mix, sizes
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.option import FieldOption
from omrig.model.plan import Where
from omrig.model.profiling import BUILT_IN, SAMPLE, Option, Profiling, Value, sample_of
from omrig.model.sizes import KILOBYTE, Sizes


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
            # These are taken apart by who knows what of them may be shown.
            if name not in ("transport_url", "set", "with", "source"):
                self._refuse_logins(name, value if isinstance(value, list) else [value])
        return parsed

    def action_of(self, name: str) -> argparse.Action | None:
        """The option with this long name, with ``-`` or with ``_``; None where there is none."""
        return self._known().get(name.replace("_", "-"))

    def long_names(self) -> list[str]:
        """The long names of all options."""
        return sorted(
            name.removeprefix("--") for name in self._option_string_actions if name[:2] == "--"
        )

    def given(self, args: Sequence[str]) -> set[str]:
        """The attributes of the options that are among ``args``."""
        nothing = argparse.Namespace(**dict.fromkeys(action.dest for action in self._actions))
        parsed = self.parse_args(args, nothing)
        return {name for name, value in vars(parsed).items() if value is not None}

    def _known(self) -> dict[str, argparse.Action]:
        return {
            name.removeprefix("--").replace("_", "-"): action
            for name, action in self._option_string_actions.items()
            if name.startswith("--")
        }

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


def is_repeatable(action: argparse.Action) -> bool:
    """Whether an option may be given more than once."""
    return isinstance(action, argparse._AppendAction)


def add_version(parser: Parser) -> None:
    """Add the option that says which omrig this is."""
    parser.add_argument("--version", action="version", version=f"omrig {omrig.__version__}")


def add_fields(group: argparse._ArgumentGroup, part: type, without: Collection[str] = ()) -> None:
    """Add an option for each field of a ``part`` of the Plan that has one.

    What is not given stays None: :func:`given` leaves it to the default of the field.
    """
    for field in dataclasses.fields(part):
        option: FieldOption | None = field.metadata.get("option")
        if option is None or field.name in without:
            continue
        kind: dict[str, Any] = {"metavar": option.metavar}
        if option.kind == "flag":
            kind = {"action": "store_true"}
        elif option.kind == "list":
            kind["action"] = "append"
        elif option.kind in _READERS:
            kind["type"] = _READERS[option.kind]
        help_text = option.help.format(default=_typed(option, field.default))
        group.add_argument(*option.flags, default=None, help=help_text, **kind)


_EMPTY_IS_NONE = ("folder", "project")
"""Fields for which the value of a shell's variable that is not set is as good as none."""


def given(options: argparse.Namespace, part: type) -> dict[str, Any]:
    """What the command line gave for the fields of a ``part`` of the Plan, by name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        option: FieldOption | None = field.metadata.get("option")
        value = getattr(options, option.name, None) if option else None
        if option is None or value is None or (value == "" and field.name in _EMPTY_IS_NONE):
            continue
        if option.kind == "names":
            value = [name.strip() for name in value.split(",")]
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return values


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
                default=[] if option.repeatable else None,
                type=_with_reason(option.type),
                metavar=option.metavar,
                help=about,
            )
    except argparse.ArgumentError as error:
        raise UsageError(f"--profile: a mode's option {option.flag} is omrig's own") from error


def _with_reason(convert: Callable[[str], object]) -> Callable[[str], object]:
    """A type for argparse, which by itself does not tell why a value is none."""

    def converted(text: str) -> object:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def profiling(options: argparse.Namespace, messages: int | None = None) -> Profiling:
    """Which modes observe the run by the options given, with the values of the modes' own options;
    of many ``messages`` some are kept, unless an option says how many.

    Raises ``UsageError`` when they make no sense.
    """
    declared = (*BUILT_IN, *options.mode_options)
    values = {each.dest: _mode_value(options, each) for each in declared}
    if vars(options)[SAMPLE.argument] is None:
        values[SAMPLE.dest] = sample_of(messages)
    chosen = given(options, Profiling)
    refused = _stages_refused(chosen.get("modes", ()))
    return Profiling(**chosen, options=values, stages_refused=refused)


def _stages_refused(modes: Sequence[str]) -> str:
    if not modes:
        return ""
    from omrig.measured.profilers import registry

    return registry.stages_refused(modes)


def _mode_value(options: argparse.Namespace, option: Option[Value]) -> Value:
    value = vars(options)[option.argument]
    value = tuple(value) if option.repeatable else option.default if value is None else value
    option.check(value)
    return cast(Value, value)


def load(options: argparse.Namespace, messages: int | None) -> Load:
    """What is sent by the options given, so many ``messages`` unless they say so.

    Raises ``UsageError`` when they contradict each other.
    """
    values = {"messages": messages} | given(options, Load)
    if values.get("mix") and "pattern" in values:
        raise UsageError("--mix: the load has the patterns of the mix; leave --pattern out")
    if isinstance(values.get("size_bytes"), Sizes):
        values["sizes"] = values.pop("size_bytes")
    return Load(**values, scenario=vars(options).get("scenario"))


TRANSPORT = "transport (default: the configuration of nova on this host, else an embedded RabbitMQ)"
"""The title of the options that say which broker, and how to get in."""


def transport(options: argparse.Namespace) -> Where:
    """Where the messages go by the options given.

    Raises ``UsageError`` when they make no sense.
    """
    return Where(**given(options, Where), project_named=options.project is not None)


def _typed(option: FieldOption, default: Any) -> str:
    """A default as it would be typed."""
    if option.kind == "sizes":
        return f"{default / KILOBYTE:g}"
    return f"{default:g}" if isinstance(default, float) else str(default)


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


def seconds(text: str) -> float:
    """A time in seconds, for argparse: 0 or more."""
    return float(_number(text, float, 0, "seconds, 0 or more"))


def rate(text: str) -> float:
    """Messages a second, for argparse: 0 or more."""
    return float(_number(text, float, 0, "messages a second, above 0"))


def minutes(text: str) -> float:
    """A time in minutes, for argparse: above 0."""
    found = float(_number(text, float, 0, "minutes, above 0"))
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not minutes, above 0")
    return found


def percent(text: str) -> float:
    """A part of something in percent, for argparse: ``5%`` or ``5`` is 0.05; above 0, below 100."""
    wanted = "a percentage between 0 and 100, as in 5%"
    found = float(_number(text.strip().removesuffix("%").strip(), float, 0, wanted)) / 100
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return found


def _number(text: str, kind: type[int] | type[float], least: int, wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from error
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
    return value


_READERS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "count": count,
        "count_or_none": count_or_none,
        "rate": rate,
        "sizes": sizes.parse,
        "mix": mix.parse,
        "seconds": seconds,
    }
)
"""How argparse reads the kinds of options that are no texts."""
