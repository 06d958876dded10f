"""What shows how far a recording is, as the recorder sees it."""

from collections.abc import Sequence
from typing import Protocol

from omrig.model.attached import Row


class Display(Protocol):
    """Is told what happens."""

    def say(self, text: str) -> None:
        """A step that has been taken."""

    def tell(self, text: str) -> None:
        """What has to be known, whatever is shown otherwise: a line that stays."""

    def rows(self, rows: Sequence[Row]) -> None:
        """The processes as they are now, about once a second."""

    def close(self) -> None:
        """The recording has ended."""
