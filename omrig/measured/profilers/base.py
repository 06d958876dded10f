"""What a profiler mode is: the class that every mode derives from, and what it is told and writes.

A mode is an entry point of the group ``omrig.profilers``, in this package or in any other, and is
imported only where it is asked for (:mod:`omrig.measured.profilers.registry`).
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from omrig.measured.profilers.whereabouts import Whereabouts
from omrig.model.profiling import Option, Profiling, Value

NO_REASONS: Mapping[str, str] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Context:
    """What a mode is told about the run it is to observe."""

    executor: str
    """``eventlet`` or ``threading``."""
    side: str
    """``producer``, ``consumer``, or ``both`` where one process plays both."""
    scheme: str = "rabbit"
    """The transport URL's driver."""
    folder: Path = Path()
    """The side's folder, for what has to be written during the run."""
    profiling: Profiling = dataclasses.field(default_factory=Profiling)
    """The modes asked for and the values of their options, as the plan has them."""
    whereabouts: Whereabouts | None = None
    """Tells in which stage code runs; None where no stages are recorded."""


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One file that a mode wrote."""

    path: str
    """Relative to the folder given to :meth:`Profiler.save`."""
    kind: str
    """The file's format."""
    open_with: str
    """The exact command that shows it, with ``{path}`` in place of the file's path."""

    def listed(self, folder: str, side: str) -> dict[str, str]:
        """As ``result.json`` lists it: found in this folder of the run, and of this side."""
        return {
            "path": f"{folder}/{self.path}",
            "kind": self.kind,
            "side": side,
            "open_with": self.open_with,
        }


class Profiler:
    """A mode that observes the measured process from within it; this one does nothing.

    A mode says what it is by attributes of its class and does what it does in methods, and leaves
    out what is as here. The methods are called in the order given here, each once, but for three:
    :meth:`start` and :meth:`stop` are called in turn, with the same load in between, as a mode's
    cost is measured by that; no message is under way then, but threads and greenlets wait in the
    midst of functions. :meth:`recent` is called at any time after the first start.

    Public names are these alone, so that a misspelt one is an error and not a mode that behaves as
    if it had said nothing: a class with any other raises ``TypeError`` when it is made. What a mode
    has of its own begins with an underscore.
    """

    name: ClassVar[str] = ""
    """As in ``--profile``: the name of the entry point."""

    coexists_with: ClassVar[frozenset[str]] = frozenset()
    """The modes that may run at the same time; it is enough that one of the two says so, unless
    the other refuses it with a reason. ``stages``, ``resources`` and ``memory`` go with any mode
    that does not refuse them."""

    refused_with: ClassVar[Mapping[str, str]] = NO_REASONS
    """Modes that this one breaks with, or they with it, and why: the user is told. Where it is
    ``stages``, they are left out of a run with this mode, unless they were asked for by name."""

    refused_executors: ClassVar[Mapping[str, str]] = NO_REASONS
    """Executors that this mode breaks under, and why: the user is told."""

    pausable: ClassVar[bool] = True
    """Whether it can be stopped and started during the load. Else it is on from the first start to
    the last stop, and what it costs is not measured."""

    is_slow: ClassVar[bool] = True
    """Whether it may slow the run so much that its cost is measured unasked."""

    options: ClassVar[tuple[Option[Value], ...]] = ()
    """What the command line takes for it; its values are in :attr:`Context.profiling`."""

    def __init__(self, context: Context) -> None:
        self._run = context

    def __init_subclass__(cls, **arguments: object) -> None:
        """Raise ``TypeError`` for a public name that no mode has."""
        super().__init_subclass__(**arguments)
        for base in cls.__mro__:
            if base not in (Profiler, object):
                _check_names(cls, vars(base))

    @staticmethod
    def check_targets(targets: Sequence[str]) -> set[str]:  # noqa: ARG004
        """Those of the targets given with ``--target`` that this mode looks at.

        It is called before the run, in another process. Raises ``UsageError`` for what cannot be
        found.
        """
        return set()

    def whereabouts(self) -> Whereabouts | None:
        """What it can tell the modes that come after it of where messages are, if it can."""
        return None

    def install(self) -> None:
        """Prepare the measured process: after monkey-patching, before any transport exists."""

    def start(self) -> None:
        """Begin to measure. The threads and greenlets under load exist already."""

    def recent(self) -> dict[str, list[list[int]]]:
        """By side, rows of stamps of messages that ended since the last time, for the display."""
        return {}

    def stop(self) -> None:
        """End measuring."""

    def save(self, folder: Path) -> list[Artefact]:  # noqa: ARG002
        """Write what was measured into an existing folder; nothing if it was never started.

        What is written as ``profile.<mode>.json`` comes into ``result.json`` as a summary of the
        mode.
        """
        return []

    @staticmethod
    def report(folder: Path) -> list[Artefact]:  # noqa: ARG004
        """Make what takes long out of the files in a side's folder, and say what is there now.

        It is called after the run, in the process that started it.
        """
        return []


NAMES = frozenset(name for name in vars(Profiler) if not name.startswith("_"))
"""The public names of a mode."""


def _check_names(mode: type[Profiler], names: Mapping[str, object]) -> None:
    for name in names:
        if name.startswith("_") or name in NAMES:
            continue
        near = difflib.get_close_matches(name, sorted(NAMES), n=1)
        hint = f"did you mean {near[0]}?" if near else f"begin it with an underscore: _{name}"
        raise TypeError(f"{mode.__name__}.{name} is nothing that a profiler mode has; {hint}")
