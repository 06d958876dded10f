"""Which RabbitMQ the embedded broker is, and how its Erlang is started.

That of this machine, or the one in a folder that ``--rabbitmq`` or :data:`VARIABLE` names. Such a
folder holds what a package or a tarball was unpacked to, with its Erlang beside it: nothing of it
is installed, and where its Erlang wants another C library than this machine has, the folder's own
is used.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from omrig.model.errors import UsageError

VARIABLE = "OMRIG_RABBITMQ"
"""The variable of the environment that names the folder of a RabbitMQ."""

SYSTEM = Path("/usr/lib/rabbitmq")
"""Where packages put RabbitMQ on this machine."""

_SERVERS = (
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "rabbitmq_server-*/sbin/rabbitmq-server",
    "sbin/rabbitmq-server",
)
"""In an unpacked package, in ``/usr/lib/rabbitmq``, beside and in an unpacked tarball."""

_ERLANGS = (
    "usr/lib/erlang",
    "usr/local/lib/erlang",
    "lib/erlang",
    "[eE]rlang*",
    "[eE]rlang*/lib/erlang",
    "otp*",
    "otp*/lib/erlang",
)
"""Where Erlang may lie in the folder, or beside it."""

_EMULATOR = "erts-*/bin/beam.smp"
_LOADERS = ("lib64/ld-linux*.so.*", "lib/ld-linux*.so.*", "usr/lib/*/ld-linux*.so.*")
_LIBRARIES = ("usr/lib/*-linux-*", "lib/*-linux-*")


@dataclass(frozen=True)
class Installed:
    """A RabbitMQ that can be started.

    ``server`` is its script, to be run with ``path`` as ``PATH``; ``epmd`` Erlang's port mapper.
    """

    server: Path
    epmd: str
    path: str


def find(named: str, programs: Path, option: str = VARIABLE) -> Installed:
    """The RabbitMQ in the folder ``named``, that of this machine where that is empty.

    Scripts that start an Erlang which is not installed are written into the new folder
    ``programs``. Raises ``UsageError`` where there is none, in the name of the ``option`` that
    named the folder.
    """
    script = server(named, option)
    if not named:
        return Installed(script, _system_epmd(), search_path())
    folder = Path(named).absolute()
    erlang = next(_erlangs(folder), None)
    if erlang is None:
        return Installed(script, _system_epmd(f" and none beside {folder}"), search_path())
    _write_programs(folder, erlang, programs)
    return Installed(script, str(programs / "epmd"), f"{programs}:{search_path()}")


def server(named: str, option: str = VARIABLE) -> Path:
    """The script that starts the RabbitMQ in the folder ``named``, or that of this machine.

    Its other commands are beside it. Raises ``UsageError`` where there is none, in the name of the
    ``option`` that named the folder.
    """
    if not named:
        return _system_server()
    folder = Path(named).absolute()
    if not folder.is_dir():
        raise UsageError(f"{option}: {folder}: no such folder; name one that holds a RabbitMQ")
    if found := server_in(folder):
        return found
    raise UsageError(
        f"{option}: {folder} has no RabbitMQ (looked for {', '.join(_SERVERS)}); name the folder"
        " to which its package or tarball was unpacked"
    )


def server_in(folder: Path) -> Path | None:
    """The script that starts the RabbitMQ in a folder; None where there is none."""
    return next((found for pattern in _SERVERS if (found := _newest(folder, pattern))), None)


def search_path() -> str:
    """The caller's PATH, with the places in which a service user's may be lacking."""
    return os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin:/bin"


def _system_server() -> Path:
    """The packages' wrapper on PATH changes to the rabbitmq user and so needs root: it comes
    last."""
    direct = SYSTEM / "bin" / "rabbitmq-server"
    if direct.exists():
        return direct
    if found := _newest(SYSTEM, _SERVERS[1]):
        return found
    if on_path := shutil.which("rabbitmq-server"):
        return Path(on_path)
    raise UsageError(
        "no RabbitMQ on this machine: install it (`apt-get install rabbitmq-server`), name the"
        f" folder of one with --rabbitmq or the environment variable {VARIABLE}, or give"
        " --transport-url of a broker elsewhere"
    )


def _system_epmd(where: str = "") -> str:
    if on_path := shutil.which("epmd", path=search_path()):
        return on_path
    for path in sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")):
        return str(path)
    raise UsageError(
        f"no epmd on this machine{where}: install Erlang (`apt-get install erlang-base`)"
    )


def _newest(folder: Path, pattern: str) -> Path | None:
    found = folder.glob(pattern)
    ordered = sorted(found, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])
    return ordered[-1] if ordered else None


def _erlangs(folder: Path) -> Iterator[Path]:
    """Folders of an Erlang, in the folder before beside it."""
    for place in (folder, folder.parent):
        for pattern in _ERLANGS:
            for erlang in sorted(place.glob(pattern), reverse=True):
                if any(erlang.glob(_EMULATOR)):
                    yield erlang


def _write_programs(folder: Path, erlang: Path, programs: Path) -> None:
    """Scripts in ``programs`` that start ``erlang`` from where it lies.

    Its own script knows the place alone at which it was to be installed.
    """
    programs.mkdir()
    binaries = _newest(erlang, _EMULATOR)
    assert binaries
    loader = _loader(folder, programs)
    for program in binaries.parent.iterdir():
        if os.access(program, os.X_OK):
            _write(programs / program.name, f'exec {loader(program)} "$@"')
    setting = shlex.join([f"ROOTDIR={erlang}", f"BINDIR={programs}", "EMU=beam", "PROGNAME=erl"])
    _write(programs / "erl", f'export {setting}\nexec {shlex.quote(f"{programs}/erlexec")} "$@"')


def _loader(folder: Path, programs: Path) -> Callable[[Path], str]:
    """How a program of the folder is started, as words for a shell."""
    libraries = [
        path
        for pattern in _LIBRARIES
        for path in folder.glob(pattern)
        if any(path.glob("libc.so*"))
    ]
    loaders = [path for pattern in _LOADERS for path in folder.glob(pattern)]
    if not libraries or not loaders:
        return lambda program: shlex.quote(str(program))
    way = ":".join(dict.fromkeys(str(path.resolve()) for path in libraries))
    named = programs / "named"
    named.mkdir()

    def started(program: Path) -> str:
        # The kernel names a process after the file that it executes: it is to be found as beam.smp.
        link = named / program.name
        link.symlink_to(loaders[0].resolve())
        return shlex.join([str(link), "--library-path", way, str(program)])

    return started


def _write(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
