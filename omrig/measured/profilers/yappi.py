"""Mode `yappi`: which functions take the time, in which thread or greenlet, called by whom.

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
from omrig.measured.profilers.callgraph import contexts, flames, packages, tables
from omrig.measured.profilers.callgraph import graph as callgraph
from omrig.measured.profilers.registry import Artefact, ProfilerContext
from omrig.recordings import writer


class YappiProfiler:
    """Writes `yappi.pstat` for snakeviz, `yappi.callgrind` for kcachegrind, flame graphs, tables.

    `yappi.speedscope.json` is for speedscope, `yappi.collapsed` for flamegraph.pl, and
    `profile.yappi.json` has the time by role, by package and by function.
    """

    name = "yappi"
    coexists_with = frozenset({"stages", "resources", "memory"})

    def __init__(self, context: ProfilerContext) -> None:
        self._run = context
        self._contexts: contexts.GreenletContexts | contexts.ThreadContexts = (
            contexts.GreenletContexts()
            if context.executor == "eventlet"
            else contexts.ThreadContexts()
        )
        self._graph: callgraph.Graph = {}
        self._by_role: dict[str, callgraph.Graph] = {}
        self._counts: Counter[str] = Counter()
        self._running = False

    def install(self) -> None:
        """Choose the clock and the contexts; yappi must not have measured in this process."""
        yappi.set_clock_type(self._run.clock)
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
        functions, root = _functions(), f"<{self._run.side}>"
        callgraph.add(self._graph, callgraph.build(functions, measured, root))
        for role, graph in callgraph.by_role(functions, measured, root).items():
            callgraph.add(self._by_role.setdefault(role, {}), graph)
        # The most that there were at once, if it was interrupted.
        self._counts |= Counter(role for role, _ in measured.values())
        yappi.clear_stats()

    def save(self, folder: Path) -> list[Artefact]:
        """Write all files into the folder; nothing if `start` was never called."""
        if not self._graph:
            return []
        # First what the reports need.
        writer.write_json(
            folder / "profile.yappi.json",
            tables.summarise(self._by_role, self._counts, self._run.clock, packages.installation()),
        )
        pstat.write(self._graph, folder / "yappi.pstat")
        event, description = _EVENTS[self._run.clock]
        callgrind.write(self._graph, folder / "yappi.callgrind", event, description)
        speedscope, collapsed = folder / "yappi.speedscope.json", folder / "yappi.collapsed"
        flames.write(self._by_role, self._run.side, speedscope, collapsed)
        return [
            Artefact("yappi.pstat", "pstat", "snakeviz {path}"),
            Artefact("yappi.callgrind", "callgrind", "kcachegrind {path}"),
            Artefact(speedscope.name, "speedscope", stacks.OPEN_WITH),
            Artefact(collapsed.name, "collapsed stacks", stacks.OPEN_WITH),
        ]


_EVENTS = {
    "cpu": ("CPU_ns", "CPU time [ns]"),
    "wall": ("Wall_ns", "Wall time [ns]"),
}

# What this mode itself calls while it measures.
_OWN_FILES = frozenset({__file__, contexts.__file__, roles.__file__})


def _functions() -> list[callgraph.Function]:
    found: list[callgraph.Function] = []

    # The filter is the one place where yappi shows each context's functions before it merges them.
    def keep(stat: yappi.YFuncStat) -> bool:
        if stat.module not in _OWN_FILES:
            found.append(_function(stat))
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
        cost=callgraph.Cost(stat.ncall, stat.nactualcall, stat.tsub, stat.ttot),
        callees={
            index: callgraph.Cost(calls, primitive, own, cumulative)
            for index, calls, primitive, cumulative, own in stat.children
        },
    )


def _identity(stat: yappi.YFuncStat) -> tuple[callgraph.Key, str]:
    if stat.builtin:
        name = stat.name
        if not name.startswith("<"):
            name = f"<built-in method {stat.module}.{name}>"
        return ("~", 0, name), name
    # yappi puts the class of the first instance before the name, which then differs between
    # contexts and runs.
    return (stat.module, stat.lineno, stat.name.rpartition(".")[2]), stat.name
