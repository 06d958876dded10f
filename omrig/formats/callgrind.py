"""Call graphs in the format of Valgrind's callgrind, for kcachegrind and callgrind_annotate."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TextIO

from omrig.model.callgraph import Cost, Graph, Key


def write(graph: Graph, file: TextIO, event: str, description: str) -> None:
    """Write the graph into an open file; costs are integer nanoseconds of the named event."""
    file.writelines(f"{line}\n" for line in _lines(graph, event, description))


def _lines(graph: Graph, event: str, description: str) -> Iterator[str]:
    total = sum(_nanoseconds(node.cost.own) for node in graph.values())
    yield from ("# callgrind format", "version: 1", "creator: omrig", "cmd: omrig")
    yield "positions: line"
    yield from (f"event: {event} : {description}", f"events: {event}", f"summary: {total}")
    callees: defaultdict[Key, list[tuple[Key, Cost]]] = defaultdict(list)
    for key, node in graph.items():
        for caller, call in node.callers.items():
            callees[caller].append((key, call))
    files, names = _Numbers(), _Numbers()
    for key, node in graph.items():
        line = key[1]
        yield ""
        yield f"fl={files.reference(_file(key))}"
        yield f"fn={names.reference(_unique(key, node.label))}"
        yield f"{line} {_nanoseconds(node.cost.own)}"
        for callee, call in callees[key]:
            yield f"cfi={files.reference(_file(callee))}"
            yield f"cfn={names.reference(_unique(callee, graph[callee].label))}"
            yield f"calls={call.calls} {callee[1]}"
            # The line of the call itself is not measured.
            yield f"{line} {_nanoseconds(call.cumulative)}"
    yield ""
    yield f"totals: {total}"


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _file(key: Key) -> str:
    # The format's word for no file: readers look for the source of anything else.
    return key[0] if key[1] else "???"


def _unique(key: Key, label: str) -> str:
    # Readers take functions of the same name in the same file for one.
    return f"{label}:{key[1]}" if key[1] else label


class _Numbers:
    """The format's compression of names: the text once, its number from then on."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def reference(self, text: str) -> str:
        """How to refer to the text at this place in the file."""
        if text in self._numbers:
            return f"({self._numbers[text]})"
        number = self._numbers[text] = len(self._numbers) + 1
        return f"({number}) {text}"
