"""Mode `planted`: memory of known size, planted in the measured process; it measures nothing.

In a module of its own because the measured process imports it as another package's mode.
"""

import json
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omrig.measured.profilers.base import Artefact, Context, Profiler

VARIABLE = "OMRIG_PLANTED"
"""The environment variable that says what to plant: JSON, either ``{"leak": bytes, "side": name}``,
kept of each message, or ``{"burst": bytes, "seq": n}``, taken by the consumer at message n."""

TAKEN = "taken.json"
"""What the mode leaves in the consumer's folder: when the burst began and ended, in seconds since
the epoch."""

HELD_S = 0.002

ROOM_BYTES = 1 << 30
"""Address space for the leak; of it only what was written is memory."""


class Planted(Profiler):
    """Leaks or takes memory as the environment says."""

    name = "planted"
    coexists_with = frozenset({"stages", "memory-lines"})
    pausable = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._planted = json.loads(os.environ[VARIABLE])
        self._side = context.side
        self._taken: tuple[float, float] | None = None
        self._kept: bytes | None = None
        self._on = False

    def install(self) -> None:
        """Replace the function that shall leak."""
        if "leak" in self._planted and self._planted["side"] == self._side:
            # Not from malloc, which first hands out again what others have freed: an honest leak
            # begins late, and its size is known only in the long run.
            self._room = mmap.mmap(-1, ROOM_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            producer = self._side == "producer"
            (self._on_serialize if producer else self._on_endpoint)(self._leak)
        elif "burst" in self._planted and self._side == "consumer":
            self._on_endpoint(self._burst)

    def start(self) -> None:
        """The load begins: the warm-up leaks nothing."""
        self._on = True

    def stop(self) -> None:
        """Nothing leaks any more."""
        self._on = False

    def save(self, folder: Path) -> list[Artefact]:
        """Write when the burst was."""
        (folder / TAKEN).write_text(json.dumps(self._taken))
        return []

    def _leak(self, seq: Any) -> None:
        if self._on and isinstance(seq, int) and seq >= 0:
            self._room.write(b"x" * self._planted["leak"])
            # The load is to last long enough for samples, however fast the machine.
            time.sleep(HELD_S)

    def _burst(self, seq: Any) -> None:
        if seq == self._planted["seq"]:
            began = time.time()
            self._kept = b"x" * self._planted["burst"]
            self._taken = began, time.time()

    def _on_serialize(self, act: Callable[[Any], None]) -> None:
        from oslo_messaging._drivers import common

        original = common.serialize_msg

        def serialize_msg(message: Any) -> Any:
            act(message["args"].get("seq"))
            return original(message)

        common.serialize_msg = serialize_msg

    def _on_endpoint(self, act: Callable[[Any], None]) -> None:
        from omrig.measured.load import consumer

        original = consumer.Endpoint.message

        def message(endpoint: Any, ctxt: Any, seq: int, producer: str, **payload: Any) -> int:
            act(seq)
            return original(endpoint, ctxt, seq, producer, **payload)

        consumer.Endpoint.message = message  # type: ignore[method-assign,assignment]
