"""``python -m omrig.fleet.worker SCHEDULER NAME``: a worker of a cluster that is made for a run.

It ends when its scheduler is gone or its standard input is closed, whichever comes first: the
coordinator holds the other end, through ssh where it is on another host, and lets go of it however
it ends. The members that it has started notice that it is gone, and save what they measured.
"""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
import threading
from urllib.parse import urlsplit

from omrig.fleet import settings

_STDIN = 0
_ANY_PORT = 9
_ENOUGH_BYTES = 4096


def main() -> None:
    """Serve the scheduler that the command line names; does not return before the end."""
    import dask
    import distributed  # noqa: F401 - its defaults first: ours are above them

    dask.config.set(settings.CONFIGURATION)
    scheduler, name = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="omrig-fleet-") as folder:
        threading.Thread(target=_end_with_input, args=(folder,), daemon=True).start()
        asyncio.run(_serve(scheduler, name, folder))
    # A member's thread may wait for what never comes.
    os._exit(0)


async def _serve(scheduler: str, name: str, folder: str) -> None:
    from distributed import Worker

    worker = await Worker(
        scheduler,
        name=name,
        host=_own_address(scheduler),
        nthreads=os.cpu_count(),
        resources={settings.RESOURCE: os.cpu_count()},
        memory_limit=0,
        local_directory=folder,
        dashboard_address="127.0.0.1:0",
        death_timeout=60,
    )
    settings.quieten(worker)
    await worker.finished()


def _own_address(scheduler: str) -> str:
    """The address at which this host reaches the scheduler, and nobody else's way to the worker."""
    host = urlsplit(scheduler).hostname
    family, _, _, _, address = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        way.connect(address)
        return str(way.getsockname()[0])


def _end_with_input(folder: str) -> None:
    while os.read(_STDIN, _ENOUGH_BYTES):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
