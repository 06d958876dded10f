"""Native threads: nothing is patched, eventlet is never imported."""

import threading
import time
from collections.abc import Callable

from omrig.drivers import backend
from omrig.measured.executors import roles


class _NativeThread:
    def __init__(self, target: Callable[[], None], role: str) -> None:
        def run() -> None:
            roles.name_context(role)
            target()

        self._thread = threading.Thread(target=run, name=role, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()


class ThreadingExecutor:
    """The ``threading`` executor of oslo.messaging."""

    name = "threading"

    def patch(self) -> None:
        """Keep eventlet out of the process, as on a service that has left it."""
        backend.keep_eventlet_out()

    def spawn(self, target: Callable[[], None], role: str) -> _NativeThread:
        """See :class:`omrig.measured.executors.base.Executor`."""
        return _NativeThread(target, role)

    def start_native_thread(self, target: Callable[[], None], name: str) -> None:
        """See :class:`omrig.measured.executors.base.Executor`."""
        threading.Thread(target=target, name=name, daemon=True).start()

    def native_sleep(self, seconds: float) -> None:
        """See :class:`omrig.measured.executors.base.Executor`."""
        time.sleep(seconds)


def make() -> ThreadingExecutor:
    """A new executor."""
    return ThreadingExecutor()
