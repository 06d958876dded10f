"""Who took part, where a side has several members or a run several hosts."""

from typing import Any

from omrig.model.result import Result
from omrig.model.run import Run
from omrig.report import hosts, members
from omrig.report import text as words


def of_members(result: Result) -> dict[str, Any]:
    """Who took part where a side has several, and what a client that sends by itself says."""
    return {
        "members": [(row, members.figures(row)) for row in result.members or ()],
        "member_figures": members.FIGURES,
        "spread": list(members.spread(result)),
        "delivery": words.delivery(result),
    }


def of_hosts(run: Run, result: Result) -> dict[str, Any]:
    """The hosts of a fleet, how they differ, and what was lost of them."""
    return {
        "hosts": hosts.rows(result),
        "host_figures": hosts.FIGURES,
        "hosts_notes": list(hosts.notes(run, result)),
        "hosts_lost": list(hosts.lost(result)),
        "hosts_differ": list(hosts.differences(run)),
        "hosts_keep_time": list(hosts.clocks_of_their_own(result)),
    }
