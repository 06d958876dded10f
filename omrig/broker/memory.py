"""No broker: messages stay in the memory of one process, and there is nobody to ask."""

from collections.abc import Callable, Sequence

from omrig.broker import leftovers
from omrig.broker.base import BrokerInfo, Consumer, Group, Hearer, Held, Met, Needs
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
        group: Group,
    ) -> None:
        """Nobody comes from elsewhere."""

    def join(
        self,
        plan: Plan,  # noqa: ARG002
        waiting: Callable[[float], None],  # noqa: ARG002
    ) -> tuple[Held, Consumer | None]:
        """Nobody is elsewhere."""
        raise AssertionError("one side alone finds nobody in memory, and is refused before")

    def reach(self, plan: Plan, consumer: Consumer) -> Met:  # noqa: ARG002
        """Nobody is elsewhere."""
        raise AssertionError(f"{consumer.who}, cannot have joined: nobody else sees a queue")

    def prepare(self, plan: Plan) -> None:
        """The driver makes all there is."""

    def locate(self, info: BrokerInfo) -> BrokerProcess:
        """Never a process of its own."""
        return BrokerProcess(reason=f"{info.product} is no process of its own")

    def clean_up(self, things: Sequence[Thing]) -> list[Left]:
        """Delete the driver's files: all else ended with the process."""
        return leftovers.remove_files(things)
