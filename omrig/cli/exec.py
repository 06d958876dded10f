"""``omrig exec``: a program becomes one that can be recorded, and is otherwise what it was."""

import argparse
import json
import os
import shutil
import signal
import stat
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from omrig.cli import environment
from omrig.cli.options import Parser
from omrig.measured.attached import resolved, wanted
from omrig.model.errors import UsageError, naming, reason

ABOUT = """\
Start a program that uses oslo.messaging, such that its messages can be recorded while it runs. The
process becomes the program: pid, signals, output and exit status are the program's own, and so are
its configuration and its Python environment. Every Python process that it starts, forked or
spawned, belongs to it. Nothing is stamped until somebody types: omrig record DIR
"""

RUNS = "omrig-runs"
"""The folder under which a new DIR is made."""

_WITH_A_WORD = frozenset({"-W", "-X", "--check-hash-based-pycs"})
"""Options of Python after which stands what they are about."""

LIMIT_BYTES = 64 << 20
"""What a table of --on may take, of each side and process: 200,000 messages."""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig exec``."""
    parser.add_argument(
        "--run",
        metavar="DIR",
        help="the folder of the recordings, one for all services of a host"
        f" (default: $OMRIG_EXEC, else {RUNS}/exec-TIME)",
    )
    parser.add_argument(
        "--name", help="what the process is called in reports (default: the program's name)"
    )
    parser.add_argument(
        "--on",
        action="store_true",
        help="record from the first message, until a recorder takes over or the program ends",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="start the program, record it until it ends, and report: for programs that end",
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "--print-environment",
        nargs="?",
        const="shell",
        choices=tuple(environment.FORMS),
        metavar="FORM",
        help="start nothing: print what to set for a program that something else starts, for a"
        f" {', '.join(environment.FORMS)} (default: shell)",
    )


def run(options: argparse.Namespace) -> int:
    """Become the program, or say how; the exit status where that is not to be."""
    command = options.rest[1:]
    _check(options, command)
    program = _program(command) if command else ""
    folder = _folder(options.run)
    _prepare(folder)
    name = options.name or (_name(command) if command else "")
    settings = environment.settings(str(folder), name)
    if options.print_environment:
        print(environment.FORMS[options.print_environment](settings), end="")
        return 0
    variables = environment.merged(os.environ, settings)
    if options.record:
        from omrig.cli import oneshot

        return oneshot.run(program, command, folder, variables)
    recording = _want(folder) if options.on else ""
    sys.stderr.write(f"omrig: {_next(folder, recording)}\n")
    return _become(program, command, variables)


def _check(options: argparse.Namespace, command: Sequence[str]) -> None:
    if options.words:
        raise UsageError(
            f"{options.words[0]}: a program stands behind a --, as in: omrig exec --"
            f" {options.words[0]}"
        )
    if options.print_environment:
        for flag in ("on", "record"):
            if getattr(options, flag):
                raise UsageError(f"--{flag} and --print-environment: give one of them")
        if command:
            raise UsageError(f"--print-environment starts nothing: leave out {command[0]}")
    elif not command:
        raise UsageError("no program given: omrig exec -- PROGRAM ARGUMENTS, with the -- before it")
    if options.on and options.record:
        raise UsageError("--on and --record: give one of them; --record is on from the beginning")


def _folder(asked: str | None) -> Path:
    """The folder of the recordings, made if there is none. Raises ``UsageError``."""
    said, source = asked, "--run"
    if said is None and (said := os.environ.get(environment.FOLDER)):
        source = f"${environment.FOLDER}"
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = Path(said or f"{RUNS}/exec-{moment}").absolute()
    with naming(source):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The folder itself is its user's alone, whatever the umask is.
            folder.mkdir(mode=0o700)
        except FileExistsError:
            _check_folder(folder, source)
        # Sockets and maps are found through it from wherever the program goes.
        return folder.resolve()


def _check_folder(folder: Path, source: str) -> None:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{source}: {folder} is a file; name a folder")
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"{source}: {folder} belongs to user {found.st_uid}, the program will run as user"
            f" {os.geteuid()}; name another folder, one for each user"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode != 0o700:
        raise UsageError(
            f"{source}: {folder} has mode {mode:04o}, and would show others what is recorded, or"
            " keep it from you; chmod 700 it, or name another folder"
        )


def _prepare(folder: Path) -> None:
    """Write what the processes of the service read. Raises ``UsageError`` where that cannot be."""
    from omrig.drivers import maps

    with naming("--run"):
        resolved.Resolved(maps.for_scheme("rabbit"), str(environment.library())).write(str(folder))


def _name(command: Sequence[str]) -> str:
    """What a program is called: of an interpreter, what it runs."""
    name = Path(command[0]).name
    if not name.startswith("python"):
        return name
    rest = iter(command[1:])
    for argument in rest:
        if argument == "-m":
            return next(rest, name)
        if argument in _WITH_A_WORD:
            next(rest, None)
        elif argument == "-c" or not argument.startswith("-"):
            return name if argument == "-c" else Path(argument).name
    return name


def _program(command: Sequence[str]) -> str:
    """The file of the program. Raises ``UsageError`` where there is none that can be run."""
    found = shutil.which(command[0])
    if found:
        return found
    path = Path(command[0])
    if "/" in command[0] and path.exists():
        raise UsageError(f"{command[0]} cannot be executed: make it so, or name its interpreter")
    raise UsageError(f"{command[0]}: there is no such program; give its path, or mind $PATH")


def _want(folder: Path) -> str:
    """Have all be recorded from the beginning, for as long as this process lives: the recording.

    Where somebody records already, what they record is it.
    """
    if found := wanted.read(str(folder)):
        return found.recording
    number = 0
    while True:
        recording = folder / f"rec-{number}"
        try:
            recording.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
            continue
        break
    _describe(recording)
    # The process that becomes the program keeps its pid, and when it began.
    wanted.own(recording.name, 1, LIMIT_BYTES).write(str(folder))
    return recording.name


def _describe(recording: Path) -> None:
    about = {
        "schema": 1,
        "name": recording.name,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "began_ns": time.monotonic_ns(),
        "ended_ns": None,
        "sample": 1,
        "complete": False,
        "reason": "recorded from the first message by omrig exec --on, without a recorder",
        "pid": os.getpid(),
        "broker_messages": None,
        "not_seen": [],
        "capture": {
            "used": False,
            "why_not": "without a recorder nobody sees packets",
            "segments": 0,
            "dropped": 0,
            "ports": [],
        },
    }
    path = recording / "recording.json"
    path.touch(0o600)
    path.write_text(json.dumps(about, indent=1), encoding="utf-8")


def _next(folder: Path, recording: str) -> str:
    if recording:
        return f"recording into {folder / recording}; to see it: omrig report {folder / recording}"
    return f"ready in {folder}; to record: omrig record {folder}"


def _become(program: str, command: Sequence[str], variables: dict[str, str]) -> NoReturn:
    # Python ignores these, and what is ignored would stay so in the program.
    for each in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execve(program, list(command), variables)  # noqa: S606 - that is what this is for
    except OSError as error:
        raise UsageError(f"{program}: {reason(error)}; is it a program of this machine?") from error
