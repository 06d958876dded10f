"""Green threads on eventlet's hub, the standard library monkey-patched."""

import warnings
from collections.abc import Callable
from typing import Any

from omrig.measured.executors import roles


class _GreenThread:
    def __init__(self, target: Callable[[], None], role: str) -> None:
        import eventlet

        def run() -> None:
            roles.name_context(role)
            target()

        self._eventlet = eventlet
        self._thread = eventlet.spawn(run)

    def join(self, timeout_s: float) -> bool:
        with self._eventlet.Timeout(max(0.001, timeout_s), False):
            self._thread.wait()
        return bool(self._thread.dead)


class EventletExecutor:
    """The ``eventlet`` executor of oslo.messaging."""

    name = "eventlet"

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # The report says in one line that eventlet is deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            import eventlet
            import eventlet.patcher

        self._eventlet = eventlet
        self._threading: Any = eventlet.patcher.original("threading")
        self._time: Any = eventlet.patcher.original("time")

    def patch(self) -> None:
        """Monkey-patch the standard library, as a service does in its first line."""
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*[Ee]ventlet.*")
        self._eventlet.monkey_patch()

    def spawn(self, target: Callable[[], None], role: str) -> _GreenThread:
        """See :class:`omrig.measured.executors.base.Executor`."""
        return _GreenThread(target, role)

    def start_native_thread(self, target: Callable[[], None], name: str) -> None:
        """See :class:`omrig.measured.executors.base.Executor`."""
        self._threading.Thread(target=target, name=name, daemon=True).start()

    def native_sleep(self, seconds: float) -> None:
        """See :class:`omrig.measured.executors.base.Executor`."""
        self._time.sleep(seconds)


def make() -> EventletExecutor:
    """A new executor; imports eventlet."""
    return EventletExecutor()
