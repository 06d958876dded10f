"""What ``--target`` names: functions, found by their source and replaced by their code objects.

A function is known by the file of its code, not by where it is bound: that way decorated and nested
functions, properties, lambdas and comprehensions are found as well as methods.
"""

import difflib
import functools
import gc
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

from omrig.drivers import maps
from omrig.model.errors import UsageError, naming
from omrig.model.stage_map import StageMap

DRIVERS = "oslo_messaging._drivers"

MAP_FILE = ".toml"
"""How the file of a user's stage map ends."""

_DRIVER_PREFIX = "impl_"
_EXECUTOR = "executor"
_OWN_PACKAGE = "oslo.messaging"


class Place(NamedTuple):
    """Where the code of a target is."""

    target: str
    """As it was named."""
    module: str
    file: str
    """The module's source."""
    function: str = ""
    """A qualified name, of a function or of what holds functions; empty for the whole module."""

    def holds(self, code: CodeType) -> bool:
        """Whether ``code``, which is in this file, belongs to the target."""
        name = code.co_qualname
        return not self.function or name == self.function or name.startswith(f"{self.function}.")


def has_code(target: str) -> bool:
    """Whether ``target`` is about code: all are but a user's stage map that lists no modules."""
    return not target.endswith(MAP_FILE) or bool(maps.read(target).modules)


def locate(target: str) -> list[Place]:
    """The places of a target: the name of a stage map, its file, a module, ``module:function`` or
    a Python file.

    Nothing is imported. Raises ``UsageError`` when there is no such thing, or no
    function in it.
    """
    if target.endswith(MAP_FILE):
        return _of_map(maps.read(target), target)
    if target.endswith(".py") or os.sep in target:
        return [_checked(Place(target, _module_of(target), os.path.realpath(target)))]
    known = maps.known()
    if target in known:
        return _of_map(known[target], target)
    module, colon, function = target.partition(":")
    if colon and not function:
        raise UsageError(f"--target: {target!r} names no function after the colon")
    if module.startswith(_DRIVER_PREFIX) and _find(f"{DRIVERS}.{module}"):
        # A driver without a stage map.
        module = f"{DRIVERS}.{module}"
    return [_checked(Place(target, module, _source(_spec(module, target), target), function))]


def default_targets(scheme: str) -> list[str]:
    """The driver of a URL's scheme, with what of oslo.messaging it rests on, and the executor."""
    chosen = [each.name for each in maps.for_scheme(scheme) if each.package == _OWN_PACKAGE]
    return chosen or [_driver_module(scheme), _EXECUTOR]


def instrument(places: Sequence[Place], replace: Callable[[CodeType], CodeType]) -> list[CodeType]:
    """Give every function of ``places`` the code that ``replace`` makes of its own.

    Imports the modules. Functions that exist change at once, nested ones whenever they are made; a
    call that is under way goes on with the old code. Returns the new code objects.

    Raises ``UsageError`` for a module that cannot be imported, and for a place
    of which no function is left.
    """
    for place in places:
        _import(place)
    surgeon = _Surgeon(places, replace)
    for function in _functions_in({place.file for place in places}):
        code = surgeon.rebuild(function.__code__)
        if code is not function.__code__:
            function.__code__ = code
    for place in places:
        if not any(map(place.holds, surgeon.made[place.file])):
            raise UsageError(f"--target: {place.target!r} holds no function that can be called")
    return [code for made in surgeon.made.values() for code in made]


class Twins:
    """A second code for every function of ``places``, which ``replace`` makes of its own.

    It is in force from :meth:`put_in` to :meth:`take_out`, in functions that exist by then and in
    those that are made meanwhile; a call that is under way goes on with the code it began with.
    """

    def __init__(self, places: Sequence[Place], replace: Callable[[CodeType], CodeType]) -> None:
        self._files = {place.file for place in places}
        surgeon = _Surgeon(places, replace)
        for function in _functions_in(self._files):
            surgeon.rebuild(function.__code__)
        self.codes = [code for made in surgeon.made.values() for code in made]
        self._there = surgeon.pairs()
        self._back = {id(new): (new, code) for code, new in self._there.values()}

    def put_in(self) -> None:
        """Give the functions their second code."""
        self._swap(self._there)

    def take_out(self) -> None:
        """Give them their own code again."""
        self._swap(self._back)

    def _swap(self, pairs: Mapping[int, tuple[CodeType, CodeType]]) -> None:
        for function in _functions_in(self._files):
            # Whose code has been replaced by others since is left to them.
            if pair := pairs.get(id(function.__code__)):
                function.__code__ = pair[1]


