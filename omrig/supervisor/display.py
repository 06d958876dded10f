"""What shows how far a run is, as the supervisor sees it."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Display(Protocol):
    """Is told what happens, and asks who is there to be asked."""

    is_seen: bool
    """Whether it is worth the while to work out what is shown."""

    def say(self, text: str) -> None:
        """A step that has been taken."""

    def tell(self, text: str) -> None:
        """What has to be known, whatever is shown otherwise: a line that stays."""

    def ask(self, question: str) -> bool:
        """Ask on the terminal; whether the answer is yes."""

    def waiting(self, left_s: float) -> None:
        """No consumer has answered yet; ``left_s`` seconds are left to wait."""

    def phase(self, side: str, phase: str) -> None:
        """A side goes on to ``warm-up``, ``load`` or ``saving``."""

    def counts(self, side: str, counts: dict[str, int]) -> None:
        """Messages of a side so far."""

    def latencies(self, latencies_ns: Sequence[int]) -> None:
        """How long messages took that have ended since the last time."""

    def owners(self, owners: Mapping[str, float]) -> None:
        """Whose time the messages of the last seconds took, in shares that add up to 1."""

    def processors(self, used: Mapping[str, float]) -> None:
        """CPU seconds a second of each process."""

    def close(self) -> None:
        """The run has ended."""
