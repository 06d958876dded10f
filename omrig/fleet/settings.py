"""How the engine is set up so that a load host has its processor for the load.

By default a process of the engine looks after itself some hundred times a second: it samples its
own stacks, measures how late its event loop is, reads its memory. None of that is needed to start
a process and to carry its lines.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

CONFIGURATION: Mapping[str, Any] = MappingProxyType(
    {
        "distributed.worker.profile.enabled": False,
        "distributed.worker.http.routes": [],
        "distributed.scheduler.http.routes": [],
        "distributed.scheduler.work-stealing": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.scheduler.worker-ttl": None,
        "distributed.scheduler.allowed-failures": 0,
        "distributed.admin.system-monitor.interval": "60s",
        "distributed.admin.system-monitor.disk": False,
        "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.admin.low-level-log-length": 10,
        "distributed.diagnostics.nvml": False,
        "distributed.diagnostics.computations.max-history": 1,
    }
)
"""Of the processes of a cluster that is made for a run."""

RESOURCE = "omrig"
"""What workers declare as many of as a host has cores, and a member takes one of: where they do
(``dask worker --resources omrig=4``), several fleets do not get more members there than that."""

HEARTBEAT_S = 10.0
"""A worker says so often that it is there; that it is gone its connection says."""

AS_BEFORE_S = 5.0
"""So long may it take to have all processes as they were: a host that was cut off never says so."""

_STOPPED = (
    "profile",
    "profile-cycle",
    "tick",
    "ticks",
    "monitor",
    "shift_counters",
    "find-missing",
    "memory_monitor",
    "heartbeat",
    "stealing",
    "no-workers-timeout",
    "idle-timeout",
)
"""What a process of the engine does periodically and need not during a load, by its own names.

``find-missing`` looks for data that a task waits for, and no task of a fleet waits for any;
``memory_monitor`` writes such data to the disk where memory is short, or ends the worker.
"""

_OURS = "omrig-heartbeat"
"""The slow heartbeat that takes the place of the usual one."""


def quieten(dask_worker: Any) -> None:
    """Have a worker, nanny or scheduler of dask's do little beside what it is told.

    To be called in its event loop, with itself: the name of the parameter is how dask gives it.
    Asking again changes nothing; :func:`as_before` undoes it.
    """
    from tornado.ioloop import PeriodicCallback

    periodic = dask_worker.periodic_callbacks
    for name in _STOPPED:
        if name in periodic:
            periodic[name].stop()
    if "heartbeat" in periodic and _OURS not in periodic:
        periodic[_OURS] = PeriodicCallback(dask_worker.heartbeat, HEARTBEAT_S * 1000)
        periodic[_OURS].start()


def as_before(dask_worker: Any) -> None:
    """Undo :func:`quieten`."""
    periodic = dask_worker.periodic_callbacks
    if _OURS in periodic:
        periodic.pop(_OURS).stop()
    for name in _STOPPED:
        if name in periodic and not periodic[name].is_running():
            periodic[name].start()


@contextlib.contextmanager
def quiet(client: "Client", timeout_s: float) -> Iterator[None]:
    """All processes of a cluster do little beside what they are told, until the block ends.

    Within ``timeout_s`` they are to say that they do. Raises ``TimeoutError``.
    """
    _tell(client, quieten, timeout_s)
    try:
        yield
    finally:
        # What has gone meanwhile does not matter any more; with its scheduler the client closes.
        if client.status == "running":
            with contextlib.suppress(OSError, TimeoutError):
                _tell(client, as_before, AS_BEFORE_S)


def _tell(client: "Client", what: Callable[[Any], None], timeout_s: float) -> None:
    async def scheduler() -> None:
        # One that only brings others together may be without omrig.
        with contextlib.suppress(ImportError):
            await client.run_on_scheduler(what)

    async def tell() -> None:
        # Each at once: who does not answer is not waited for by the others.
        await asyncio.gather(
            scheduler(),
            *(client.run(what, nanny=each, on_error="ignore") for each in (False, True)),
        )

    client.sync(tell, callback_timeout=timeout_s)
