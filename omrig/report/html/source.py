"""The source of a function, where it is the one that ran."""

import inspect
import linecache
import re
import sysconfig
from pathlib import Path

MOST_LINES = 60
"""So much of a function is shown."""

Excerpt = list[tuple[int, str]]
"""Line numbers and lines."""


def of_function(file: str, line: int, name: str) -> Excerpt | None:
    """The lines of the function ``name`` that begins at ``line`` of ``file``.

    None unless it is there: a page may be drawn again where another version is installed. Only
    what is installed is read, since a result may come from anywhere and name any file.
    """
    if not _is_installed(Path(file)):
        return None
    lines = linecache.getlines(file)
    if not 1 <= line <= len(lines):
        return None
    block = inspect.getblock(lines[line - 1 :])
    plain = name.rpartition(".")[2]
    defined = re.compile(rf"\s*(async\s+)?(def|class)\s+{re.escape(plain)}\b")
    if not any(defined.match(text) for text in block):
        return None
    numbered = enumerate((text.rstrip() for text in block), start=line)
    return list(numbered)[:MOST_LINES]


def _is_installed(file: Path) -> bool:
    roots = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    roots.add(Path(__file__).parents[2])
    return file.suffix == ".py" and any(file.resolve().is_relative_to(root) for root in roots)
