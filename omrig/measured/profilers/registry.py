"""The profiler modes that there are: found by name, refused with a reason.

A mode is an entry point of the group ``omrig.profilers`` that derives from
:class:`omrig.measured.profilers.base.Profiler`. It is loaded only when it is asked for, so what it
needs may be missing elsewhere. A mode of which nothing runs in the measured process is a row here.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from omrig.measured.profilers.base import NO_REASONS, Artefact, Context, Profiler
from omrig.model.errors import UsageError
from omrig.model.profiling import BUILT_IN, NONE, STAGES, Option, Value

NAMESPACE = "omrig.profilers"

_OWN = "omrig"


@dataclasses.dataclass(frozen=True)
class Outside:
    """A mode of which nothing runs in the measured process."""

    with_any: bool
    """Whether it goes with every mode that does not refuse it, else with none."""
    coexists_with: ClassVar[frozenset[str]] = frozenset()
    refused_with: ClassVar[Mapping[str, str]] = NO_REASONS
    refused_executors: ClassVar[Mapping[str, str]] = NO_REASONS


OUTSIDE: Mapping[str, Outside] = MappingProxyType(
    {
        NONE: Outside(with_any=False),
        "memory": Outside(with_any=True),
        "resources": Outside(with_any=True),
    }
)
"""``none`` is the load alone, the yardstick for what every other mode costs. The supervisor samples
what ``resources`` shows in every run, and each side's memory where ``memory`` is asked for
(``supervisor.sampler``); the growth is fitted after the run (``accounting.growth``)."""

Mode = type[Profiler] | Outside

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


def known_modes() -> list[str]:
    """The names of all installed modes, sorted, without importing any of them."""
    return sorted({*OUTSIDE, *(entry_point.name for entry_point in _entry_points())})


def load(modes: Sequence[str], executor: str | None = None) -> list[type[Profiler]]:
    """The classes of those of the named modes that run in the measured process, in that order.

    Raises ``UsageError`` where a mode is unknown or not offered, cannot be imported, is given
    twice, cannot run under the executor (None: whichever it is), or together with another of them.
    """
    known = known_modes()
    for mode in modes:
        if mode not in known:
            raise UsageError(_why_unknown(mode, known))
        if modes.count(mode) > 1:
            raise UsageError(f"--profile: mode {mode!r} is given more than once")
    found = {mode: _find(mode) for mode in modes}
    for mode, each in found.items():
        if executor and (reason := each.refused_executors.get(executor)):
            raise UsageError(
                f"--profile: mode {mode!r} cannot run with --executor {executor}: {reason}"
            )
    for one, other in itertools.combinations(found.items(), 2):
        _check_coexistence(*one, *other)
    return [each for each in found.values() if not isinstance(each, Outside)]


def make(modes: Sequence[str], context: Context) -> list[Profiler]:
    """The named modes that run in the measured process, for this run; each is told what one before
    it can tell of where messages are.

    Raises what :func:`load` raises.
    """
    made: list[Profiler] = []
    for mode in load(modes):
        profiler = mode(context)
        made.append(profiler)
        if whereabouts := profiler.whereabouts():
            context = dataclasses.replace(context, whereabouts=whereabouts)
    return made


def options_of(modes: Sequence[str]) -> list[Option[Value]]:
    """The options of those of the named modes that other packages provide, each once.

    omrig's own are known without importing a mode (:data:`omrig.model.profiling.OPTIONS`). Raises
    ``UsageError`` where a mode cannot be imported; what is unknown is passed over.
    """
    found: list[Option[Value]] = []
    for mode in _of_other_packages(modes):
        for option in _load_one(mode).options:
            if option in found:
                continue
            if option.dest in {each.dest for each in (*BUILT_IN, *found)}:
                raise UsageError(
                    f"--profile: mode {mode!r} cannot be loaded: another option is called"
                    f" {option.dest!r} as its {option.flag} is"
                )
            found.append(option)
    return found


def stages_refused(modes: Sequence[str]) -> str:
    """Which of the named modes refuses ``stages``, and why: they are left out then.

    Empty where none does, and where ``stages`` or ``none`` is named: that is then refused or
    granted as with any other two modes (:func:`load`). None of omrig's own modes refuses them.
    Raises ``UsageError`` where a mode cannot be imported; what is unknown is passed over.
    """
    if STAGES in modes or NONE in modes:
        return ""
    for mode in _of_other_packages(modes):
        if reason := _load_one(mode).refused_with.get(STAGES):
            return f"mode {mode!r} refuses them: {reason}"
    return ""


def check_targets(modes: Sequence[str], targets: Sequence[str]) -> None:
    """Raise ``UsageError`` for a target that no mode looks at, or that cannot be found."""
    looked_at: set[str] = set()
    for profiler in load(modes):
        looked_at |= profiler.check_targets(targets)
    for target in targets:
        if target not in looked_at:
            raise UsageError(
                f"--target: --profile {','.join(modes)} does not look at {target!r}; lines takes"
                " modules, functions and the names of stage maps, stages the file of a stage map"
                " (.toml)"
            )


def reporters(modes: Sequence[str]) -> list[Callable[[Path], list[Artefact]]]:
    """What the modes that have something to do after the run do with a side's folder."""
    return [each.report for each in load(modes) if each.report is not Profiler.report]


