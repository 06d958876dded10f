"""The probes in their places, for the length of a block; nothing stays behind.

At each site of the stage maps the stamps of its action are grafted into the function's own code
(:mod:`omrig.measured.probes.graft`).
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FunctionType

from omrig.drivers.maps import Site
from omrig.measured.probes import actions, connections, graft
from omrig.measured.probes.state import State
from omrig.model.actions import opens

_OF_CONNECTIONS = frozenset({"wrap", "note"})
"""Actions that have to be there when a connection is made."""


def split(sites: Sequence[Site]) -> tuple[list[Site], list[Site], list[Site]]:
    """The sites that connections pass, those that messages pass, and those of the latter that are
    of use only where no load of the rig's begins and ends its messages itself."""
    bound = [site for site in sites if site.probe.action.name in _OF_CONNECTIONS]
    opening = [site for site in sites if opens(site.probe.action)]
    return bound, [site for site in sites if site not in (*bound, *opening)], opening


@dataclasses.dataclass
class Prepared:
    """A function with its own code and one with stamps in it, ready to be exchanged again and
    again."""

    state: State
    sites: list[Site]
    function: FunctionType
    original: CodeType
    code: CodeType

    def put_in(self) -> None:
        """Have the function run the code with the stamps.

        Where somebody else has replaced the code since it was prepared, theirs stays, which is
        noted in the state as what cannot be grafted is.
        """
        if self.function.__code__ is self.original:
            self.function.__code__ = self.code
        elif self.function.__code__ is not self.code:
            for site in self.sites:
                _note_failure(self.state, site, "somebody else has replaced its code")

    def take_out(self) -> None:
        """... and its own again, the very same, unless somebody else has replaced it meanwhile."""
        if self.function.__code__ is self.code:
            self.function.__code__ = self.original


def prepared(state: State, sites: Iterable[Site]) -> list[Prepared]:
    """The functions at ``sites`` with the stamps of their actions, which are not put in yet.

    What cannot be grafted is noted in ``State.failures``, and the stages that cannot be told
    without it in ``State.lost_stages``.
    """
    found: dict[FunctionType, Prepared] = {}
    for site in sites:
        function = site.unwrapped()
        if function is None:
            continue
        own = function.__code__
        each = found.get(function) or Prepared(state, [], function, own, own)
        try:
            each.code = graft.grafted(
                each.code, actions.graft(state, site.probe.action), site.within
            )
        except graft.NotGraftable as error:
            _note_failure(state, site, str(error))
            continue
        each.sites.append(site)
        found[function] = each
    return list(found.values())


def _note_failure(state: State, site: Site, why: str) -> None:
    told = f"{site.probe.function}: {why}"
    if told not in state.failures:
        state.failures.append(told)
    state.lost_stages.update(site.probe.stages)


@contextlib.contextmanager
def installed(state: State, sites: Iterable[Site]) -> Iterator[None]:
    """Graft the functions at ``sites`` for the length of the block; nothing stays behind.

    A function whose code somebody else has replaced meanwhile keeps that: its stamps then do
    nothing. What cannot be grafted is noted as :func:`prepared` does.
    """
    made = prepared(state, sites)
    try:
        for each in made:
            each.put_in()
        yield
    finally:
        for each in reversed(made):
            each.take_out()


@contextlib.contextmanager
def stamping(state: State, sites: Iterable[Site]) -> Iterator[None]:
    """Stamp messages for the length of the block: at ``sites`` and on all connections.

    Connections have to be known: made while the sites that they pass were grafted.
    """
    with installed(state, sites):
        state.stamping = True
        for connection in list(state.transports):
            connections.stamp_again(state, connection)
        try:
            yield
        finally:
            state.stamps.on = False
            state.stamping = False
            for connection in list(state.transports):
                connections.restore(state, connection)
