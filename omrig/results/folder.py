"""The run folder: made, written and read."""

import json
import os
from pathlib import Path
from typing import Any

from omrig.errors import UsageError

SCHEMA = 1
RUN = "run.json"
RESULT = "result.json"

ARTEFACTS = "artefacts.json"
"""In a side's folder: what the profilers of that side wrote."""


def create(output: str, sides: tuple[str, ...]) -> Path:
    """Make the run folder and a folder for each side.

    Raises :class:`~omrig.errors.UsageError` when it cannot be written or holds a run already.
    """
    folder = Path(output).absolute()
    if (folder / RUN).exists():
        raise UsageError(f"--output: {output} already holds a run; name another folder")
    try:
        for side in sides:
            (folder / side).mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UsageError(
            f"--output: {output} cannot be written ({error.strerror}); name another folder"
        ) from error
    return folder


def write_json(path: Path, value: object, indent: int | None = 1) -> None:
    """Write ``value`` so that a reader never sees half of it."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(value, indent=indent, allow_nan=False) + "\n")
    draft.replace(path)


def read_json(path: Path) -> Any:
    """The value in ``path``, or None when there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def read_run(folder: str, argument: str = "RUN") -> tuple[Path, dict[str, Any]]:
    """The absolute path of a run folder and its ``run.json``; ``argument`` is named in errors.

    Raises :class:`~omrig.errors.UsageError` when ``folder`` holds no run that this omrig reads.
    """
    path = Path(folder).absolute()
    try:
        run = read_json(path / RUN)
    except (OSError, ValueError) as error:
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
    return path, run
