"""Call graphs as cProfile writes them, for pstats and every viewer that reads it."""

import marshal
from pathlib import Path

from omrig.measured.profilers.callgraph.graph import Graph
from omrig.recordings import writer


def write(graph: Graph, path: Path) -> None:
    """Write the graph; times in seconds.

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
    with writer.writing(path, "wb") as file:
        marshal.dump(stats, file)
