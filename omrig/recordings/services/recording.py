"""A recording of services: what its recorder says of it, and the processes in it."""

import dataclasses
from pathlib import Path

from omrig.model.errors import UsageError
from omrig.model.recorded import FILE, SCHEMA, About
from omrig.recordings import folder as run_folder
from omrig.recordings.services import processes
from omrig.recordings.services.processes import Recorded


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording in a ``folder``."""

    folder: Path
    about: About
    processes: tuple[Recorded, ...]


def read(folder: Path) -> Recording:
    """The recording in ``folder``.

    Raises ``UsageError`` where there is none, or of another omrig.
    """
    path = folder / FILE
    value = run_folder.read_json(path)
    if value is None:
        raise UsageError(f"{folder}: there is no recording in it; name one, like DIR/rec-1")
    try:
        about = About.from_json(value)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; record it again with this omrig") from error
    if about.schema != SCHEMA:
        raise UsageError(f"{path}: schema {about.schema} is not known; {SCHEMA} is")
    return Recording(folder=folder, about=about, processes=processes.read(folder))
