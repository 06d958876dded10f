"""A file that lists hosts, one a line: ``HOST [PYTHON]``, and comments after a ``#``."""

import dataclasses
import re
from pathlib import Path

from omrig.model import errors
from omrig.model.errors import UsageError

OPTION = "--hosts"
PYTHON = "python3"
"""What runs the engine on a host where its line does not say it."""

_NAME = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9:._-]+")


@dataclasses.dataclass(frozen=True)
class Listed:
    """A host that ssh knows as ``name`` (``user@host`` or an alias of its configuration), and the
    path of its Python that has omrig."""

    name: str
    python: str = PYTHON

    @property
    def host(self) -> str:
        """The name without the user."""
        return self.name.rpartition("@")[2]


def read(path: Path) -> tuple[Listed, ...]:
    """The hosts in a file, in its order.

    Raises ``UsageError`` for a file that cannot be read, lists no host, one twice, or what is none.
    """
    with errors.naming(OPTION):
        content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{OPTION}: {path} is no text; list a host a line") from error
    found: dict[str, Listed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        at = f"{OPTION}: {path}, line {number}"
        # What begins with a dash ssh would take for an option.
        if len(words) > 2 or words[0].startswith("-") or not _NAME.fullmatch(words[0]):
            raise UsageError(f"{at}: {line.strip()!r} is not HOST or HOST PYTHON")
        if words[0] in found:
            raise UsageError(f"{at}: {words[0]} is listed twice; one line a host is enough")
        found[words[0]] = Listed(*words)
    if not found:
        raise UsageError(f"{OPTION}: {path} lists no host; write one a line")
    return tuple(found.values())
