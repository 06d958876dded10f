"""Whose code a function is: the package that its file belongs to, under the name people install."""

import dataclasses
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePath

STDLIB = "stdlib"

GENERATED = "generated code"
"""Code without a file: what ``exec`` was given, as dataclasses and named tuples do."""

_OWN = "omrig"

_APART = {"json": "json", "logging": "logging", "socket": "socket, ssl", "ssl": "socket, ssl"}
"""The parts of the standard library on a message's way that are worth a line of their own."""

_METHOD = re.compile(r"<method '.*' of '([\w.]+)' objects>")
_FUNCTION = re.compile(r"<built-in method ([\w.]+)\.\w+>")


@dataclasses.dataclass(frozen=True)
class Installation:
    """Where the code of a process lies."""

    stdlib: str
    """The folder of the standard library."""
    roots: tuple[str, ...]
    """Folders in which packages lie side by side."""
    distributions: Mapping[str, str]
    """By top-level package, the name of the distribution that brought it."""


def installation() -> Installation:
    """Where the code of this process lies, as far as it has been imported."""
    stdlib = Path(os.__file__).parent
    tops: dict[str, Path] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # The main module goes by two names, and neither says where its package lies.
        known = getattr(module, "__name__", "") == name != "__main__"
        if file and known and "." not in name:
            tops[name] = Path(file).parents[1 if hasattr(module, "__path__") else 0]
    others = {
        name: root
        for name, root in tops.items()
        # Packages are installed below the standard library, in a folder of their own.
        if not root.is_relative_to(stdlib) or root.name in ("site-packages", "dist-packages")
    }
    return Installation(
        stdlib=str(stdlib),
        roots=tuple(sorted({str(root) for root in others.values()})),
        distributions={name: found for name in others if (found := _distribution(name))},
    )


def _distribution(package: str) -> str | None:
    """The name of the distribution called like a package but for ``.``, ``-`` and ``_``, if any.

    Which distribution brought a package of another name is known only to all their lists of files.
    """
    try:
        return metadata.distribution(package).name
    except metadata.PackageNotFoundError:
        return None


def package_of(file: str, installed: Installation) -> str:
    """The package of code in a file: the name of its distribution where that is known.

    omrig's own packages are told apart (``omrig.measured.load``, ``omrig.measured.probes``), and so
    are the parts of the standard library that messages pass. A file that lies in no package goes by
    its own name.
    """
    if file.startswith("<frozen "):
        return _of_stdlib(file.removeprefix("<frozen ").rstrip(">").partition(".")[0])
    if file.startswith("<"):
        return GENERATED
    path = PurePath(file)
    holding = [root for root in (*installed.roots, installed.stdlib) if path.is_relative_to(root)]
    if not holding:
        return path.stem
    root = max(holding, key=len)
    module = path.relative_to(root).with_suffix("").parts
    return _of_stdlib(module[0]) if root == installed.stdlib else _of_others(module, installed)


def package_of_builtin(name: str, installed: Installation) -> str | None:
    """The package of a builtin that is named as cProfile does it; None for the language's own.

    What ``dict.get`` or ``struct.pack`` takes is the time of whoever calls it; what sending on a
    socket or switching greenlets takes is told apart.
    """
    method, function = _METHOD.fullmatch(name), _FUNCTION.fullmatch(name)
    module = ""
    if function:
        module = function[1]
    elif method:
        module = method[1].rpartition(".")[0]
    top = module.partition(".")[0]
    if top.lstrip("_") in _APART:
        return _of_stdlib(top.lstrip("_"))
    if top in sys.stdlib_module_names or not top:
        return None
    return _of_others(module.split("."), installed)


def _of_stdlib(module: str) -> str:
    return _APART.get(module, STDLIB)


def _of_others(module: Sequence[str], installed: Installation) -> str:
    if module[0] == _OWN:
        return ".".join(module[:-1][:3]) or _OWN
    return installed.distributions.get(module[0], module[0])
