"""What has to be in the environment of a program for its messages to be recorded, in the form of
whatever starts it."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import omrig
from omrig.measured.attached import files
from omrig.measured.bootstrap import __file__ as _bootstrap
from omrig.model.errors import naming

FOLDER, BOOT, ROOT, NAME = "OMRIG_EXEC", "OMRIG_EXEC_BOOT", "OMRIG_EXEC_ROOT", "OMRIG_EXEC_NAME"
"""The folder of the recordings; that of what each Python runs first; the one that has omrig; what
the process is called."""

PATH = "PYTHONPATH"

STARTUP = "omrig_exec_startup"
"""The module that a ``.pth`` or ``.start`` file runs."""


def settings(folder: str, name: str) -> dict[str, str]:
    """The variables to set; ``PYTHONPATH`` is to be put before what there is."""
    boot = str(Path(_bootstrap).parent)
    found = {FOLDER: folder, BOOT: boot, ROOT: str(Path(omrig.__file__).parents[1])}
    if name:
        found[NAME] = name
    return {**found, PATH: boot}


def merged(before: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: what there is ``before``, and the settings."""
    rest = [path for path in before.get(PATH, "").split(os.pathsep) if path != values[PATH]]
    path = os.pathsep.join([values[PATH], *rest]) if before.get(PATH) else values[PATH]
    return {**before, **values, PATH: path}


def library() -> Path:
    """The folder of omrig's copy of what changes code objects."""
    import bytecode

    return Path(str(bytecode.__file__)).parent


def _shell(values: Mapping[str, str]) -> str:
    lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items() if key != PATH]
    path = f"export {PATH}={shlex.quote(values[PATH])}${{{PATH}:+:${PATH}}}"
    return _lines(
        '# eval "$(omrig exec --print-environment)" sets it in a shell. Other forms: systemd,',
        "# docker; pth and start where a Python does not look at its environment's PYTHONPATH.",
        *lines,
        path,
    )


def _systemd(values: Mapping[str, str]) -> str:
    # A percent sign begins a specifier there.
    quoted = (
        f"{key}={value}".replace("\\", "\\\\").replace('"', '\\"') for key, value in values.items()
    )
    return _lines(
        "# A file /etc/systemd/system/UNIT.service.d/omrig.conf; then systemctl daemon-reload.",
        f"# Where the unit sets {PATH} itself, put that behind this one, with a colon.",
        "[Service]",
        *(f'Environment="{each.replace("%", "%%")}"' for each in quoted),
    )


def _docker(values: Mapping[str, str]) -> str:
    folder, root, own = values[FOLDER], values[ROOT], library()
    volumes = [f"{folder}:{folder}", f"{root}:{root}:ro"]
    if not own.is_relative_to(root):
        volumes.append(f"{own}:{own}:ro")
    return _lines(
        "# For docker run --env-file FILE, with the same folders at the same places:",
        "#   " + " ".join(f"--volume {shlex.quote(each)}" for each in volumes),
        *(f"{key}={value}" for key, value in values.items()),
    )


def _pth(values: Mapping[str, str]) -> str:
    return _lines(
        _startup(values),
        f"import {STARTUP}; {STARTUP}.begin()",
    )


def _start(values: Mapping[str, str]) -> str:
    _startup(values)
    return _lines(
        f"{STARTUP}:begin",
    )


def _startup(values: Mapping[str, str]) -> str:
    """Write the module that a ``.pth`` file runs, with the settings in it; its folder."""
    folder = Path(values[FOLDER]) / "startup"
    known = {key: value for key, value in values.items() if key != PATH}
    with naming("--run"):
        folder.mkdir(mode=0o700, exist_ok=True)
        files.replace(str(folder), f"{STARTUP}.py", _STARTUP.format(known=known))
    return str(folder)


_STARTUP = '''\
"""Written by omrig exec --print-environment pth: has this Python's messages recorded."""


def begin():
    import os
    import sys

    for name, value in {known!r}.items():
        os.environ.setdefault(name, value)
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    file = os.environ["OMRIG_EXEC_BOOT"] + "/sitecustomize.py"
    spec = spec_from_file_location("omrig_exec_bootstrap", file)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        module.begin()
    except Exception as error:
        sys.stderr.write(f"omrig: not recorded: {{type(error).__name__}}: {{error}}\\n")
'''


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


FORMS: Mapping[str, Callable[[Mapping[str, str]], str]] = MappingProxyType(
    {"shell": _shell, "systemd": _systemd, "docker": _docker, "pth": _pth, "start": _start}
)
"""By what starts the program: the text that sets it."""
