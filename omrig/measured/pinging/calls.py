"""The calls of a ping: one function a server, and what became of each call."""

import array
import datetime
import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from omrig.measured.executors.base import Executor
from omrig.measured.load.side import POLL_S, Stop
from omrig.measured.pinging.turns import Turns
from omrig.measured.probes.stamp import clock
from omrig.model import events, redaction
from omrig.model.events import Emit
from omrig.model.ping import (
    ANSWERED,
    ERROR,
    FAILED,
    METHODS,
    OUTCOMES,
    REFUSALS,
    REFUSED,
    SILENT,
    UNROUTED,
    VERSION,
    Ping,
    Server,
)

ARGUMENT = "omrig"
"""What is sent, and comes back with ``baseapi.ping``."""

_GRACE_S = 1.0
_LONGEST = 200


def declare_nothing() -> None:
    """Have the driver declare no exchange before it sends to one: it would make what is not there.

    For a process that has not sent anything yet.
    """
    import kombu.entity

    kombu.entity.Exchange.passive = True


def outcome_of(error: Exception) -> tuple[str, str]:
    """What became of a call that raised, and the name of what the server raised, if it did."""
    import oslo_messaging

    if isinstance(error, oslo_messaging.MessagingTimeout):
        return SILENT, ""
    if isinstance(error, oslo_messaging.MessageUndeliverable):
        return UNROUTED, ""
    name = type(error).__name__
    if isinstance(error, oslo_messaging.RemoteError):
        name = str(error.exc_type)
    elif not name.endswith(_REBUILT) and _TRACEBACK not in str(error):
        return FAILED, name
    name = name.removesuffix(_REBUILT)
    return (REFUSED if name in REFUSALS else ERROR), name


_REBUILT = "_Remote"
"""What the name of an exception ends with that the driver has made again of a reply."""

_TRACEBACK = "Traceback (most recent call last)"
"""What the words of one of Python's own have in them then: its name stays as it was."""


def callers(transport: Any, ping: Ping) -> list[Callable[[], object]]:
    """For each server that is asked a function that calls it and returns its reply."""
    return [_caller(transport, ping, server) for server in ping.asked]


def _caller(transport: Any, ping: Ping, server: Server) -> Callable[[], object]:
    import oslo_messaging
    from oslo_messaging.transport import TransportOptions

    namespace, method = METHODS[ping.method]
    target = oslo_messaging.Target(
        exchange=ping.exchange,
        topic=server.topic,
        server=server.name or None,
        namespace=namespace,
        version=VERSION,
    )
    make = getattr(oslo_messaging, "get_rpc_client", oslo_messaging.RPCClient)
    # What no queue takes comes back, and is told from what nobody answers.
    client = make(
        transport, target, timeout=ping.timeout_s, retry=0,
        transport_options=TransportOptions(at_least_once=True),
    ).prepare()  # fmt: skip

    def call() -> object:
        context = {"request_id": f"req-{uuid.uuid4()}"}
        return client.call(context, method, arg=ARGUMENT)

    return call


class Calls:
    """Calls servers in their turns, and keeps when each call began and ended, and how."""

    def __init__(
        self,
        ping: Ping,
        callers: Sequence[Callable[[], object]],
        executor: Executor,
        stop: Stop,
        emit: Emit,
    ) -> None:
        self._ping = ping
        self._callers = callers
        self._executor = executor
        self._stop = stop
        self._emit = emit
        self._turns = Turns(len(callers), ping.rate, ping.lasts_s, stop)
        self._sequence = itertools.count()
        # By sequence number; a call that is under way has ended at 0.
        self._rows: dict[int, list[int]] = {}
        self.errors: list[tuple[int, str, str]] = []
        """Sequence number, exception and words of what was replied or raised in its place."""

    def run(self) -> None:
        """Call until there are no more turns; what is under way then has its timeout to end.

        After a request to stop it has a second.
        """
        workers = [self._executor.spawn(self._work, "worker") for _ in range(self._ping.workers)]
        for each in workers:
            while not each.join(POLL_S):
                if self._stop.requested and not each.join(_GRACE_S):
                    break

    def columns(self) -> dict[str, "array.array[int]"]:
        """Of each call: server, begin and end on the load's clock in ns, and number of outcome."""
        rows = [self._rows[seq] for seq in sorted(self._rows)]
        names = ("server", "start_ns", "end_ns", "outcome")
        return {name: array.array("Q", (row[n] for row in rows)) for n, name in enumerate(names)}

    def _work(self) -> None:
        while (server := self._turns.take()) is not None:
            again = True
            try:
                again = self._call(server)
            finally:
                self._turns.done(server, again)

    def _call(self, server: int) -> bool:
        """Make a call; whether there is to be another one to this server."""
        seq = next(self._sequence)
        call = self._callers[server]
        begin, end = clock.begin, clock.end
        row = [server, 0, 0, 0]
        self._rows[seq] = row
        row[1] = begin(seq)
        try:
            call()
        except Exception as error:  # noqa: BLE001 - told by its name, the next server has its turn
            ended = end()
            outcome, name = outcome_of(error)
            words = redaction.redact(" ".join(str(error).splitlines()[0:1]))[:_LONGEST]
            self.errors.append((seq, name or type(error).__name__, words))
        else:
            ended, outcome = end(), ANSWERED
        row[3] = OUTCOMES.index(outcome)
        row[2] = ended
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self._emit(events.CallEnded(server, outcome, ended - row[1], at))
        # Each refusal is a traceback in the log of the service: once is enough to know.
        return outcome != REFUSED or not self._ping.asked[server].name
