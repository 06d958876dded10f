"""Profiler modes: one file a mode, found by name through the entry points `omrig.profilers`.

A package outside omrig adds a mode by declaring a class with the shape of `Profiler` under that
group. A mode is loaded only when it is asked for, so what it needs may be missing elsewhere.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from omrig.errors import UsageError

NAMESPACE = "omrig.profilers"

ANY: frozenset[str] = frozenset({"any mode"})
"""For `Profiler.coexists_with` of a mode that does nothing in the measured process."""


@dataclasses.dataclass(frozen=True)
class ProfilerContext:
    """What a profiler is told about the run it is to observe."""

    executor: str
    """`eventlet` or `threading`."""
    side: str
    """`producer`, `consumer`, or `both` where one process plays both."""
    clock: str = "cpu"
    """`cpu` (time spent computing) or `wall` (time that passed), where the mode has the choice."""
    scheme: str = "rabbit"
    """The transport URL's driver."""
    sample: int = 1
    """Of so many messages one is looked at, where the mode has the choice."""
    folder: Path = Path()
    """The side's folder, for what has to be written during the run."""
    targets: tuple[str, ...] = ()
    """What `--target` named, for modes that look at chosen functions only."""


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One file that a profiler wrote."""

    path: str
    """Relative to the folder given to `Profiler.save`."""
    kind: str
    """The file's format."""
    open_with: str
    """The exact command that shows it, with `{path}` in place of the file's path."""


class Profiler(Protocol):
    """What a mode implements. The methods are called in the order given here.

    Each is called once, but for `start` and `stop`: a mode's cost is measured by calling them in
    turn, with the same load in between. No message is under way then, but threads and greenlets
    wait in the midst of functions. A mode that cannot do that has an attribute `pausable = False`:
    it is on from the first start to the last stop, and what it costs is not measured.
    """

    name: str
    coexists_with: frozenset[str]
    """The modes that may run at the same time; it is enough that one of the two says so."""

    def __init__(self, context: ProfilerContext) -> None: ...

    def install(self) -> None:
        """Prepare the measured process: after monkey-patching, before any transport exists."""

    def start(self) -> None:
        """Begin to measure. The threads and greenlets under load exist already."""

    def stop(self) -> None:
        """End measuring."""

    def save(self, folder: Path) -> list[Artefact]:
        """Write what was measured into an existing folder; nothing if `start` was never called.

        What is written as `profile.<mode>.json` comes into `result.json` as a summary of the mode.
        """


def works_inside(profiler: Profiler) -> bool:
    """Whether the mode does anything in the measured process."""
    return profiler.name != "none" and profiler.coexists_with != ANY


def is_slow(profiler: Profiler) -> bool:
    """Whether the mode may slow the run so much that its cost is measured unasked."""
    return works_inside(profiler) and profiler.name != "stages"


def is_pausable(profiler: Profiler) -> bool:
    """Whether the mode can be stopped and started during the load."""
    return bool(getattr(profiler, "pausable", True))


def known_modes() -> list[str]:
    """The names of all installed modes, sorted, without importing any of them."""
    from stevedore.named import NamedExtensionManager

    manager: NamedExtensionManager[Any] = NamedExtensionManager(
        NAMESPACE, names=[], on_missing_entrypoints_callback=None
    )
    return sorted(set(manager.entry_points_names()))


def load(modes: Sequence[str]) -> list[type[Profiler]]:
    """The classes of the named modes, in the order given.

    Raises UsageError where a mode is unknown, cannot be imported, is given twice, or cannot run
    together with another of them.
    """
    known = known_modes()
    for mode in modes:
        if mode not in known:
            raise UsageError(f"--profile: unknown mode {mode!r}; known modes: {', '.join(known)}")
        if modes.count(mode) > 1:
            raise UsageError(f"--profile: mode {mode!r} is given more than once")
    classes = [_load_one(mode) for mode in modes]
    for one, other in itertools.combinations(zip(modes, classes, strict=True), 2):
        _check_coexistence(*one, *other)
    return classes


def _load_one(mode: str) -> type[Profiler]:
    from stevedore.named import NamedExtensionManager

    failures: list[BaseException] = []
    manager: NamedExtensionManager[Any] = NamedExtensionManager(
        NAMESPACE,
        names=[mode],
        on_load_failure_callback=lambda _manager, _entry_point, error: failures.append(error),
        on_missing_entrypoints_callback=None,
    )
    if failures:
        reason = f"{type(failures[0]).__name__}: {failures[0]}"
        raise UsageError(f"--profile: mode {mode!r} cannot be loaded: {reason}")
    found = [extension.plugin for extension in manager.extensions]
    if len(found) > 1:
        origins = ", ".join(sorted({str(plugin.__module__) for plugin in found}))
        raise UsageError(f"--profile: mode {mode!r} is provided more than once: by {origins}")
    return cast(type[Profiler], found[0])


def _check_coexistence(
    mode: str, profiler: type[Profiler], other_mode: str, other: type[Profiler]
) -> None:
    if other_mode in profiler.coexists_with or mode in other.coexists_with:
        return
    if ANY in (profiler.coexists_with, other.coexists_with):
        return
    if "none" in (mode, other_mode):
        with_none = other_mode if mode == "none" else mode
        raise UsageError(
            f"--profile: 'none' measures nothing and goes with no other mode; leave it out to use"
            f" {with_none!r}"
        )
    raise UsageError(
        f"--profile: modes {mode!r} and {other_mode!r} cannot run at the same time, each would"
        f" measure the other; {mode!r} goes with: {_names(profiler)}; {other_mode!r} goes with:"
        f" {_names(other)}"
    )


def _names(profiler: type[Profiler]) -> str:
    return ", ".join(sorted(profiler.coexists_with)) or "nothing"
