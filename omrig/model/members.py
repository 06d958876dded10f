"""The names of a run's members: one measured process each, with a folder of its own."""


def names(side: str, count: int) -> tuple[str, ...]:
    """The members of a side: ``producer`` where there is one, else ``producer-1``, ``-2`` ..."""
    if count == 1:
        return (side,)
    return tuple(f"{side}-{number}" for number in range(1, count + 1))


def side_of(name: str) -> str:
    """The side of the member with this name."""
    return name.partition("-")[0]


def shares(total: int, count: int) -> tuple[int, ...]:
    """``total`` in ``count`` parts, as even as can be, the larger ones first."""
    least, more = divmod(total, count)
    return tuple(least + (number < more) for number in range(count))
