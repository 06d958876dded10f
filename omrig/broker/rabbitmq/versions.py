"""The RabbitMQs that are on this machine, by version: for one that is asked for by its number."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from omrig.broker.rabbitmq import installed
from omrig.model.errors import UsageError

OPTION = "--rabbitmq"
"""What names the embedded broker's RabbitMQ on the command line."""

OPTIONAL = Path("/opt")
"""Where people unpack what is no package."""

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_OF_SERVER = re.compile(r"/rabbitmq_server-([0-9][0-9.]*)")


def asked(named: str) -> tuple[str, str]:
    """The folder of the RabbitMQ to start, and the option that is to blame for it.

    ``named`` is a folder or a version, as ``--rabbitmq`` has it; where it is empty, the variable of
    the environment counts, and where that is empty, the folder is, too: the RabbitMQ of this
    machine. Raises ``UsageError`` for a version of which there is none.
    """
    if not named:
        return os.environ.get(installed.VARIABLE, ""), installed.VARIABLE
    if not _VERSION.fullmatch(named) or Path(named).is_dir():
        return named, OPTION
    wanted = _numbers(named)
    known = list(_found())
    fitting = [each for each in known if _numbers(each[0])[: len(wanted)] == wanted]
    if not fitting:
        there = ", ".join(f"{version} in {folder}" for version, folder in known) or "none"
        raise UsageError(
            f"{OPTION}: there is no RabbitMQ {named} on this machine (found {there}); name the"
            " folder to which its package or tarball was unpacked"
        )
    newest = max(fitting, key=lambda each: _numbers(each[0]))
    return str(newest[1]), OPTION


def _found() -> Iterator[tuple[str, Path]]:
    """The version and the folder of each RabbitMQ in the places where one may be."""
    seen: set[str] = set()
    for folder in _places():
        server = installed.server_in(folder)
        # A link may have another name than what it leads to.
        versions = _OF_SERVER.findall(f"{server}\n{server.resolve()}") if server else []
        if server and versions and os.path.realpath(server) not in seen:
            seen.add(os.path.realpath(server))
            yield versions[-1].strip("."), folder


def _places() -> Iterator[Path]:
    yield from sorted((installed.SYSTEM / "lib").glob("rabbitmq_server-*"))
    if named := os.environ.get(installed.VARIABLE, ""):
        folder = Path(named).absolute()
        yield folder
        yield from sorted(folder.parent.glob("*/"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    yield from sorted((cache / "omrig" / "rabbitmq").glob("*/"))
    yield from sorted(OPTIONAL.glob("*/"))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.strip(".").split(".")]
