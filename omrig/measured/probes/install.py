"""The probes in their places, for the length of a block; nothing stays behind.

A probe is a thin wrapper that stamps the record of the message that passes: one function a kind,
named as in the stage maps. It takes the :class:`omrig.measured.probes.record.State` and the
original function and returns the wrapper. They cost what they measure, so each does the least: no
lock, no log, no call to anything that eventlet patches (a patched ``os.write`` yields before it
writes, and delays the message by a hub's turn).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType

from omrig.drivers.maps import Site
from omrig.measured.probes import confirms, correlate, receiving, sending, sockets
from omrig.measured.probes.record import Function, State

_MAKERS: tuple[Callable[[State, Function], Function], ...] = (
    correlate.call,
    correlate.serialize,
    correlate.reply_put,
    correlate.incoming,
    correlate.process,
    sending.send,
    sending.reply,
    sending.json_out,
    sending.pool_get,
    sending.connect,
    sending.reconnect,
    sending.reconnect_delay,
    confirms.confirm,
    confirms.blocked,
    confirms.unblocked,
    receiving.delivery,
    receiving.json_in,
    receiving.submit,
    receiving.endpoint,
    receiving.reply_get,
    sockets.transport,
    sockets.tls_transport,
    sockets.transport_close,
    sockets.consume,
)

KINDS = MappingProxyType({make.__name__: make for make in _MAKERS})
"""What wraps a function, by the name that stage maps use: one of each ``kinds.KINDS``."""

_BOUND_BY_CONNECTIONS = frozenset(
    {"transport", "tls_transport", "transport_close", "consume", "confirm", "delivery", "submit"}
    | {"blocked", "unblocked"}
)
"""Kinds that have to be there when a connection or a server is made: it binds what it finds."""


def split(sites: Sequence[Site]) -> tuple[list[Site], list[Site]]:
    """The sites that connections bind, and those that messages pass."""
    bound = [site for site in sites if site.probe.kind in _BOUND_BY_CONNECTIONS]
    return bound, [site for site in sites if site not in bound]


@contextlib.contextmanager
def installed(state: State, sites: Iterable[Site]) -> Iterator[None]:
    """Wrap the functions at ``sites`` for the length of the block; nothing stays behind."""
    originals = []
    try:
        for site in sites:
            original = site.original
            originals.append((site.owner, site.name, original))
            static = isinstance(original, staticmethod)
            wrapper = KINDS[site.probe.kind](state, original.__func__ if static else original)
            setattr(site.owner, site.name, staticmethod(wrapper) if static else wrapper)
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


@contextlib.contextmanager
def stamping(state: State, sites: Iterable[Site]) -> Iterator[None]:
    """Stamp messages for the length of the block: at ``sites`` and on all connections.

    Connections have to be known: made while the sites that they bind were installed.
    """
    with installed(state, sites):
        state.stamping = True
        for connection in list(state.transports):
            sockets.stamp_again(state, connection)
        try:
            yield
        finally:
            state.on = False
            state.stamping = False
            for connection in list(state.transports):
                sockets.restore(state, connection)
