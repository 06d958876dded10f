"""What is to be profiled, and how: the modes of ``--profile``, and the options they declare."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from omrig.model.errors import UsageError
from omrig.model.option import option as field_option

Value = bool | int | float | str | tuple[str, ...]
"""What an option can be set to: what JSON can say, as the plan goes through a pipe."""

T_co = TypeVar("T_co", bound=Value, covariant=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option(Generic[T_co]):
    """An option of the command line that one or several profiler modes declare.

    ``type`` makes the value out of the argument, and raises ``ValueError`` with the reason where it
    cannot; an option whose type is ``bool`` is a switch and has no argument. ``repeatable`` options
    gather what ``type`` makes of each argument in a tuple. ``choices`` are the values that there
    are, if they can be counted, and ``least`` is the smallest of numbers. ``unused`` is said where
    the option is given and no mode that takes it; empty where that does no harm.
    """

    flag: str
    dest: str
    """Its name in :attr:`Profiling.options`."""
    type: Callable[[str], object]
    default: T_co
    help: str
    metavar: str | None = None
    repeatable: bool = False
    choices: tuple[T_co, ...] = ()
    least: float | None = None
    unused: str = ""

    @property
    def argument(self) -> str:
        """The name of the flag as an argument parser has it."""
        return self.flag.lstrip("-").replace("-", "_")

    def check(self, value: Value) -> None:
        """Raise ``UsageError`` for a value that there is not."""
        if self.choices and value not in self.choices:
            known = ", ".join(map(str, self.choices))
            raise UsageError(f"{self.flag}: unknown {value!r}; choose from {known}")
        if self.least is not None and isinstance(value, int | float) and value < self.least:
            raise UsageError(f"{self.flag}: {value:g} is too small; give {self.least:g} or more")


def fraction(text: str) -> int:
    """A sample: ``1/N`` gives N. Raises ``ValueError``."""
    one, slash, rest = text.partition("/")
    if one != "1" or not slash:
        raise ValueError(f"{text!r} is not of the form 1/N, for example 1/16")
    wanted = "of the form 1/N with N a whole number of 1 or more"
    try:
        value = int(rest)
    except ValueError as error:
        raise ValueError(f"{rest!r} is not {wanted}") from error
    if value < 1:
        raise ValueError(f"{rest} is not {wanted}")
    return value


SAMPLE = Option(
    flag="--sample",
    dest="sample",
    type=fraction,
    default=1,
    metavar="1/N",
    help="keep the stages of one message in N (default: of all up to 250000 messages, of more of so"
    " many that no more than that are kept)",
    least=1,
)
"""Of so many messages ``stages`` keeps one."""

STAGED_MOST = 250_000
"""Messages of a run whose stages are kept where nobody says how many: each takes some 1.4 KB
of memory when they are accounted."""


def sample_of(messages: int | None) -> int:
    """Of how many messages one is kept where nobody says it: a power of two, so that of two sides
    that were told of different numbers one keeps what the other keeps, and more."""
    sample = 1
    while (messages or 0) > STAGED_MOST * sample:
        sample *= 2
    return sample


CLOCK = Option(
    flag="--clock",
    dest="clock",
    type=str,
    default="cpu",
    help="what yappi counts: cpu (default) or wall",
    choices=("cpu", "wall"),
)
"""``cpu`` is time spent computing, ``wall`` time that passed."""

_PYSPY_ALONE = "only py-spy takes it; add pyspy to --profile, or leave it out"

GIL = Option(
    flag="--gil",
    dest="gil",
    type=bool,
    default=False,
    help="pyspy: only samples that hold the interpreter lock",
    unused=_PYSPY_ALONE,
)
NATIVE = Option(
    flag="--native",
    dest="native",
    type=bool,
    default=False,
    help="pyspy: with the functions of C extensions",
    unused=_PYSPY_ALONE,
)

NO_TARGETS: tuple[str, ...] = ()

TARGETS = Option(
    flag="--target",
    dest="targets",
    type=str,
    default=NO_TARGETS,
    metavar="NAME",
    repeatable=True,
    help="where lines (default: driver and executor) and memory-lines (slow) look: the name of"
    " a stage map, a module, module:function or a Python file; for stages a stage map's file"
    " (repeatable)",
)
"""What modes look at that look at chosen functions only."""

OPTIONS: Mapping[str, tuple[Option[Value], ...]] = MappingProxyType(
    {
        "stages": (SAMPLE, TARGETS),
        "yappi": (CLOCK,),
        "pyspy": (GIL, NATIVE),
        "lines": (TARGETS,),
        "memory-lines": (TARGETS,),
    }
)
"""The options of omrig's own modes by mode: they are in every ``--help``, for which no mode is
imported. Those of other packages' modes are known once the mode is asked for."""

