"""omrig's own files for another environment: the same as this process runs, and nothing else.

They lie in a folder of their own that goes before the environment's packages on ``PYTHONPATH``: the
command's other packages do not come along.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path

import omrig
from omrig.environments import cache
from omrig.environments.interpreters import Interpreter
from omrig.model import interpreter

_PROBES = Path("omrig", "measured", "probes")
_MODULE = "_stamp"
_DATA = Path("omrig", "profiles")
"""In a checkout it lies beside the package."""

_COMPILER = "cc"


@dataclasses.dataclass(frozen=True)
class Code:
    """omrig's files in ``folder``; ``note`` says what is missing in them, empty for nothing."""

    folder: Path
    note: str = ""


def kept(python: Interpreter, say: Callable[[str], None]) -> Code:
    """omrig's files for ``python``, copied where they are not there yet."""
    files = _files()
    module, why_not = _module(python)
    path = cache.folder() / f"{cache.CODE}{_digest(files, python, module, why_not)}"
    note = f"the stamps of messages are made in Python: {why_not}" if why_not else ""
    if not cache.held(path):
        with cache.locked(say) as place:
            if not path.is_dir():
                made = Path(tempfile.mkdtemp(prefix=cache.MAKING, dir=place))
                try:
                    _copy(files, made)
                    note = _put_module(module, python, made) if module else note
                    made.rename(path)
                finally:
                    shutil.rmtree(made, ignore_errors=True)
            cache.held(path)
    os.utime(path)
    is_there = bool(list((path / _PROBES).glob(f"{_MODULE}.*.so")))
    if module and not is_there and not note:
        note = "the stamps of messages are made in Python: the C module does not build here"
    return Code(path, note)


def _files() -> dict[Path, Path]:
    """omrig's files by their paths in the folder."""
    package = Path(omrig.__file__).parent
    found = {Path("omrig") / path.relative_to(package): path for path in _sources(package)}
    spec = util.find_spec("omrig.profiles")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found |= {_DATA / each.relative_to(place): each for each in _sources(Path(place))}
    return dict(sorted(found.items()))


def _sources(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != "__pycache__"]
        paths = (Path(place, name) for name in names)
        found += [path for path in paths if path.suffix not in (".so", ".pyc")]
    return found


def _module(python: Interpreter) -> tuple[Path | None, str]:
    """What the C module for ``python`` is made from, a built one or its source; else why not.

    Where this process has none, and could have, there is none elsewhere either.
    """
    folder = Path(omrig.__file__).parent.joinpath(*_PROBES.parts[1:])
    spec = util.find_spec(f"{'.'.join(_PROBES.parts)}.{_MODULE}")
    if spec is None or spec.origin is None:
        return None, "omrig itself runs without its C module"
    if Path(spec.origin).name == f"{_MODULE}{python.suffix}":
        return Path(spec.origin), ""
    if not shutil.which(_COMPILER):
        return None, "there is no compiler (cc)"
    if not (python.include / "Python.h").exists():
        return None, f"Python {python.number} has no headers"
    return folder / f"{_MODULE}.c", ""


def _digest(files: dict[Path, Path], python: Interpreter, module: Path | None, why_not: str) -> str:
    made = hashlib.sha256(f"{python.suffix} {python.build} {module} {why_not}".encode())
    if module:
        made.update(module.read_bytes())
    for name, path in files.items():
        made.update(os.fsencode(name) + b"\0" + path.read_bytes() + b"\0")
    made.update(_entry_points().encode())
    return made.hexdigest()[:16]


def _entry_points() -> str:
    return metadata.distribution("omrig").read_text("entry_points.txt") or ""


def _copy(files: dict[Path, Path], to: Path) -> None:
    for name, path in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name)
    about = to / f"omrig-{omrig.__version__}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(metadata.distribution("omrig").read_text("METADATA") or "")
    (about / "entry_points.txt").write_text(_entry_points())


def _put_module(module: Path, python: Interpreter, to: Path) -> str:
    """Copy or compile the C module; why it is not there, empty where it is."""
    target = to / _PROBES / f"{_MODULE}{python.suffix}"
    if module.suffix == ".so":
        shutil.copyfile(module, target)
        return ""
    done = subprocess.run(
        [
            *(_COMPILER, "-shared", "-fPIC", "-std=c11", "-O2"),
            *("-I", str(python.include), "-I", str(module.parent)),
            *(str(module), "-o", str(target)),
        ],
        capture_output=True,
        text=True,
        env=interpreter.without_options(),
    )
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    why = (errors or ["the compiler fails"])[0]
    return f"the stamps of messages are made in Python: the C module does not build: {why}"
