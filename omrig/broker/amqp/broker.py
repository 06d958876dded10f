"""A broker that speaks AMQP 0-9-1, as the process that the user started asks it."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import amqp

from omrig.broker import process
from omrig.broker.amqp import cleanup, hosting, meeting, preflight, reaching
from omrig.broker.base import BrokerInfo, Consumer, Group, Hearer, Held, Needs, QueueState
from omrig.broker.leftovers import Left
from omrig.drivers import rabbit
from omrig.model import events
from omrig.model.declared import Thing
from omrig.model.errors import UsageError
from omrig.model.plan import Plan
from omrig.model.run import BrokerProcess
from omrig.model.transport import Login


class AmqpBroker:
    """See :class:`omrig.broker.base.Broker`; ``options`` are those of the driver."""

    one_process = False

    def __init__(self, login: Login, options: Mapping[str, Any]) -> None:
        self._login = login
        self._options = rabbit.declaring_options(options)

    def check(self, deadline_s: float, needs: Needs | None = None) -> BrokerInfo:
        """Log in to the first address that answers, and try there what the run needs."""
        return preflight.check(self._login, deadline_s, needs)

    def reachable(self) -> bool:
        """Whether any address takes a TCP connection."""
        return reaching.reachable(self._login.endpoints)

    def state(self, queue: str) -> QueueState | None:
        """How a queue is."""
        return preflight.state(self._login, queue)

    def meet(self, plan: Plan, waiting: Callable[[float], None]) -> meeting.Found:
        """Claim the consumer of the topic that serves the fewest producers."""
        found = meeting.find(
            self._login, plan.transport.topic, plan.run_id, plan.load.wait_s, waiting
        )
        try:
            meeting.check_options(self._options, found.consumer)
        except UsageError:
            found.release()
            raise
        return found

    def host(
        self,
        plan: Plan,
        tell: Callable[[str], None],
        asked: Callable[[Hearer, events.Ask], None],
        group: Group,
    ) -> hosting.Host:
        """Answer producers of the topic that this consumer can serve them."""
        topic = plan.transport.topic
        return hosting.Host(self._login, topic, self._about(plan), tell, asked, group)

    def join(self, plan: Plan, waiting: Callable[[float], None]) -> tuple[Held, Consumer | None]:
        """Be the first of the topic, or join whoever is."""
        topic = plan.transport.topic
        try:
            return meeting.Lead(self._login, topic), None
        except amqp.ResourceLocked:
            key = meeting.group_key(topic)
            wait_s, about = plan.load.wait_s, self._about(plan)
            found = meeting.find(self._login, key, plan.run_id, wait_s, waiting, about)
        try:
            meeting.check_options(self._options, found.consumer)
        except UsageError:
            found.release()
            raise
        return found, found.consumer

    def reach(self, plan: Plan, consumer: Consumer) -> meeting.Found:
        """Ask a consumer that has joined."""
        return meeting.Found(self._login, plan.run_id, consumer, 1, is_there=False)

    def _about(self, plan: Plan) -> Consumer:
        own = plan.with_transport(served_topic="", served_exchange="")
        return Consumer(
            run_id=plan.run_id,
            topic=own.queue_topic,
            exchange=own.exchange,
            host=socket.gethostname(),
            pid=os.getpid(),
            options=self._options,
        )

    def prepare(self, plan: Plan) -> None:
        """The driver declares whatever it uses."""

    def locate(self, info: BrokerInfo) -> BrokerProcess:
        """The process that listens where the broker answered."""
        return process.locate(info.host, info.port, info.product)

    def clean_up(self, things: Sequence[Thing]) -> list[Left]:
        """Delete what nobody else uses."""
        return cleanup.remove(self._login, things)