STAGES, NONE = "stages", "none"
"""The mode that is in every run, and the one that leaves it out."""

BUILT_IN: tuple[Option[Value], ...] = (SAMPLE, CLOCK, GIL, NATIVE, TARGETS)
"""The options of omrig's own modes, each once, in the order of ``--help``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profiling:
    """Which profiler modes observe a run, and with what options.

    ``modes`` are those that were asked for, and ``stages``, which comes first and is in every run
    but one with ``none``. Where one of them cannot run with ``stages``, ``stages_refused`` says
    which and why, and ``modes`` are as asked for. ``options`` has values by :attr:`Option.dest`;
    what it lacks is at its default. ``twin`` asks for what the stages cost, too.

    Raises ``UsageError`` for a value that there is not, and for an option that is of no use.
    """

    modes: tuple[str, ...] = field_option(
        (STAGES,),
        "--profile",
        kind="names",
        metavar="MODE[,MODE]",
        help="profiler modes beside stages, which are in every run but with none: yappi, lines,"
        " memory, memory-lines (slow), pyspy, memray, counts (slow), and those of plugins;"
        " resources are sampled in every run",
    )
    twin: bool = field_option(
        False,
        "--twin",
        kind="flag",
        help="measure what the stages cost: every other slice of the load goes without their"
        " probes (what slower modes cost is measured unasked)",
    )
    options: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    stages_refused: str = ""

    def __post_init__(self) -> None:
        if not self.stages_refused:
            object.__setattr__(self, "modes", _with_stages(self.modes))
        for option in BUILT_IN:
            value = self.value(option)
            option.check(value)
            taken = any(option in OPTIONS.get(mode, ()) for mode in self.modes)
            if option.unused and value != option.default and not taken:
                raise UsageError(f"{option.flag}: {option.unused}")

    def value(self, option: Option[T_co]) -> T_co:
        """What the option is set to."""
        return cast(T_co, self.options.get(option.dest, option.default))

    def public(self) -> dict[str, Any]:
        """As JSON-able values, for ``run.json``; other packages' options are ``mode_options``."""
        own = {option.dest: self.value(option) for option in BUILT_IN}
        others = {name: value for name, value in self.options.items() if name not in own}
        sample = own.pop(SAMPLE.dest)
        return {
            "profile": self.modes,
            "sample": sample,
            "twin": self.twin,
            **own,
            **({"mode_options": others} if others else {}),
            **({"stages_refused": self.stages_refused} if self.stages_refused else {}),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Profiling":
        """What :func:`dataclasses.asdict` made of one, after JSON has made lists of tuples."""
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values["options"].items()
        }
        return cls(
            modes=tuple(values["modes"]),
            twin=values["twin"],
            options=options,
            stages_refused=values["stages_refused"],
        )


def _with_stages(modes: tuple[str, ...]) -> tuple[str, ...]:
    """The modes with ``stages`` before them, whether it was named, and where; not with ``none``."""
    if NONE in modes:
        return modes
    others = list(modes)
    if STAGES in others:
        # Once: what is named twice is refused as any other mode is.
        others.remove(STAGES)
    return (STAGES, *others)
