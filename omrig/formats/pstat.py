"""Call graphs as cProfile writes them, for pstats and every viewer that reads it."""

import marshal
from typing import BinaryIO

from omrig.model.callgraph import Graph


def write(graph: Graph, file: BinaryIO) -> None:
    """Write the graph into an open file; times in seconds.

    As cProfile has it, a function's tuple begins with its primitive calls and a caller's tuple
    with all calls.
    """
    stats = {
        key: (
            node.cost.primitive,
            node.cost.calls,
            node.cost.own,
            node.cost.cumulative,
            {
                caller: (call.calls, call.primitive, call.own, call.cumulative)
                for caller, call in node.callers.items()
            },
        )
        for key, node in graph.items()
    }
    marshal.dump(stats, file)
