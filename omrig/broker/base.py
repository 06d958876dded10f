"""What a run wants to know of the broker, whichever it is: :class:`Broker` and its answers.

Asked by the process that the user started; nothing of this runs in a measured process.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from omrig.broker.leftovers import Left
from omrig.model import events
from omrig.model.declared import Thing
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.model.run import BrokerProcess


class PublishersBlocked(RunError):
    """The broker has blocked those that publish."""


class Refused(UsageError):
    """The broker's own refusal, and none that passes when others, or we, use less of it."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What to try: the sides that will be there, the driver's options, the bytes of a message.

    ``plan`` is that of the run where the broker outlives it: for ``omrig clean`` it is written down
    then what the trial declares. Without ``streams`` none is declared, nor anything for one. With
    ``copies`` the producer sends each message to all servers at once. With a ``priority`` messages
    are notifications; without ``rpc`` nothing else is sent.
    """

    sides: tuple[str, ...]
    options: Mapping[str, Any]
    body_bytes: int = 0
    plan: Plan | None = None
    streams: bool = True
    copies: bool = False
    priority: str = ""
    rpc: bool = True


@dataclasses.dataclass(frozen=True)
class BrokerInfo:
    """What the broker said of itself, and the address at which it did."""

    product: str
    version: str
    platform: str
    cluster_name: str
    vhost: str
    host: str
    port: int

    @property
    def named(self) -> str:
        """Its product, with the version where that is known."""
        return f"{self.product} {self.version}".rstrip()


@dataclasses.dataclass(frozen=True)
class QueueState:
    """How many consumers listen on a queue, and how many messages wait in it for them."""

    consumers: int
    messages: int


@dataclasses.dataclass(frozen=True)
class Consumer:
    """What a producer has to know of a consumer.

    ``pid`` is that of its ``omrig -c``; ``options`` are those of the driver that decide what both
    sides declare.
    """

    run_id: str
    topic: str
    exchange: str
    host: str
    pid: int
    options: Mapping[str, bool]

    @property
    def who(self) -> str:
        """It in words."""
        return f"the consumer on {self.host}, pid {self.pid}"


def _nobody_joins(_consumer: Consumer) -> None:
    """Of one alone."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Consumers that are started one by one and serve the same queue; ``size`` of them.

    ``leader`` is the run of the first of them, empty for that one itself; ``joined`` is called
    with each of the others, from another thread.
    """

    size: int = 1
    leader: str = ""
    joined: Callable[[Consumer], None] = _nobody_joins


class Held(Protocol):
    """What is given back at the end."""

    def release(self) -> None:
        """Give it back."""


class Hearer(Protocol):
    """Whoever can be told something: a measured process, or those of another command."""

    name: str

    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have it hear this; called by any thread."""


class Met(Hearer, Protocol):
    """A consumer that serves a producer; ``answered`` consumers were there to choose from."""

    consumer: Consumer
    answered: int

    def listen(self, take: Callable[[events.Answer], None]) -> None:
        """Have ``take`` called, by another thread, with the answers to what it is told."""

    def release(self) -> None:
        """Tell the consumer that this producer has ended; one that is gone is not told."""


class Host(Protocol):
    """Answers producers for a consumer."""

    def close(self) -> None:
        """Answer no more."""


class Broker(Protocol):
    """Where the messages of a run go, as far as it can be asked.

    ``one_process`` says that messages never leave the process: then there is nobody to ask, and the
    figures measure no broker.
    """

    one_process: bool

    def check(self, deadline_s: float, needs: Needs | None = None) -> BrokerInfo | None:
        """What the broker is, once it has done what ``needs`` says; None where there is none.

        Takes about ``deadline_s`` seconds at most. Raises ``UsageError`` where it does not let us
        in or does not do it, :class:`Refused` where that is its answer, and
        :class:`PublishersBlocked`.
        """

    def reachable(self) -> bool:
        """Whether anything listens where the broker should be. Never raises."""

    def state(self, queue: str) -> QueueState | None:
        """How a queue is; None where there is none, or nobody says. Never raises."""

    def meet(self, plan: Plan, waiting: Callable[[float], None]) -> Met | None:
        """The consumer that is to serve the producer of ``plan``; None where none can be met.

        ``waiting`` is called with the seconds that are left, again and again, while there is none.
        Raises ``RunError`` when none has answered within ``--wait``, ``UsageError`` when it
        declares other things than this side would.
        """

    def host(
        self,
        plan: Plan,
        tell: Callable[[str], None],
        asked: Callable[[Hearer, events.Ask], None],
        group: Group,
    ) -> Host | None:
        """What answers producers for the consumer of ``plan``; None where none can come.

        ``tell`` is called with a line for a person, ``asked`` with what their measured processes
        ask; both from another thread.
        """

    def join(self, plan: Plan, waiting: Callable[[float], None]) -> tuple[Held, Consumer | None]:
        """Have the consumer of ``plan`` be one of its group, as long as what is returned is held.

        With it comes the first consumer of the group, None where it is that itself.

        Raises ``RunError`` when the first one has not answered within ``--wait``.
        """

    def reach(self, plan: Plan, consumer: Consumer) -> Met:
        """Another consumer of the group of ``plan``, which has joined."""

    def prepare(self, plan: Plan) -> None:
        """Make what the driver does not make for the run, written down in its record before."""

    def locate(self, info: BrokerInfo) -> BrokerProcess:
        """The broker's process on this host, or why it is not known."""

    def clean_up(self, things: Sequence[Thing]) -> list[Left]:
        """Delete what a run declared; what was left behind. Never raises for want of a broker."""
