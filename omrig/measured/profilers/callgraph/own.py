"""What each function of a call graph took itself, with the builtins that it called, by stage.

A builtin has no code to look at, and a profiler that samples does not see it: its time is that of
whoever called it. Between a caller and what it calls directly nothing has to be estimated.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from omrig.measured.profilers.callgraph.tagged import Tagged
from omrig.measured.profilers.names import Names
from omrig.measured.profilers.whereabouts import Whereabouts
from omrig.model.callgraph import Cost, Graph, Key
from omrig.model.functions import NOWHERE, Function

_BUILTIN = "~"


class OwnTimes:
    """Adds up seconds by function and stage."""

    def __init__(self) -> None:
        self._seconds: defaultdict[Key, defaultdict[str, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._made: Counter[Key] = Counter()

    def add(self, found: Tagged, whereabouts: Whereabouts | None, begun: Mapping[Key, str]) -> None:
        """Add functions of all contexts, each with its tag."""
        builtins = {each.index for _, each in found if each.key[0] == _BUILTIN}
        for tag, function in found:
            if function.index in builtins:
                continue
            stage = whereabouts.stage(tag) if whereabouts else None
            if stage is not None:
                stage = begun.get(function.key, stage)
            own = function.cost.own + sum(
                call.own for index, call in function.callees.items() if index in builtins
            )
            self._seconds[function.key][stage or NOWHERE] += own
            self._made[function.key] += sum(call.calls for call in function.callees.values())

    def functions(self, graph: Graph, names: Names, staged: bool) -> tuple[Function, ...]:
        """The functions in ns, those that took most first; calls are those of the ``graph``."""
        made = []
        for key, stages in self._seconds.items():
            file, line, _ = key
            cost = graph[key].cost if key in graph else Cost()
            by_stage = {name: round(1e9 * part) for name, part in stages.items() if part > 0}
            made.append(
                Function(
                    module=names.module(file),
                    name=names.function(key),
                    own=round(1e9 * sum(stages.values())),
                    calls=cost.calls,
                    made=self._made[key],
                    stages=by_stage if staged else None,
                    file=file,
                    line=line,
                )
            )
        return tuple(sorted(made, key=lambda each: (-each.own, each.module, each.name)))
