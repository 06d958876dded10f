"""``python -m omrig.fleet.worker SCHEDULER NAME``: a worker of a cluster that is made for a run.

It ends when its scheduler is gone or its standard input is closed, whichever comes first: the
coordinator holds the other end, through ssh where it is on another host, and lets go of it however
it ends. The members that it has started notice that it is gone, and save what they measured.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import threading

from omrig.fleet import hosts, settings

_STDIN = 0
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
        # Nobody else's way to it.
        host=hosts.own_address(hosts.ip_of(scheduler)),
        nthreads=os.cpu_count(),
        resources={settings.RESOURCE: os.cpu_count()},
        memory_limit=0,
        local_directory=folder,
        dashboard_address="127.0.0.1:0",
        death_timeout=60,
    )
    settings.quieten(worker)
    await worker.finished()


def _end_with_input(folder: str) -> None:
    while os.read(_STDIN, _ENOUGH_BYTES):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
