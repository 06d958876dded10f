"""The probes in their places, for the length of a block; nothing stays behind.

At each site of the stage maps the stamps of its action are grafted into the function's own code
(:mod:`omrig.measured.probes.graft`).
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FunctionType

from omrig.drivers.maps import Site
from omrig.measured.probes import actions, connections, graft
from omrig.measured.probes.state import State

_OF_CONNECTIONS = frozenset({"wrap", "note"})
"""Actions that have to be there when a connection is made."""


def split(sites: Sequence[Site]) -> tuple[list[Site], list[Site]]:
    """The sites that connections pass, and those that messages pass."""
    bound = [site for site in sites if site.probe.action.name in _OF_CONNECTIONS]
    return bound, [site for site in sites if site not in bound]


@contextlib.contextmanager
def installed(state: State, sites: Iterable[Site]) -> Iterator[None]:
    """Graft the functions at ``sites`` for the length of the block; nothing stays behind.

    A function whose code somebody else has replaced meanwhile keeps that: its stamps then do
    nothing. What cannot be grafted is noted in ``State.failures``, and the stages that cannot be
    told without it in ``State.lost_stages``.
    """
    replaced: list[tuple[FunctionType, CodeType, CodeType]] = []
    try:
        for site in sites:
            function = site.unwrapped()
            if function is None:
                continue
            original = function.__code__
            try:
                code = graft.grafted(original, actions.graft(state, site.probe.action), site.within)
            except graft.NotGraftable as error:
                state.failures.append(f"{site.probe.function}: {error}")
                state.lost_stages.update(site.probe.stages)
                continue
            function.__code__ = code
            replaced.append((function, original, code))
        yield
    finally:
        for function, original, code in reversed(replaced):
            if function.__code__ is code:
                function.__code__ = original


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
