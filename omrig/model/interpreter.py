"""The same code in every process: how processes of ours in Python are started.

``python -m`` puts the working directory first on ``sys.path``: in a checkout of a library, or
beside a file that happens to be called ``json.py``, they would measure that instead of what the
command imports.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import omrig

_OPTION_VARIABLE = re.compile(r"OS_\w+__\w+")
"""How oslo.config names an option in the environment: OS_<GROUP>__<OPTION>."""


def command(module: str, *arguments: str) -> list[str]:
    """The command line of a process that runs ``module``; it needs :func:`environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def tethered(module: str, *arguments: str) -> list[str]:
    """Like :func:`command`; the process is killed when this one ends, however that ends."""
    return command("omrig.measured.tethered", str(os.getpid()), module, *arguments)


def environment() -> Mapping[str, str]:
    """This process' environment, with which another imports from where this one does.

    Without the options that oslo.config reads there, which may hold a password: who is to know them
    is told through a pipe.
    """
    return {**without_options(), "PYTHONPATH": os.pathsep.join(_search_path())}


def without_options() -> dict[str, str]:
    """This process' environment without oslo.config's options, for any other process."""
    options = option_variables()
    return {name: value for name, value in os.environ.items() if name not in options}


def option_variables() -> dict[str, str]:
    """The variables of the environment that oslo.config reads options from.

    One may hold a transport URL: measured processes get them through a pipe, where they are used,
    and never in an environment that others on this host can look at.
    """
    return {name: value for name, value in os.environ.items() if _OPTION_VARIABLE.fullmatch(name)}


def _search_path() -> list[str]:
    # The whole path, so that the order is the same: the interpreter drops what it finds twice.
    path = [entry for entry in sys.path if entry]
    if "" in sys.path and Path(_root()) == Path.cwd():
        path.insert(0, _root())
    return path


def _root() -> str:
    return str(Path(omrig.__file__).parents[1])
