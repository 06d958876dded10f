"""How services began that connected all at once."""

import dataclasses

from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beginning(Value):
    """``services`` that serve listened ``p50_ns``, and the last of them ``max_ns``, after all in
    their process had begun.

    ``first`` are the first messages of the services that send, one each: the last of them had ended
    ``served_ns`` after the first was sent, None where one did not end well.
    """

    services: int
    p50_ns: int
    max_ns: int
    first: int = 0
    served_ns: int | None = None
