"""What the coordinator and its agents on the hosts say to each other, by the engine's scheduler.

To a host it is a queue of the engine's, from which the agent asks for what is next: a worker that
stands still for a while finds it there. From the hosts it is a topic of the engine's, to which the
coordinator listens. Neither is the broker that is measured, neither makes connections of its own,
and nothing in their names is a secret.
"""

import collections
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from omrig.model.values import Json

if TYPE_CHECKING:
    from distributed import Client

Message = dict[str, Any]
"""Values that travel as they are: texts, numbers, lists and dictionaries of them.

To an agent: ``do`` is what (:data:`PLAN` ...), ``member`` whose process is meant, ``line`` what it
is told, ``number`` that of an exchange. From an agent ``post`` is which one, and the rest what it
says: ``said`` lines of members, ``pong`` and ``at_ns`` the answer to an exchange, ``ended`` a
member with its ``status``, ``words`` and ``error``, ``declared`` lines for the record of what was
declared, ``cpu`` of members, ``errors`` that they logged last, ``engine`` the CPU and wall seconds
of the engine's process during the load.
"""

PLAN, TELL, CLOSE, STOP, KILL, PING, BYE = "plan", "tell", "close", "stop", "kill", "ping", "bye"

_LONGEST_S = 3.0
"""What was to be said last is waited for so long."""

_LOOK_S = 0.02

_FORGET_S = 10.0
"""A scheduler that has not deleted a queue by then is not waited for."""


def topic_of(tag: str) -> str:
    """The topic of all agents of a run."""
    return f"omrig-{tag}"


def queue_of(post: str) -> str:
    """The queue of one agent."""
    return f"omrig-{post}"


def forget(scheduler: str, security: Any, post: str, listened: threading.Event) -> None:
    """Delete an agent's queue for a coordinator that is gone; called in its worker.

    Who asks for what is next hears that there is nothing more, and then has ``listened``. Raises
    ``OSError`` where the scheduler at that address does not answer.
    """
    from distributed import Client, Queue

    with Client(scheduler, security=security, set_as_default=False, timeout=_FORGET_S) as client:
        queue = Queue(queue_of(post), client=client)
        queue.put([{"do": BYE}], timeout=_FORGET_S)
        listened.wait(_FORGET_S)
        # It goes with the last that holds it: with this one, and with the one that is gone.
        for _ in range(2):
            queue.close()


class Channel:
    """The coordinator's end. ``hear`` gets what the agents say, on the engine's own thread, and the
    addresses of workers that are gone.

    ``is_broken`` says that the scheduler took no more of it.
    """

    def __init__(
        self,
        client: "Client",
        tag: str,
        hear: Callable[[Mapping[str, Json]], None],
        gone: Callable[[str], None],
    ) -> None:
        self._client = client
        self._topic = topic_of(tag)
        self._hear = hear
        self._gone = gone
        self._queues: list[Any] = []
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Message]] = collections.defaultdict(list)
        self._busy: set[str] = set()
        self.is_broken = False

    def open(self, posts: list[str]) -> None:
        """Make the queues of these agents, and listen to all of them."""
        from distributed import Queue

        self._client.subscribe_topic(self._topic, lambda event: self._hear(event[1]))
        self._client.subscribe_topic("all", self._note)
        self._queues = [Queue(queue_of(post), client=self._client) for post in posts]

    def _note(self, event: tuple[float, Any]) -> None:
        about = event[1]
        if isinstance(about, dict) and about.get("action") == "remove-worker":
            self._gone(str(about.get("worker")))

    def send(self, post: str, message: Message) -> None:
        """Have an agent hear this, after what it was told before; called by any thread."""
        with self._lock:
            self._waiting[post].append(message)
        loop: Any = self._client.loop
        loop.add_callback(self._drain, post)

    async def _drain(self, post: str) -> None:
        if post in self._busy:
            return
        scheduler: Any = self._client.scheduler
        if scheduler is None:
            # The engine's client closes itself when it has lost its scheduler for good.
            self.is_broken = True
            return
        self._busy.add(post)
        try:
            while messages := self._taken(post):
                await scheduler.queue_put(
                    name=queue_of(post), data=messages, client=self._client.id, timeout=None
                )
        except KeyError:
            # The agent has given up this coordinator, and its queue with it.
            return
        except (OSError, RuntimeError):
            # The scheduler is gone: that is noticed, and told, by who watches it.
            self.is_broken = True
        finally:
            self._busy.discard(post)

    def _taken(self, post: str) -> list[Message]:
        with self._lock:
            return self._waiting.pop(post, [])

    def close(self) -> None:
        """Say what is still to be said, listen no more, and delete the queues."""
        end = time.monotonic() + _LONGEST_S
        while not self.is_broken and (self._waiting or self._busy) and time.monotonic() < end:
            time.sleep(_LOOK_S)
        if self._client.status != "running":
            return
        for each in (self._topic, "all"):
            self._client.unsubscribe_topic(each)
        for queue in self._queues:
            queue.close()
