"""What ``omrig exec`` has every Python of a service run as it starts: it waits, and does no more.

The agent is imported once the service itself has imported its driver, which is after all patching
and after every choice of the service's own. Until then nothing is imported but what the interpreter
has in itself. The ``sitecustomize`` that this one hides is run, and fails as it would have.
"""

import _thread
import os
import posix
import sys
from _frozen_importlib import module_from_spec
from _frozen_importlib_external import PathFinder, spec_from_file_location

MYPY = False
"""Never true but for who checks types: ``typing`` is not imported here."""

if MYPY:
    from typing import Any

TRIGGER = "oslo_messaging._drivers.impl_rabbit"
"""What is imported where a process makes its first transport."""

THREADS = (_thread.start_new_thread, _thread.allocate_lock)
"""The real ones: eventlet puts its own in their place later."""

FOLDER, ROOT = "OMRIG_EXEC", "OMRIG_EXEC_ROOT"
"""The environment: the folder of the recordings, and that which has omrig."""


def begin() -> None:
    """Wait for the driver; without the environment of ``omrig exec`` there is nothing to do."""
    folder, root = _setting(FOLDER), _setting(ROOT)
    if folder and root and not any(type(each).__name__ == "OmrigFinder" for each in sys.meta_path):
        sys.meta_path.insert(0, OmrigFinder(folder, root))


def run_hidden() -> None:
    """Run the ``sitecustomize`` that would have been run without this one."""
    here = os.path.dirname(os.path.abspath(__file__))
    rest = [path for path in sys.path if os.path.abspath(path) != here]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


class OmrigFinder:
    """Finds the driver as the others do, and ``omrig`` where ``omrig exec`` was started from; once
    the driver has been imported it finds nothing any more."""

    def __init__(self, folder: str, root: str) -> None:
        self._folder = folder
        self._package = f"{root}/omrig"

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """As ``importlib.abc.MetaPathFinder`` says."""
        if name == "omrig":
            places = [self._package]
            file = f"{self._package}/__init__.py"
            return spec_from_file_location(name, file, submodule_search_locations=places)
        if name != TRIGGER:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._attach)
                return spec
        return None

    def _attach(self) -> None:
        try:
            if "omrig" in sys.modules:
                raise RuntimeError("it is one of omrig's own, which measures itself")
            from omrig.measured.attached import agent

            agent.begin(self._folder, *THREADS)
        except Exception as error:  # noqa: BLE001 - a service must not fail for this
            _say(f"{type(error).__name__}: {error}")
        finally:
            if self in sys.meta_path:
                sys.meta_path.remove(self)


class _Loader:
    """The driver's own loader, and what is done once that has loaded it."""

    def __init__(self, loader: "Any", done: "Any") -> None:
        self._loader = loader
        self._done = done

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "Any") -> "Any":
        return self._loader.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._done()


def _setting(name: str) -> str:
    return os.fsdecode(posix.environ.get(os.fsencode(name), b""))


def _say(why: str) -> None:
    line = " ".join(f"omrig: process {posix.getpid()} cannot be recorded: {why}".split())
    try:
        posix.write(2, f"{line}\n".encode(errors="backslashreplace"))
    except OSError:
        # There is nobody to be told.
        return


if __name__ == "sitecustomize":
    try:
        begin()
    except Exception as error:  # noqa: BLE001 - a service must not fail for this
        _say(f"{type(error).__name__}: {error}")
    run_hidden()
