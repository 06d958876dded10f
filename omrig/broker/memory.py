"""No broker: messages stay in the memory of one process, and there is nobody to ask."""

from collections.abc import Callable, Sequence

from omrig.broker import leftovers
from omrig.broker.base import BrokerInfo, Hearer, Needs
from omrig.broker.leftovers import Left
from omrig.model import events
from omrig.model.declared import Thing
from omrig.model.plan import Plan
from omrig.model.run import BrokerProcess


class MemoryBroker:
    """See :class:`omrig.broker.base.Broker`."""

    one_process = True

    def check(self, deadline_s: float, needs: Needs | None = None) -> BrokerInfo | None:  # noqa: ARG002
        """There is none."""
        return None

    def reachable(self) -> bool:
        """It is there as long as the process is."""
        return True

    def state(self, queue: str) -> None:
        """Nobody else sees a queue."""

    def meet(self, plan: Plan, waiting: Callable[[float], None]) -> None:
        """Nobody comes from elsewhere."""

    def host(
        self,
        plan: Plan,
        tell: Callable[[str], None],
        asked: Callable[[Hearer, events.Ask], None],
    ) -> None:
        """Nobody comes from elsewhere."""

    def locate(self, info: BrokerInfo) -> BrokerProcess:
        """Never a process of its own."""
        return BrokerProcess(reason=f"{info.product} is no process of its own")

    def clean_up(self, things: Sequence[Thing]) -> list[Left]:
        """Delete the driver's files: all else ended with the process."""
        return leftovers.remove_files(things)
