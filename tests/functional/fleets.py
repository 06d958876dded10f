"""A run over the two hosts of a cluster, in a process of its own:
``python -m tests.functional.fleets SCHEDULER URL FOLDER MESSAGES``."""

import json
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

MEMBERS = ("producer-1", "producer-2", "consumer-1", "consumer-2")


def host(name, worker):
    return SimpleNamespace(
        name=name,
        address=worker.rpartition(":")[0].rpartition("/")[2],
        workers=(worker,),
        cpu_count=2,
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        kernel="6",
        python="3.11",
        omrig="1",
        versions={},
        synchronisation=None,
    )


def main():
    from distributed import Client

    from omrig.cli import results
    from omrig.fleet.placing import placing
    from omrig.model.load import Load
    from omrig.model.pace import Pace
    from omrig.model.plan import SIDES, Output, Plan
    from omrig.report.terminal import progress
    from omrig.supervisor import run as supervisor
    from omrig.supervisor.interrupts import Interrupts

    scheduler, url, folder, messages = sys.argv[1:5]
    with Client(scheduler, set_as_default=False) as client:
        workers = sorted(client.nthreads())
        hosts = [host(f"host-{number}", worker) for number, worker in enumerate(workers, 1)]
        cluster = SimpleNamespace(client=client, kind="scheduler", engine="dask", hosts=hosts)
        placed = {name: hosts[int(name[-1]) - 1] for name in MEMBERS}
        load = Load(messages=int(messages), workers=2, producers=2, consumers=2, timeout_s=10.0)
        plan = Plan(
            sides=SIDES,
            run_id=uuid.uuid4().hex,
            load=load,
            pace=Pace(rate=100.0),
            output=Output(folder=folder),
        ).with_transport(url=url)
        interrupts = Interrupts()
        display = progress.make(load.messages, False, False)
        with interrupts.handled(), placing(cluster, placed, plan.run_id) as place:
            recorded = supervisor.run(plan, display, interrupts, None, place)
            results.account(recorded.folder, recorded.losses, recorded.ended)
    print(json.dumps({"run_id": plan.run_id}))


if __name__ == "__main__":
    main()
