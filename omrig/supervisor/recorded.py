"""What a run left, and what becomes of it where the system refuses something after the load."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from omrig.model import errors
from omrig.model.errors import Losses, RunError
from omrig.model.run import Run


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
