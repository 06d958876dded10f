"""What a run could not collect, fetched later: which folders, through which workers, and the run
as it is then."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from omrig.fleet import collecting
from omrig.fleet.collecting import Cut, Say
from omrig.model.errors import UsageError
from omrig.model.fleet import FleetHost
from omrig.model.run import Run

if TYPE_CHECKING:
    from distributed import Client


class Reachable(Protocol):
    """A host of the cluster that is there now: its IP address and the addresses of its workers."""

    @property
    def address(self) -> str: ...

    @property
    def workers(self) -> Sequence[str]: ...


def left(run: Run) -> tuple[FleetHost, ...]:
    """The hosts that still hold folders of the run.

    Raises ``UsageError`` where there is nothing to go on with.
    """
    if run.fleet is None:
        raise UsageError(
            "--resume: the run was not spread over hosts; omrig report accounts it again"
        )
    found = tuple(each for each in run.fleet.hosts if each.left_in)
    if not found:
        raise UsageError("--resume: everything of the run was collected; omrig report shows it")
    return found


def workers_of(host: FleetHost, there: Iterable[Reachable]) -> tuple[str, ...]:
    """The workers that the host has now. It may have been started anew since: its disk is the
    same."""
    return tuple(
        worker for each in there if each.address == host.address for worker in each.workers
    )


def parts(host: FleetHost) -> tuple[str, ...]:
    """The folders of a run that come from a host: its members', and what was sampled there."""
    return (*host.members, *host.sampled_in)


def gather(
    client: "Client", run: Run, folder: Path, there: Sequence[Reachable], say: Say
) -> tuple[Run, Mapping[str, str]]:
    """Fetch what the hosts of a run still hold into its ``folder``, and delete it there.

    The run as it is then, and by the name of a host why nothing more came from it. Raises
    ``OSError`` where the disk takes no more, ``RunError`` as :func:`collecting.collect`,
    ``UsageError`` as :func:`left`.
    """
    failed: dict[str, str] = {}
    for host in left(run):
        source = host.left_in or ""
        try:
            worker = collecting.fetch_by_any(
                client, workers_of(host, there), source, folder, say, parts(host)
            )
            for part in parts(host):
                # Other hosts of one machine may have theirs in the same folder.
                collecting.remove(client, worker, f"{source}/{part}")
        except Cut as error:
            failed[host.name] = str(error)
    return collected(run, {each.name for each in left(run)} - failed.keys()), failed


def collected(run: Run, names: Collection[str]) -> Run:
    """The run of whose hosts these hold nothing any more."""
    if run.fleet is None:
        return run
    hosts = tuple(
        dataclasses.replace(each, left_in=None) if each.name in names else each
        for each in run.fleet.hosts
    )
    return dataclasses.replace(run, fleet=dataclasses.replace(run.fleet, hosts=hosts))
