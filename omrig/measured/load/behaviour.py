"""What an endpoint does, and what becomes of its errors: functions made once, before the load.

An endpoint that only answers has none of this in its way.
"""

import itertools
import time
import types
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from omrig.measured.load.injected import InjectedError
from omrig.measured.load.nested import Nested
from omrig.measured.load.rpc import ReplyMismatch, Send
from omrig.measured.load.tally import Tally
from omrig.model import behaviour, payload
from omrig.model.behaviour import PLAIN
from omrig.model.plan import Plan
from omrig.model.units import NS
from omrig.model.values import Json
from omrig.recordings import writer

Message: TypeAlias = Callable[..., Json]
"""The endpoint's method that takes a message: ``(context, seq, producer, **payload)``."""

Step: TypeAlias = Callable[[int, dict[str, Any]], None]
"""What is done for the message with this sequence number and payload."""

Chosen: TypeAlias = Callable[[str, int], bool]
"""Whether the message with this sequence number of a producer is one of those that were chosen."""

_CALIBRATION_TURNS = 20_000
_CALIBRATIONS = 5

_AT_ONCE = 0.5
_AT_ONCE_NS = 50_000
"""Of the time that is left so much is burnt, and so long at most, before the clock is read again:
that takes 0.6 µs, but on a slower processor what was burnt too much is not to be had back."""


class Plain(Protocol):
    """An endpoint that only counts."""

    @property
    def tally(self) -> Tally:
        """What it has counted."""

    @property
    def message(self) -> Message:
        """What takes a message."""


class Behaving:
    """What the endpoint of a consumer does before it answers, and what came of it.

    ``raised`` has an element for each error, ``nested`` are the calls that the endpoint makes, None
    for none.
    """

    def __init__(self, plan: Plan) -> None:
        self._asked = behaviour.parse(plan.load.endpoint or ())
        self._messages: dict[tuple[int, str], int] = {}
        self._offsets: dict[str, int] = {}
        self.raised: list[None] = []
        self.nested = Nested(plan) if self._asked.calls else None

    def expect(self, producer: str, messages: int | None, pid: int) -> None:
        """A producer, which is the process ``pid``, will send so many messages of the load; None
        where it does not know.

        Each consumer numbers the messages of all in the order of the processes: which of them err
        is the same everywhere.
        """
        self._messages[pid, producer] = messages or 0
        ordered = {name: count for (_, name), count in sorted(self._messages.items())}
        self._offsets.update(offsets(ordered))

    def connect(self, transport: Any) -> None:
        """Start what the endpoint needs; it must not be called before.

        Raises what oslo.messaging raises when a server cannot listen.
        """
        if self.nested:
            self.nested.connect(transport)

    def endpoint(self, plain: Plain) -> object:
        """An endpoint for oslo.messaging, whose messages ``plain`` counts in its tally."""
        return types.SimpleNamespace(message=self._acting(plain.message), tally=plain.tally)

    def _acting(self, plain: Message) -> Message:
        """``plain`` itself, where the endpoint only answers."""
        asked = self._asked
        if asked == PLAIN:
            return plain
        steps: list[Step] = []
        if asked.cpu_ns:
            steps.append(burning(asked.cpu_ns))
        if asked.sleep_ns:
            steps.append(_sleeping(asked.sleep_ns))
        if self.nested:
            steps += [self.nested.call] * asked.calls
        answer = payload.sized_reply(asked.reply_bytes) if asked.reply_bytes else _number
        fails, raised = chosen(asked.error, self._offsets), self.raised
        returns, requeue = chosen(asked.requeue, self._offsets), _requeue() if asked.requeue else ""
        # Of each message once: it is served when it comes again.
        returned: set[tuple[str, int]] = set()

        def act(
            context: Any, seq: int, producer: str, at_ns: int | None = None, **arguments: Any
        ) -> Any:
            plain(context, seq, producer, at_ns=at_ns, **arguments)
            if returns(producer, seq) and (producer, seq) not in returned:
                returned.add((producer, seq))
                return requeue
            for step in steps:
                step(seq, arguments)
            if fails(producer, seq):
                raised.append(None)
                raise InjectedError(seq)
            return answer(seq)

        return _expecting_errors(act) if asked.error else act

    def about(self) -> dict[str, Json]:
        """What the consumer counted of it; nothing where it only answered."""
        found: dict[str, Json] = {}
        if self.raised:
            found["errors_raised"] = {InjectedError.__name__: len(self.raised)}
        if self.nested:
            found["nested"] = self.nested.about()
        return found

    def save(self, folder: Path) -> None:
        """Write the times of the nested calls into the consumer's ``folder``, if there are any."""
        if self.nested:
            writer.save_nested(folder, self.nested.columns())

    def stop(self) -> None:
        """Stop what :meth:`connect` started, once nothing more is served."""
        if self.nested:
            self.nested.stop()


