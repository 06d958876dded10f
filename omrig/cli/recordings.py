"""``omrig report`` of a recording of services: found where it is named, read, shown."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.cli import recorded, streams
from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.model.recorded import FILE
from omrig.recordings import service_result
from omrig.recordings.folder import RESULT, RUN, read_json

if TYPE_CHECKING:
    from omrig.model.service import ServiceResult

_FOLDER_OF_SERVICES = "maps.json"
"""What ``omrig exec`` leaves in the folder of its recordings."""


def named(names: Sequence[str]) -> Path | None:
    """The folder of the recording that is named; None where runs are.

    A folder of services stands for its only recording. Raises ``UsageError`` where it has several
    or none, and where a recording is named beside something else.
    """
    with errors.naming("RUN"):
        found = [folder for folder in map(Path, names) if _is_recording(folder)]
        if not found and len(names) == 1:
            found = _only_one(Path(names[0]))
    if found and len(names) > 1:
        raise UsageError(
            f"RUN: {found[0]} is a recording of services, and is shown alone;"
            " omrig compare DIR/rec-1 DIR/rec-2 has two beside each other"
        )
    return found[0].absolute() if found else None


def _is_recording(folder: Path) -> bool:
    if (folder / RUN).exists():
        return False
    return (folder / FILE).exists() or service_result.is_one(folder)


def _only_one(folder: Path) -> list[Path]:
    """The recording in a folder of services, none where it is no such folder."""
    if not folder.is_dir():
        return []
    inside = sorted(path.parent for path in folder.glob(f"*/{FILE}"))
    if len(inside) > 1:
        shown = ", ".join(path.name for path in sorted(inside, key=_number))
        last = max(inside, key=_number)
        raise UsageError(
            f"RUN: {folder} has {len(inside)} recordings ({shown}); name one:"
            f" omrig report {shlex.quote(str(last))}"
        )
    if not inside and (folder / _FOLDER_OF_SERVICES).exists():
        raise UsageError(
            f"RUN: {folder} has no recording yet; make one: omrig record {shlex.quote(str(folder))}"
        )
    return inside


def _number(folder: Path) -> tuple[int, str]:
    """Recordings in the order in which they were made: ``rec-10`` after ``rec-9``."""
    digits = folder.name.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() else 0, folder.name)


def report(options: argparse.Namespace, folder: Path) -> int:
    """Show the recording in ``folder`` as the options say; the exit status."""
    _check(options)
    result = read(folder)
    if options.method is not None and not result.called(options.method):
        raise UsageError(f"--method: {_unknown(result, options.method)}")
    if options.html is not None:
        return _draw(options, folder, result)
    with streams.shown():
        if options.json:
            print(json.dumps(_as_json(result, options.method), indent=1))
        else:
            _show(options, folder, result)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.csv:
        raise UsageError(
            "--csv: of a recording of services there is no such table; --json has the stages of"
            " every method"
        )
    if options.shared_assets:
        raise UsageError("--shared-assets: the page of a recording needs no script; leave it out")
    if options.html is not None and options.method is not None:
        raise UsageError("--method: the page has every method; leave it out, or --html")


def _unknown(result: "ServiceResult", name: str) -> str:
    from omrig.report.services.names import nearest

    alike = " or ".join(repr(each) for each in nearest(result, name))
    if alike:
        return f"no method is called {name!r} here; there is {alike}"
    return f"no method is called {name!r} here; omrig report without --method names all"


def read(folder: Path) -> "ServiceResult":
    """What the recording in ``folder`` came to; accounted anew where that was not written.

    That is kept once the recording has ended: until then there may be more of it.

    Raises ``UsageError`` where it cannot be read.
    """
    if (folder / RESULT).exists():
        return service_result.read(folder, "RUN")
    from omrig.accounting.services import result as accounting

    with errors.naming("RUN"):
        found = accounting.account(folder)
    losses = errors.Losses(folder)
    if _has_ended(folder):
        with losses.noted():
            recorded.keep(folder, found)
    if losses:
        sys.stderr.write(f"omrig: not kept with the recording: {losses}\n")
    return found


def _has_ended(folder: Path) -> bool:
    about = read_json(folder / FILE)
    return isinstance(about, dict) and about.get("ended_ns") is not None


def _draw(options: argparse.Namespace, folder: Path, result: "ServiceResult") -> int:
    from omrig.report.html.services import page

    with errors.naming("--html"):
        path = page.write(folder, result, Path(options.html) if options.html else None)
    with streams.shown():
        print(path)
    return 0


def _as_json(result: "ServiceResult", method: str | None) -> object:
    if method is None:
        return result.to_json()
    return [each.to_json() for each in result.called(method)]


def _show(options: argparse.Namespace, folder: Path, result: "ServiceResult") -> None:
    from omrig.report.html.services import page
    from omrig.report.terminal import services

    services.show(result, options.method)
    # Commands are to be copied: whole lines, whatever the width.
    near = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    print()
    if (folder / RESULT).exists():
        print(f"results  {Path(near) / RESULT}")
    if (folder / page.PAGE).exists():
        print(f"page     {Path(near) / page.PAGE}")
    label = result.methods[0].name.label if result.methods else ""
    if options.method is None and label and label.isprintable():
        print(f"method   omrig report {shlex.quote(near)} --method {shlex.quote(label)}")
