"""So many of each kind, as proportions ask for it: exact to the message, and in no order."""

import random
from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """How many of ``total`` fall to each of the ``weights``; they add up to ``total``.

    The method of largest remainders: each is less than one from its exact share. Of equal
    remainders the first comes first. ``weights`` are 0 or more, and one of them is more.
    """
    whole = sum(weights)
    shares = [divmod(total * weight, whole) for weight in weights]
    counts = [count for count, _ in shares]
    left = total - sum(counts)
    by_remainder = sorted(range(len(weights)), key=lambda number: -shares[number][1])
    for number in by_remainder[:left]:
        counts[number] += 1
    return counts


def shuffled(total: int, weights: Sequence[int], seed: str) -> list[int]:
    """The number of a weight for each of ``total``, each as often as :func:`apportion` says.

    The order is random, and the same for the same ``seed``.
    """
    counts = apportion(total, weights)
    numbers = [number for number, count in enumerate(counts) for _ in range(count)]
    random.Random(seed).shuffle(numbers)  # noqa: S311 - nobody is to be surprised by it
    return numbers