def offsets(messages: Mapping[str, int]) -> dict[str, int]:
    """The number in the run of each producer's first message, by what each sends, in order."""
    before = itertools.accumulate(messages.values(), initial=0)
    return dict(zip(messages, before, strict=False))


def _sleeping(sleep_ns: int) -> Step:
    seconds = sleep_ns / NS

    def sleep(_seq: int, _arguments: dict[str, Any]) -> None:
        # The executor's own: under eventlet it has been patched.
        time.sleep(seconds)

    return sleep


def _number(seq: int) -> Json:
    return seq


def _requeue() -> Any:
    import oslo_messaging

    return oslo_messaging.NotificationResult.REQUEUE


def _expecting_errors(message: Message) -> Message:
    """The same, marked as services mark what they raise for their callers."""
    import oslo_messaging

    expecting: Message = oslo_messaging.expected_exceptions(InjectedError)(message)
    return expecting


def chosen(share: Fraction, offsets: Mapping[str, int]) -> Chosen:
    """What tells which messages of the load are of the ``share``, by their numbers in the run.

    No message of a producer that is not among ``offsets`` is.
    """
    table = behaviour.table(share)
    length = len(table)

    def is_chosen(producer: str, seq: int) -> bool:
        first = offsets.get(producer)
        return first is not None and seq >= 0 and table[(first + seq) % length] > 0

    return is_chosen if share else lambda _producer, _seq: False


def burning(cpu_ns: int) -> Step:
    """What computes for so long by the thread's clock, however often the thread is interrupted."""
    clock = time.thread_time_ns
    turns_a_ns = _turns_a_ns()

    def burn(_seq: int, _arguments: dict[str, Any]) -> None:
        end = clock() + cpu_ns
        left = cpu_ns
        while left > 0:
            _turn(int(min(left * _AT_ONCE, _AT_ONCE_NS) * turns_a_ns))
            left = end - clock()

    return burn


def _turn(turns: int) -> None:
    for _ in itertools.repeat(None, turns):
        pass


def _turns_a_ns() -> float:
    """How many turns of the loop there are in a ns, at the processor's best."""
    taken = []
    for _ in range(_CALIBRATIONS):
        began = time.thread_time_ns()
        _turn(_CALIBRATION_TURNS)
        taken.append(time.thread_time_ns() - began)
    return _CALIBRATION_TURNS / max(1, min(taken))


class Answered:
    """What a producer makes of the endpoint's answers: the reply's size, and errors that were asked
    for, of which ``errors`` has an element each."""

    def __init__(self, plan: Plan) -> None:
        self._asked = behaviour.parse(plan.load.endpoint or ())
        self.errors: list[None] = []

    def client(self, client: Any) -> Any:
        """``client`` itself, or one whose calls return the number in a reply that has a size."""
        return client if self._asked.reply_bytes is None else _Numbering(client)

    def taken(self, send: Send) -> Send:
        """``send`` itself, or one for which an error that the endpoint was told to raise is an
        answer.

        That raises ``ReplyMismatch`` for the error of another message.
        """
        if not self._asked.error:
            return send
        answered = self.errors

        def sending(seq: int) -> None:
            try:
                send(seq)
            except InjectedError as error:
                if error.args != (seq,):
                    raise ReplyMismatch(f"message {seq} got the error {error.args!r}") from error
                answered.append(None)

        return sending

    def about(self) -> dict[str, Json]:
        """What the producer counted of it; nothing without errors."""
        count = len(self.errors)
        return {"errors_replied": {InjectedError.__name__: count}} if count else {}


class _Numbering:
    """A client whose calls return the number in a reply that has a size."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.cast = client.cast

    def prepare(self, **target: Any) -> "_Numbering":
        """The same for another target."""
        return _Numbering(self._client.prepare(**target))

    def call(self, context: Any, method: str, **arguments: Any) -> int | None:
        """The number in the reply, None where there is none."""
        return payload.number_in(self._client.call(context, method, **arguments))