def _entry_points() -> list[EntryPoint]:
    from stevedore.named import NamedExtensionManager

    manager: NamedExtensionManager[Any] = NamedExtensionManager(
        NAMESPACE, names=[], on_missing_entrypoints_callback=None
    )
    return list(manager.list_entry_points())


def _of_other_packages(modes: Sequence[str]) -> list[str]:
    """Those of the named modes that are not omrig's own, each once."""
    others = [
        entry_point.name
        for entry_point in _entry_points()
        if entry_point.name in modes and entry_point.module.partition(".")[0] != _OWN
    ]
    return list(dict.fromkeys(others))


def _why_unknown(mode: str, known: Sequence[str]) -> str:
    if mode.lower() in NOT_OFFERED:
        return f"--profile: mode {mode!r} is not offered: {NOT_OFFERED[mode.lower()]}"
    return f"--profile: unknown mode {mode!r}; known modes: {', '.join(known)}"


def _find(mode: str) -> Mode:
    if mode not in OUTSIDE:
        return _load_one(mode)
    also = [entry_point.module for entry_point in _entry_points() if entry_point.name == mode]
    if also:
        raise UsageError(_provided_more_than_once(mode, [__name__, *also]))
    return OUTSIDE[mode]


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
        if isinstance(failures[0], UsageError):
            raise failures[0]
        missing = EXTRAS.get(mode)
        if isinstance(failures[0], ModuleNotFoundError) and failures[0].name == missing:
            raise UsageError(
                f"--profile: mode {mode!r} needs the package {missing}: pip install omrig[{mode}]"
            )
        reason = f"{type(failures[0]).__name__}: {failures[0]}"
        raise UsageError(f"--profile: mode {mode!r} cannot be loaded: {reason}")
    if len(manager.extensions) > 1:
        modules = [extension.entry_point.module for extension in manager.extensions]
        raise UsageError(_provided_more_than_once(mode, modules))
    (extension,) = manager.extensions
    return _checked(mode, extension.plugin, extension.entry_point.value)


def _checked(mode: str, plugin: object, entry_point: str) -> type[Profiler]:
    """What an entry point gave, if it is a mode."""
    refused = f"--profile: mode {mode!r} cannot be loaded: its entry point {entry_point}"
    if not isinstance(plugin, type) or not issubclass(plugin, Profiler):
        base = f"{Profiler.__module__}.{Profiler.__qualname__}"
        raise UsageError(f"{refused} is no profiler mode; derive a class from {base}")
    if plugin.name != mode:
        raise UsageError(f"{refused} has the name {plugin.name!r}; give both the same")
    return plugin


def _provided_more_than_once(mode: str, modules: Sequence[str]) -> str:
    origins = ", ".join(sorted(set(modules)))
    return f"--profile: mode {mode!r} is provided more than once: by {origins}"


def _check_coexistence(mode: str, one: Mode, other_mode: str, other: Mode) -> None:
    refused = one.refused_with.get(other_mode) or other.refused_with.get(mode)
    agreed = (
        other_mode in one.coexists_with
        or mode in other.coexists_with
        or (STAGES in (mode, other_mode) and NONE not in (mode, other_mode))
        or any(isinstance(each, Outside) and each.with_any for each in (one, other))
    )
    if agreed and not refused:
        return
    if NONE in (mode, other_mode):
        with_none = other_mode if mode == NONE else mode
        raise UsageError(
            f"--profile: 'none' measures nothing and goes with no other mode; leave it out to use"
            f" {with_none!r}"
        )
    reason = refused or "each would measure the other"
    raise UsageError(
        f"--profile: modes {mode!r} and {other_mode!r} cannot run at the same time, {reason};"
        f" {mode!r} goes with: {_names(mode, one)}; {other_mode!r} goes with:"
        f" {_names(other_mode, other)}"
    )


def _names(name: str, mode: Mode) -> str:
    """The modes that one goes with, beside ``stages``, which are there unasked."""
    if name == STAGES or (isinstance(mode, Outside) and mode.with_any):
        return "any mode"
    everywhere = {other for other, each in OUTSIDE.items() if each.with_any}
    named = {*mode.coexists_with, *everywhere} - mode.refused_with.keys()
    return ", ".join(sorted(named)) or "nothing"
