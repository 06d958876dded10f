"""Mode ``yappi``: which functions take the time, in which thread or greenlet, called by whom.

Deterministic: every call is seen, with exact counts, under eventlet and native threads alike. The
CPU clock is the default; the wall clock also counts the time in which a thread or greenlet was not
running, and is for the question where it waits.

Builtins are measured too: encoding, sockets and locks are builtins, and without them their time
looks like their callers' own. They cost nothing more: yappi handles their calls in any case and,
when told to leave them out, only hides them from what it reports.
"""

from collections import Counter
from pathlib import Path

import yappi

from omrig.formats import callgrind, pstat, stacks
from omrig.measured.executors import roles
from omrig.measured.profilers.base import Artefact, Context, Profiler
from omrig.measured.profilers.callgraph import contexts, flames, own, packages, tables, tagged
from omrig.measured.profilers.callgraph import graph as callgraph
from omrig.measured.profilers.names import Names
from omrig.model import by_stage
from omrig.model.callgraph import Cost, Graph, Key
from omrig.model.functions import Functions, file_of
from omrig.model.profiling import CLOCK, OPTIONS
from omrig.model.values import Json
from omrig.recordings import writer

PSTAT, CALLGRIND, SUMMARY = "yappi.pstat", "yappi.callgrind", "profile.yappi.json"
SPEEDSCOPE, COLLAPSED = "yappi.speedscope.json", "yappi.collapsed"


class YappiProfiler(Profiler):
    """Writes call graphs, flame graphs and tables.

    ``yappi.pstat`` is for snakeviz, ``yappi.callgrind`` for kcachegrind, ``yappi.speedscope.json``
    for speedscope, ``yappi.collapsed`` for flamegraph.pl, and ``profile.yappi.json`` has the time
    by role, by package and by function. ``functions.yappi.json`` is what runs are compared by.
    """

    name = "yappi"
    options = OPTIONS["yappi"]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._contexts: contexts.GreenletContexts | contexts.ThreadContexts = (
            contexts.GreenletContexts()
            if context.executor == "eventlet"
            else contexts.ThreadContexts()
        )
        self._clock = context.profiling.value(CLOCK)
        self._graph: Graph = {}
        self._by_role: dict[str, Graph] = {}
        self._counts: Counter[str] = Counter()
        self._whereabouts = context.whereabouts
        self._by_stage = by_stage.Tally()
        self._own = own.OwnTimes()
        self._running = False

    def install(self) -> None:
        """Choose the clock and the contexts; yappi must not have measured in this process."""
        yappi.set_clock_type(self._clock)
        if self._whereabouts:
            yappi.set_tag_callback(self._whereabouts.where)
        self._contexts.install()

    def start(self) -> None:
        """Begin to measure all threads and greenlets, old and new."""
        self._running = True
        yappi.start(builtins=True)

    def stop(self) -> None:
        """End measuring, or interrupt it: what was measured so far is taken out of yappi.

        yappi keeps the functions in which each thread or greenlet was, and would give them the time
        until it is started again.
        """
        if not self._running:
            return
        self._running = False
        yappi.stop()
        measured = self._contexts.measured()
        found, root = _functions(), f"<{self._run.side}>"
        functions = [function for _, function in found]
        if self._whereabouts:
            functions = tagged.together(found)
        graph = callgraph.build(functions, measured, root)
        callgraph.add(self._graph, graph)
        self._tally(found, graph)
        for role, its in callgraph.by_role(functions, measured, root).items():
            callgraph.add(self._by_role.setdefault(role, {}), its)
        # The most that there were at once, if it was interrupted.
        self._counts |= Counter(role for role, _ in measured.values())
        yappi.clear_stats()

    def save(self, folder: Path) -> list[Artefact]:
        """Write all files into the folder; nothing if ``start`` was never called."""
        if not self._graph:
            return []
        # First what the reports need.
        writer.write_json(
            folder / SUMMARY,
            {
                **tables.summarise(
                    self._by_role, self._counts, self._clock, packages.installation()
                ),
                **self._stages(),
            },
        )
        writer.write_json(folder / file_of(self.name), self._functions().to_json())
        with writer.writing(folder / PSTAT, "wb") as file:
            pstat.write(self._graph, file)
        with writer.writing(folder / CALLGRIND) as file:
            callgrind.write(self._graph, file, *_EVENTS[self._clock])
        flame_graphs = flames.profiles(self._by_role, self._run.side)
        with writer.writing(folder / SPEEDSCOPE) as file:
            stacks.write_speedscope(file, f"{self._run.side}, yappi", flame_graphs)
        with writer.writing(folder / COLLAPSED) as file:
            stacks.write_collapsed(file, flame_graphs[0].stacks)
        return [
            Artefact(PSTAT, "pstat", "snakeviz {path}"),
            Artefact(CALLGRIND, "callgrind", "kcachegrind {path}"),
            Artefact(SPEEDSCOPE, "speedscope", stacks.OPEN_WITH),
            Artefact(COLLAPSED, "collapsed stacks", stacks.OPEN_WITH),
        ]

    def _tally(self, found: tagged.Tagged, graph: Graph) -> None:
        begun: dict[Key, str] = {}
        if self._whereabouts:
            seconds = sum(node.cost.own for node in graph.values())
            begun = tagged.begins(self._whereabouts.passed())
            tagged.tally(self._by_stage, found, seconds, self._whereabouts, begun)
        self._own.add(found, self._whereabouts, begun)

    def _functions(self) -> Functions:
        staged = self._whereabouts is not None
        functions = self._own.functions(self._graph, Names(), staged)
        return Functions(unit="nanoseconds", clock=self._clock, functions=functions)

    def _stages(self) -> dict[str, Json]:
        if self._whereabouts is None:
            return {}
        return {by_stage.KEY: self._by_stage.summary("functions", tagged.HOW).to_json()}


_EVENTS = {
    "cpu": ("CPU_ns", "CPU time [ns]"),
    "wall": ("Wall_ns", "Wall time [ns]"),
}
"""By clock: what callgrind's readers call a cost, and its description."""

_OWN_FILES = frozenset({__file__, contexts.__file__, roles.__file__})
"""What this mode itself calls while it measures."""


def _functions() -> tagged.Tagged:
    found: list[tuple[int, callgraph.Function]] = []

    # The filter is the one place where yappi shows each context's functions before it merges them.
    def keep(stat: yappi.YFuncStat) -> bool:
        if stat.module not in _OWN_FILES:
            found.append((stat.tag, _function(stat)))
        return False

    yappi.get_func_stats(filter_callback=keep)
    return found


def _function(stat: yappi.YFuncStat) -> callgraph.Function:
    key, label = _identity(stat)
    return callgraph.Function(
        index=stat.index,
        context=stat.ctx_id,
        key=key,
        label=label,
        cost=Cost(stat.ncall, stat.nactualcall, stat.tsub, stat.ttot),
        callees={
            index: Cost(calls, primitive, own, cumulative)
            for index, calls, primitive, cumulative, own in stat.children
        },
    )


def _identity(stat: yappi.YFuncStat) -> tuple[Key, str]:
    if stat.builtin:
        name = stat.name
        if not name.startswith("<"):
            name = f"<built-in method {stat.module}.{name}>"
        return ("~", 0, name), name
    # yappi puts the class of the first instance before the name, which then differs between
    # contexts and runs.
    return (stat.module, stat.lineno, stat.name.rpartition(".")[2]), stat.name
