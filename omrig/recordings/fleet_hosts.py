"""What ``run.json`` says of the hosts of a fleet, where a run was spread over one."""

from omrig.model.run import Run


def of_member(run: Run, member: str) -> str:
    """The name of the host that a member was placed on; empty where there is none."""
    hosts = run.fleet.hosts if run.fleet else ()
    return next((each.name for each in hosts if member in each.members), "")


def ahead_ns(run: Run, host: str) -> int | None:
    """By how much a host's clock was ahead of the coordinator's when the start was told.

    None where nobody knows.
    """
    hosts = run.fleet.hosts if run.fleet else ()
    return next((each.offset_ns for each in hosts if each.name == host), None)
