"""The stage instrument in a process that omrig did not start: in and out while it runs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from omrig.drivers import maps
from omrig.measured.attached import links, others
from omrig.measured.attached.pools import Pools
from omrig.measured.attached.recording import Recording
from omrig.measured.probes import connections, install
from omrig.measured.probes.kinds import Kinds
from omrig.measured.probes.state import State
from omrig.model import redaction
from omrig.model.stage_map import StageMap
from omrig.model.stamps import COLUMNS

_MOST_FAILURES = 20
"""So many are told of: an answer is one packet."""


class Instrument:
    """Of one process: what connections pass is put in at once, what messages pass is compiled and
    waits.

    ``connected`` is called before a connection is made known. With ``native`` threads their CPU
    time is stamped. Raises what the stage maps raise where their functions are looked up.
    """

    def __init__(
        self, stage_maps: Sequence[StageMap], connected: Callable[[], None], native: bool
    ) -> None:
        self.native = native
        self.pools = Pools()
        self._links = links.Links(lambda: links.known(self._state))
        self._state = _State(self._links, native, connected, self.pools)
        found, self.missing = maps.resolve(stage_maps)
        self._found = found
        lost = maps.lost_stages(stage_maps) if self.missing else set()
        bound, passed, opening = install.split(found)
        for each in install.prepared(self._state, bound):
            each.put_in()
        self._prepared = install.prepared(self._state, [*passed, *opening])
        self.lost_stages = lost | self._state.lost_stages
        self._kinds: list[dict[str, Any]] = []
        self._recording: Recording | None = None
        self._is_on = False
        self._state.kinds = Kinds(self._add_kind)

    # In and out

    def turn_on(self, sample: int, chunk: Callable[[str], memoryview]) -> None:
        """Stamp messages from now on, one in ``sample``, and all connections that are open.

        Rows go into what ``chunk`` gives, for ``producer``, ``consumer`` and ``cpu``, once there
        are any.
        """
        if self._is_on:
            return
        self._is_on = True
        state, stamps = self._state, self._state.stamps
        stamps.sample = sample
        stamps.tables(partial(chunk, "producer"), partial(chunk, "consumer"))
        stamps.notes_table(partial(chunk, "cpu"))
        for each in self._prepared:
            each.put_in()
        state.stamping = True
        for transport in links.known(state):
            connections.stamp_again(state, transport)
        stamps.on = True

    def write_to(self, recording: Recording) -> None:
        """Kinds and connections are told to ``recording``. Raises ``OSError``."""
        # A kind that is new meanwhile may be told twice, but not never.
        self._recording = recording
        for kind in list(self._kinds):
            recording.add_kind(kind)
        self._links.tell(recording.add_link)

    def turn_off(self) -> list[list[Any]]:
        """Stamp nothing any more: the functions have their own code, the connections their own
        send and receive. What was under way: of each message its id and its columns so far."""
        if not self._is_on:
            return []
        self._is_on = False
        state, stamps = self._state, self._state.stamps
        stamps.on = False
        for each in self._prepared:
            each.take_out()
        state.stamping = False
        for transport in links.known(state):
            connections.restore(state, transport)
        under_way = self._under_way()
        stamps.tables(None, None)
        stamps.notes_table(None)
        self._write_nothing()
        return under_way

    def forget(self) -> None:
        """In a child: nothing of its parent's is stamped, and nothing is written for it."""
        self._is_on = False
        for each in self._prepared:
            each.take_out()
        self._state.stamping = False
        self._state.stamps.reset()
        self._state.forget()
        self._write_nothing()

    def _write_nothing(self) -> None:
        self._links.tell(None)
        self._recording = None

    def _under_way(self) -> list[list[Any]]:
        width = len(COLUMNS["producer"])
        return [
            [number, *(record[column] for column in range(1, width))]
            for number, record in list(self._state.stamps.in_flight.items())
        ]

    def _add_kind(self, kind: dict[str, Any]) -> None:
        self._kinds.append(kind)
        if self._recording is not None:
            self._recording.add_kind(kind)

    # What there is

    @property
    def sites(self) -> int:
        """How many functions are stamped while it is on."""
        return len(self._prepared)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(links.known(self._state))

    @property
    def consuming(self) -> int:
        """How many of them messages are consumed on."""
        return sum(bool(each._omrig_link.consumes) for each in links.known(self._state))

    @property
    def failure(self) -> str:
        """Why stamps were turned off by themselves; empty where they were not."""
        return redaction.redact(self._state.stamps.failure or "")

    @property
    def failures(self) -> list[str]:
        """What went wrong in the instrument, each once; the first of many."""
        found = [*([self.failure] if self.failure else []), *self._state.failures]
        return [redaction.redact(each) for each in dict.fromkeys(found)][:_MOST_FAILURES]

    def others(self) -> list[str]:
        """Who else has put something around the functions."""
        return others.names(self._found)


class _State(State):
    """... that says when a connection is made, and who makes it."""

    def __init__(
        self, watcher: links.Links, native: bool, connected: Callable[[], None], pools: Pools
    ) -> None:
        super().__init__(watcher, 1, native=native, enlarge=False)
        self._connected = connected
        self._pools = pools

    def new_link(self, tls_socket: Any = None) -> Any:
        self._pools.meet()
        self._connected()
        return super().new_link(tls_socket)

    def note_connection(self, number: int, transport: Any) -> None:
        """Not noted: a service makes connections for as long as it lives."""

    def note_closing(self, number: int, transport: Any) -> None:
        """... nor that they end."""

    def note_blocked(self, reason: str) -> None:
        """... nor that a broker takes no more."""

    def note_unblocked(self) -> None:
        """... and again."""
