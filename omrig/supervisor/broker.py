"""What the broker says while a load is under way, and after one that failed."""

from omrig.broker.asking import Asking
from omrig.broker.base import QueueState
from omrig.model.errors import RunError, UsageError
from omrig.supervisor.destination import Destination
from omrig.supervisor.ending import STALLED_S


class WatchedBroker:
    """The broker at a destination: see :class:`omrig.supervisor.ending.Broker`."""

    def __init__(self, to: Destination) -> None:
        self.name = to.transport.redacted
        self._to = to
        self._asking = Asking(to.broker, to.needs) if to.needs else None

    def close(self) -> None:
        """Ask nothing any more."""
        if self._asking:
            self._asking.close()

    def has_died(self) -> bool:
        """Whether a broker of our own has ended."""
        return bool(self._to.embedded and not self._to.embedded.is_alive())

    def is_reachable(self) -> bool:
        """Whether it takes connections; True where there is none to be reached."""
        return self._to.broker.reachable()

    def refusal(self, quiet_s: float) -> str | None:
        """What it has been refusing for too long, of a load that stands still since ``quiet_s``."""
        if not self._asking:
            return None
        if quiet_s < STALLED_S:
            self._asking.forget()
            return None
        self._asking.ask()
        return self._asking.refused_for(self._to.plan.load.patience_s)

    def explanation(self, unanswered: bool) -> str:
        """Why it would not do now what it did before the run, or where somebody was ``unanswered``
        what it knows of the queue; empty when that is nothing."""
        if not self._to.needs:
            return ""
        try:
            self._to.broker.check(STALLED_S, self._to.needs)
        except (RunError, UsageError) as error:
            return str(error)
        if not unanswered:
            return ""
        state = self._to.broker.state(self._to.plan.queue_topic)
        return self._unanswered(state) if state else ""

    def _unanswered(self, state: QueueState) -> str:
        """What a queue tells of a consumer that did not answer."""
        plan = self._to.plan
        served_by = plan.transport.served_by
        who = f" ({served_by.partition(' on ')[2]})" if served_by else ""
        there = f"a consumer is there{who} and did not answer, busy with other messages or hung"
        if not state.consumers:
            there = f"nobody listens on queue {plan.queue_topic}"
        several = "s wait" if state.messages != 1 else " waits"
        return f"{there}; {state.messages:,} message{several} in its queue"