def nested(code: CodeType) -> Iterator[CodeType]:
    """The functions, lambdas and comprehensions within ``code``, but no class bodies."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if _is_function(constant):
                yield constant
            yield from nested(constant)


def _is_function(code: CodeType) -> bool:
    # The bodies of modules and classes keep their names in a dictionary.
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


class _Surgeon:
    """Replaces code objects from the innermost outwards: a code object holds those within it."""

    def __init__(self, places: Sequence[Place], replace: Callable[[CodeType], CodeType]) -> None:
        self._places = places
        self._replace = replace
        # By identity: code objects of different files can be equal. Both are kept alive.
        self._done: dict[int, tuple[CodeType, CodeType]] = {}
        self.made: dict[str, list[CodeType]] = {place.file: [] for place in places}

    def rebuild(self, code: CodeType) -> CodeType:
        """What takes the place of ``code``: itself where nothing in it was asked for."""
        if id(code) in self._done:
            return self._done[id(code)][1]
        constants = tuple(
            self.rebuild(constant) if isinstance(constant, CodeType) else constant
            for constant in code.co_consts
        )
        new = code
        if any(one is not other for one, other in zip(constants, code.co_consts, strict=True)):
            new = code.replace(co_consts=constants)
        file = _real(code.co_filename)
        if _is_function(code) and any(p.file == file and p.holds(code) for p in self._places):
            new = self._replace(new)
            self.made[file].append(new)
        self._done[id(code)] = code, new
        self._done[id(new)] = new, new
        return new

    def pairs(self) -> dict[int, tuple[CodeType, CodeType]]:
        """By identity, each code that was replaced and what took its place."""
        return {key: pair for key, pair in self._done.items() if pair[0] is not pair[1]}


@functools.cache
def _real(file: str) -> str:
    return os.path.realpath(file)


def _functions_in(files: Collection[str]) -> list[FunctionType]:
    return [
        found
        for found in gc.get_objects()
        # Not isinstance: what pretends to be a function runs code to do so.
        if type(found) is FunctionType and _real(found.__code__.co_filename) in files
    ]


def _import(place: Place) -> None:
    try:
        importlib.import_module(place.module)
    except Exception as error:
        raise UsageError(
            f"--target: {place.target!r}: {place.module} cannot be imported"
            f" ({type(error).__name__}: {error})"
        ) from error


# Finding places


def _of_map(stage_map: StageMap, target: str) -> list[Place]:
    return [
        _checked(Place(target, m, _source(_spec(m, target), target))) for m in stage_map.modules
    ]


def _checked(place: Place) -> Place:
    """The place, if there is a function in it."""
    try:
        with naming(f"--target: {place.target!r}"):
            source = decode_source(Path(place.file).read_bytes())
        found = list(nested(compile(source, place.file, "exec", dont_inherit=True)))
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"--target: {place.target!r} cannot be read ({error})") from error
    if any(map(place.holds, found)):
        return place
    if not place.function:
        hint = _modules_in(place.module)
        raise UsageError(
            f"--target: {place.target!r} has no functions"
            + (f"; name a module in it: {', '.join(hint)}" if hint else "")
        )
    names = {code.co_qualname for code in found}
    owners = {name.rpartition(".")[0] for name in names if "<" not in name} - {""}
    raise UsageError(
        f"--target: {place.module} has no function {place.function!r}"
        + _did_you_mean(place.function, names | owners)
    )


def _module_of(file: str) -> str:
    path = Path(os.path.realpath(file))
    if not path.is_file():
        raise UsageError(
            f"--target: there is no file {file}; name a Python file, a module, module:function or a"
            f" stage map ({', '.join(maps.known())})"
        )
    parts = list(path.with_suffix("").parts[1:])
    if parts[-1] == "__init__":
        parts.pop()
    for depth in range(1, len(parts) + 1):
        module = ".".join(parts[-depth:])
        spec = _find(module)
        if spec and spec.origin and os.path.realpath(spec.origin) == str(path):
            return module
    raise UsageError(
        f"--target: {file} is no file that the measured process can import as a module; put its"
        " folder on PYTHONPATH"
    )


def _driver_module(scheme: str) -> str:
    """The module that oslo.messaging loads for a scheme."""
    from importlib.metadata import entry_points

    for entry_point in entry_points(group="oslo.messaging.drivers", name=scheme):
        return entry_point.module
    raise UsageError(f"--target: no driver for {scheme}:// is installed; name what to look at")


def _source(spec: ModuleSpec, target: str) -> str:
    if not spec.has_location or not spec.origin or not spec.origin.endswith(".py"):
        raise UsageError(f"--target: {target!r}: {spec.name} has no Python source")
    return os.path.realpath(spec.origin)


def _spec(module: str, target: str) -> ModuleSpec:
    spec = _find(module)
    if spec is None:
        parent, _, _ = module.rpartition(".")
        near = [f"{parent}.{name}" if parent else name for name in _modules_in(parent)]
        if "." not in target:
            drivers = [name for name in _modules_in(DRIVERS) if name.startswith(_DRIVER_PREFIX)]
            near = [*maps.known(), *drivers, *near]
        raise UsageError(
            f"--target: there is no module {module!r}"
            + (_did_you_mean(target, near) or "; omrig targets lists the stage maps")
        )
    return spec


def _find(module: str) -> ModuleSpec | None:
    """The spec of a module, found without importing what it is in."""
    spec, path, name = None, None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        if not part or (spec and path is None):
            return None
        found = (_find_one(finder, name, path) for finder in sys.meta_path)
        # The measured process has the working directory on its path, a console script has not.
        here = None if spec else PathFinder.find_spec(name, [str(Path.cwd())])
        spec = next((each for each in found if each), here)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec


def _find_one(finder: object, module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    find_spec = getattr(finder, "find_spec", None)
    return find_spec(module, path) if find_spec else None


def _modules_in(package: str) -> list[str]:
    spec = _find(package) if package else None
    if package and (spec is None or spec.submodule_search_locations is None):
        return []
    path = spec.submodule_search_locations if spec else None
    return sorted(found.name for found in pkgutil.iter_modules(path))


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(set(names)), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
