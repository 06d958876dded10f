"""What called what and for how long, as plain values: profilers measure it, formats write it."""

import dataclasses

Key = tuple[str, int, str]
"""File, first line and name, as cProfile writes them; builtins are ("~", 0, name)."""


@dataclasses.dataclass(slots=True)
class Cost:
    """The cost of a function, or of the calls from one function to another."""

    calls: int = 0
    primitive: int = 0
    """Calls that were not made from within the same function."""
    own: float = 0.0
    """Seconds in the function itself."""
    cumulative: float = 0.0
    """Seconds in the function and in all that it called."""

    def add(self, other: "Cost") -> None:
        """Add the other cost to this one."""
        self.calls += other.calls
        self.primitive += other.primitive
        self.own += other.own
        self.cumulative += other.cumulative


@dataclasses.dataclass(slots=True)
class Node:
    """A function over all contexts."""

    label: str
    cost: Cost
    callers: dict[Key, Cost]


Graph = dict[Key, Node]
"""By key of the function; one of them is the root, which nothing calls."""
