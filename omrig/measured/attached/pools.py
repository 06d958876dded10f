"""How large the pools of a process are: read from the objects of oslo.messaging themselves.

They are met where a connection is made: what made it is on the stack then.
"""

import sys
import weakref
from types import FrameType
from typing import Any

_POOLS = "oslo_messaging._drivers.pool"
_SERVERS = "oslo_messaging.server"
_MOST_FRAMES = 60
"""So deep under what uses a transport is its connection made, at most."""


class Pools:
    """The pools of connections and the servers that were met so far; none of them is kept alive."""

    def __init__(self) -> None:
        self._pools: weakref.WeakSet[Any] = weakref.WeakSet()
        self._servers: weakref.WeakSet[Any] = weakref.WeakSet()

    def meet(self) -> None:
        """A connection is being made, under this call."""
        frame: FrameType | None = sys._getframe(1)
        for _ in range(_MOST_FRAMES):
            if frame is None:
                return
            module = frame.f_globals.get("__name__")
            if module in (_POOLS, _SERVERS):
                found = frame.f_locals.get("self")
                if hasattr(found, "_work_executor"):
                    self._servers.add(found)
                elif hasattr(found, "_max_size"):
                    self._pools.add(found)
            frame = frame.f_back

    def sizes(self) -> dict[str, int | None]:
        """``executor_threads`` of all servers, ``send_connections`` of all pools; None where no
        server or no pool was met, or it does not say."""
        return {
            "executor_threads": _sum(_workers(each) for each in list(self._servers)),
            "send_connections": _sum(each._max_size for each in list(self._pools)),
        }


def _workers(server: Any) -> Any:
    executor = server._work_executor
    # futurist's of native threads, and its of green ones.
    return getattr(executor, "_max_workers", None) or getattr(
        getattr(executor, "_pool", None), "size", None
    )


def _sum(sizes: Any) -> int | None:
    known = list(sizes)
    return sum(known) if known and all(isinstance(each, int) for each in known) else None
