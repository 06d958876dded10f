"""What may hold a password, sealed: the engine logs the arguments of what fails."""

import dataclasses

from omrig.model.redaction import HIDDEN


@dataclasses.dataclass(frozen=True, repr=False)
class Sealed:
    """A plan in one line, and the secrets that are to be taken out of what its process logs.

    It is pickled with them, and shows nothing of them.
    """

    plan: str
    secrets: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Sealed({HIDDEN})"
