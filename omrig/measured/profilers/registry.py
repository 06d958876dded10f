"""Profiler modes: one file a mode, found by name through the entry points `omrig.profilers`.

A package outside omrig adds a mode by declaring a class with the shape of `Profiler` under that
group. A mode is loaded only when it is asked for, so what it needs may be missing elsewhere.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

from omrig.model.errors import UsageError

NAMESPACE = "omrig.profilers"

ANY: frozenset[str] = frozenset({"any mode"})
"""For `Profiler.coexists_with` of a mode that does nothing in the measured process."""

EXTRAS: Mapping[str, str] = MappingProxyType({"memray": "memray", "pyspy": "py-spy"})
"""The modes that need a package which is not installed with omrig: an extra named like the mode."""

_INSTEAD = "use yappi (every call) or pyspy (samples)"

NOT_OFFERED: Mapping[str, str] = MappingProxyType(
    {
        "pyinstrument": f"it deadlocks under eventlet and sees only one thread; {_INSTEAD}",
        "scalene": f"it breaks under eventlet and has to start the program itself; {_INSTEAD}",
        "cprofile": (
            "it knows neither greenlets nor threads, and the time of one counts for another or for"
            f" none; {_INSTEAD}"
        ),
    }
)
"""Well-known profilers that cannot be a mode: why, and what does the same."""


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
    gil: bool = False
    """For `pyspy`: only what holds the interpreter lock."""
    native: bool = False
    """For `pyspy`: the stacks of C functions, too."""


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One file that a profiler wrote."""

    path: str
    """Relative to the folder given to `Profiler.save`."""
    kind: str
    """The file's format."""
    open_with: str
    """The exact command that shows it, with `{path}` in place of the file's path."""

    def listed(self, folder: str, side: str) -> dict[str, str]:
        """As `result.json` lists it: found in this folder of the run, and of this side."""
        return {
            "path": f"{folder}/{self.path}",
            "kind": self.kind,
            "side": side,
            "open_with": self.open_with,
        }


class Profiler(Protocol):
    """What a mode implements. The methods are called in the order given here.

    Each is called once, but for `start` and `stop`: a mode's cost is measured by calling them in
    turn, with the same load in between. No message is under way then, but threads and greenlets
    wait in the midst of functions. A mode that cannot do that has an attribute `pausable = False`:
    it is on from the first start to the last stop, and what it costs is not measured.

    A mode that breaks under an executor says so in `refused_executors`, a mapping from the executor
    to the reason, and one that breaks with another mode in `refused_with`. The user is told.

    A mode that makes something out of its files that takes long has a static method `report`: it is
    given the side's folder after the run, in the process that started it, and returns what it wrote
    there.

    A mode that looks at chosen functions has a static method `check_targets`: it is given what
    `--target` named, raises UsageError for what it cannot find, and returns those it looks at. It
    is called before the run, in another process.
    """

    name: str
    coexists_with: frozenset[str]
    """The modes that may run at the same time; it is enough that one of the two says so, unless
    the other refuses it with a reason."""

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


def load(modes: Sequence[str], executor: str | None = None) -> list[type[Profiler]]:
    """The classes of the named modes, in the order given.

    Raises UsageError where a mode is unknown or not offered, cannot be imported, is given twice,
    cannot run under the executor (None: whichever it is), or together with another of them.
    """
    known = known_modes()
    for mode in modes:
        if mode not in known:
            raise UsageError(_why_unknown(mode, known))
        if modes.count(mode) > 1:
            raise UsageError(f"--profile: mode {mode!r} is given more than once")
    classes = [_load_one(mode) for mode in modes]
    for mode, profiler in zip(modes, classes, strict=True):
        if reason := _reason(profiler, "refused_executors", executor):
            raise UsageError(
                f"--profile: mode {mode!r} cannot run with --executor {executor}: {reason}"
            )
    for one, other in itertools.combinations(zip(modes, classes, strict=True), 2):
        _check_coexistence(*one, *other)
    return classes


def check_targets(modes: Sequence[str], targets: Sequence[str]) -> None:
    """Raise UsageError for a target that no mode looks at, or that cannot be found."""
    looked_at: set[str] = set()
    for profiler in load(modes):
        check = getattr(profiler, "check_targets", None)
        if check is not None:
            looked_at |= check(targets)
    for target in targets:
        if target not in looked_at:
            raise UsageError(
                f"--target: --profile {','.join(modes)} does not look at {target!r}; lines takes"
                " modules, functions and the names of stage maps, stages the file of a stage map"
                " (.toml)"
            )


def reporters(modes: Sequence[str]) -> list[Callable[[Path], list[Artefact]]]:
    """What the modes do with a side's folder after the run; see `Profiler`."""
    return [profiler.report for profiler in load(modes) if hasattr(profiler, "report")]


def _why_unknown(mode: str, known: Sequence[str]) -> str:
    if mode.lower() in NOT_OFFERED:
        return f"--profile: mode {mode!r} is not offered: {NOT_OFFERED[mode.lower()]}"
    return f"--profile: unknown mode {mode!r}; known modes: {', '.join(known)}"


def _reason(profiler: type[Profiler], attribute: str, name: str | None) -> str | None:
    """Why a mode cannot run with an executor or another mode, if it says so itself."""
    reasons: Mapping[str, str] = getattr(profiler, attribute, {})
    return reasons.get(name) if name else None


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
        missing = EXTRAS.get(mode)
        if isinstance(failures[0], ModuleNotFoundError) and failures[0].name == missing:
            raise UsageError(
                f"--profile: mode {mode!r} needs the package {missing}: pip install omrig[{mode}]"
            )
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
    refused = _reason(profiler, "refused_with", other_mode) or _reason(other, "refused_with", mode)
    agreed = (
        other_mode in profiler.coexists_with
        or mode in other.coexists_with
        or ANY in (profiler.coexists_with, other.coexists_with)
    )
    if agreed and not refused:
        return
    if "none" in (mode, other_mode):
        with_none = other_mode if mode == "none" else mode
        raise UsageError(
            f"--profile: 'none' measures nothing and goes with no other mode; leave it out to use"
            f" {with_none!r}"
        )
    reason = refused or "each would measure the other"
    raise UsageError(
        f"--profile: modes {mode!r} and {other_mode!r} cannot run at the same time, {reason};"
        f" {mode!r} goes with: {_names(profiler)}; {other_mode!r} goes with: {_names(other)}"
    )


def _names(profiler: type[Profiler]) -> str:
    return ", ".join(sorted(profiler.coexists_with)) or "nothing"
