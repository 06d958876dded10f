"""What a run left, and what becomes of it where the system refuses something after the load."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from omrig.model import errors
from omrig.model.errors import Losses, RunError
from omrig.model.run import Run
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.supervisor.display import Display
from omrig.supervisor.place import Place


@dataclasses.dataclass
class Recorded:
    """What a run left in ``folder``.

    ``ended`` is the run as it is then, None where its end was cut short: it is in the folder.
    ``losses`` is what could not be written.
    """

    folder: Path
    losses: Losses
    ended: Run | None = None


@contextlib.contextmanager
def after_load(folder: Path) -> Iterator[None]:
    """What the system refuses in the block is a ``RunError`` that says where the recordings are."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"the load is over, its recordings are in {folder}; no result:"
            f" {errors.in_words(error)}; omrig report {folder} tries again"
        ) from error


def with_fleet(folder: Path, before: Run, place: Place) -> Run:
    """The run as it is before its load, with where its members are, which is in its ``folder``:
    where this process does not live to its end, what they recorded is found."""
    if place.is_here:
        return before
    before = dataclasses.replace(before, fleet=place.fleet())
    with errors.naming("--output"):
        writer.write_json(folder / run_folder.RUN, before.to_json())
    return before


def bring(recorded: Recorded, place: Place, display: Display) -> None:
    """Have in the run folder what measured processes left on other hosts."""
    if place.is_here or recorded.ended is None:
        return
    place.bring(recorded.folder, display, recorded.losses)
    recorded.ended = dataclasses.replace(recorded.ended, fleet=place.fleet())
    with recorded.losses.noted():
        writer.write_json(recorded.folder / run_folder.RUN, recorded.ended.to_json())
