"""What each message of a load is, where messages differ: decided before the load, and looked up.

Nothing is drawn at random while messages are sent. There is one function for each pattern and size,
and a number a message says which of them sends it. Where all messages are alike there is nothing to
look up, and their one function is used as it is.
"""

import array
import dataclasses
import itertools
from collections.abc import Callable, Mapping

from omrig.measured.load.rpc import Send
from omrig.model import payload, proportions
from omrig.model.load import Load
from omrig.model.patterns import Pattern
from omrig.model.values import Json

Payload = Mapping[str, Json]

Make = Callable[[Pattern, Payload], Send]
"""Makes the function that sends messages of a pattern with this payload."""


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The kinds of messages that a producer sends, and which message is of which kind.

    ``kinds`` are a pattern and the size of a payload in bytes each. ``numbers`` has the number of
    its kind for each message, by sequence number; it is empty where there is one kind. Those at the
    end are looked up by negative numbers in the warm-up, for which there are enough.
    """

    kinds: tuple[tuple[Pattern, int], ...]
    numbers: "array.array[int]" = dataclasses.field(default_factory=lambda: array.array("H"))

    def sender(self, make: Make) -> Send:
        """The function that sends the message with a sequence number, with what ``make`` makes."""
        payloads = {size: payload.build(size) for _, size in self.kinds}
        senders = tuple(make(pattern, payloads[size]) for pattern, size in self.kinds)
        if len(senders) == 1:
            return senders[0]
        numbers = self.numbers

        def send(seq: int) -> None:
            senders[numbers[seq]](seq)

        return send

    def deliveries(self, consumers: int) -> Callable[[int], int]:
        """How many messages all consumers are to get of the first so many that are sent; where all
        have copies, how many each is to get."""
        copied = [pattern.copies for pattern, _ in self.kinds]
        if all(copied) or not any(copied):
            return lambda sent: sent
        each = (consumers if copied[number] else 1 for number in self.numbers)
        table = array.array("Q", itertools.accumulate(each, initial=0))
        return table.__getitem__


def decide(load: Load, seed: str, count: int) -> Traffic:
    """The traffic of a producer that sends ``count`` messages of the load.

    How many are of a pattern, and how many of a size, is exact to the message; which ones is the
    same for the same ``seed``, and in no order.
    """
    patterns, weights = load.patterns, [1]
    if load.mix:
        weights = list(load.mix.weights.values())
    sizes = (load.size_bytes,) if load.sizes is None else load.sizes.sizes_bytes
    kinds = tuple((pattern, size) for pattern in patterns for size in sizes)
    if len(kinds) == 1:
        return Traffic(kinds)
    of_patterns = proportions.shuffled(count, weights, f"{seed} pattern")
    size_weights = load.sizes.weights if load.sizes else [1]
    of_sizes = proportions.shuffled(count, size_weights, f"{seed} size")
    numbers = array.array("H")
    for pattern, size in zip(of_patterns, of_sizes, strict=True):
        numbers.append(pattern * len(sizes) + size)
    # The warm-up looks up as many from the end.
    while len(numbers) < load.warmup:
        numbers.extend(numbers[: load.warmup - len(numbers)] or [0])
    return Traffic(kinds, numbers)


def columns(load: Load, traffic: Traffic, count: int) -> dict[str, "array.array[int]"]:
    """What is written of each of ``count`` messages: only where messages differ in it."""
    found: dict[str, array.array[int]] = {}
    numbers = traffic.numbers[:count]
    if load.mix:
        places = {pattern.name: place for place, pattern in enumerate(load.patterns)}
        of_kind = [places[pattern.name] for pattern, _ in traffic.kinds]
        found["pattern"] = array.array("B", [of_kind[number] for number in numbers])
    if load.sizes:
        found["size_bytes"] = array.array("I", [traffic.kinds[number][1] for number in numbers])
    return found
