"""The run folder: made, written and read."""

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.model.values import Json, Value

if TYPE_CHECKING:
    from omrig.model.result import Result
    from omrig.model.run import Run

_Value = TypeVar("_Value", bound=Value)

RUN = "run.json"
"""What was asked and where."""

RESULT = "result.json"
"""What came out."""

LATENCY = "latency.hlog"
"""All latencies, as an HdrHistogram log."""

SIDE = "side.json"
"""In a side's folder: what it counted, and who it is."""

MESSAGES = "messages.npz"
"""In a side's folder: when each message was, on the load's own clock; see
:mod:`omrig.recordings.messages`."""

NESTED = "nested.npz"
"""In a consumer's folder: when each call was that its endpoint made, as a producer keeps it."""

STAMPS = "stamps.npz"
"""In a side's folder: the rows of stamps of each side that ran in the process."""

INSTRUMENT = "stages.json"
"""In a side's folder: what the stage instrument says of itself, and of its columns."""

COUNTS = "counts.json"
"""In a side's folder: what mode ``counts`` counted."""

ARTEFACTS = "artefacts.json"
"""In a side's folder: what the profilers of that side wrote."""


def profile(mode: str) -> str:
    """In a side's folder: what a profiler mode summarised of itself."""
    return f"profile.{mode}.json"


def create(output: str, members: tuple[str, ...]) -> Path:
    """Make the run folder and a folder for each member.

    Raises ``UsageError`` when it cannot be written or holds a run already.
    """
    folder = Path(output).absolute()
    with errors.naming("--output"):
        if (folder / RUN).exists():
            raise UsageError(f"--output: {output} already holds a run; name another folder")
        for name in members:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for each in (folder, *(folder / name for name in members)):
            if not os.access(each, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(each))
    return folder


def read_json(path: Path) -> Any:
    """The value in ``path``, or None when there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_run(folder: str, argument: str = "RUN") -> "tuple[Path, Run]":
    """The absolute path of a run folder and its ``run.json``; ``argument`` is named in errors.

    Raises ``UsageError`` when ``folder`` holds no run that this omrig reads.
    """
    # Not for the measured process, which wants the names alone.
    from omrig.model.run import SCHEMA, Run

    path = Path(folder).absolute()
    try:
        run = read_json(path / RUN)
    except OSError as error:
        raise UsageError(f"{argument}: {errors.in_words(error)}") from error
    except ValueError as error:
        raise UsageError(f"{argument}: {folder}/{RUN} cannot be read ({error})") from error
    if run is None:
        raise UsageError(
            f"{argument}: {folder} holds no run (no {RUN}); give a folder that omrig wrote"
        )
    if run["schema"] > SCHEMA:
        raise UsageError(
            f"{argument}: {folder} was written by omrig {run['omrig']} with schema {run['schema']};"
            f" this one reads up to {SCHEMA}: upgrade it"
        )
    return path, _known(Run, run, path / RUN, argument)


def read_result(folder: Path, argument: str = "RUN") -> "Result | None":
    """The result in a run folder; None where there is none.

    ``argument`` is named in errors. Raises ``UsageError`` where it cannot be read.
    """
    from omrig.model.result import Result

    path = folder / RESULT
    try:
        with errors.naming(argument):
            found = read_json(path)
    except ValueError as error:
        raise UsageError(f"{argument}: {path} cannot be read ({error})") from error
    return None if found is None else _known(Result, found, path, argument)


def _known(kind: type[_Value], data: Json, path: Path, argument: str) -> _Value:
    try:
        return kind.from_json(data)
    except ValueError as error:
        raise UsageError(f"{argument}: {path} cannot be read ({error})") from error
