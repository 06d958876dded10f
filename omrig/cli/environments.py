"""``omrig environments``: what ``--with`` and ``--python`` had made; and a run in one of them."""

import argparse
import time
from typing import TYPE_CHECKING

from omrig.cli.options import Parser
from omrig.model import errors

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.environments.cache import Stored
    from omrig.model.plan import Plan
    from omrig.supervisor.display import Display
    from omrig.supervisor.interrupts import Interrupts
    from omrig.supervisor.recorded import Recorded

ABOUT = """\
List the environments that --with and --python had made for this user's runs: what was asked for and
which versions that came to, how large they are, when they were last used. They are kept below
$XDG_CACHE_HOME/omrig/environments (~/.cache/omrig/environments) and found again by what they hold.
"""

_MB = 1_000_000

_told: set[str] = set()
"""What this process has said of its environments: of several runs it is said once."""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig environments``."""
    parser.add_argument(
        "--prune", action="store_true", help="remove all that no running process uses"
    )
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """List or remove them; the exit status."""
    from omrig.environments import cache

    with errors.naming("omrig environments"):
        if options.prune:
            return _prune()
        found = cache.stored()
    for each in found:
        print(_line(each))
        for note in (each.note or {}).get("notes", ()):
            print(f"    {note}")
    total = sum(each.size_bytes for each in found)
    if found:
        print(f"{_size(total)} in {cache.folder()}; omrig environments --prune removes it")
    else:
        print(f"there are no environments in {cache.folder()}")
    return 0


def _prune() -> int:
    from omrig.environments import cache

    removed, used = cache.prune(lambda text: print(text))
    for each in removed:
        print(f"removed {_line(each)}")
    for each in used:
        print(f"in use, kept: {_line(each)}")
    print(f"{_size(sum(each.size_bytes for each in removed))} freed")
    return 0


def _line(each: "Stored") -> str:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used_s))
    return f"{each.key}  {_what(each)}  {_size(each.size_bytes)}, last used {used}"


def _what(each: "Stored") -> str:
    """What an environment was made for, and what it came to."""
    from omrig.environments import cache

    if each.note is None:
        is_code = each.key.startswith(cache.CODE)
        return "omrig's own files" if is_code else "left half made"
    typed = " ".join(each.note["typed"])
    came_to = ", ".join(
        f"{name} {version}" + (f" ({source})" if (source := each.note["sources"].get(name)) else "")
        for name, version in each.note["asked"].items()
    )
    return f"{typed or 'nothing but Python'}: {', '.join(filter(None, (came_to, _python(each))))}"


def _python(each: "Stored") -> str:
    return f"Python {each.note['python']}" if each.note else ""


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MB:,.0f} MB"


def run_in_one(
    plan: "Plan", display: "Display", interrupts: "Interrupts", broker: "Embedded | None"
) -> "Recorded":
    """Have the run of ``plan`` supervised in the environment that it asks for.

    Raises what :func:`omrig.environments.making.make` and :func:`omrig.supervisor.run.run` raise.
    """
    from omrig.environments import making
    from omrig.supervisor import elsewhere

    def say(text: str) -> None:
        if text not in _told:
            _told.add(text)
            display.tell(text)

    software = plan.software
    made = making.make(software.requirements, software.python, plan.profiling.modes, say)
    return elsewhere.run(made.python, made.code, plan, display, interrupts, broker)
