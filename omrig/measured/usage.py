"""What this process uses: CPU time, context switches, memory."""

import contextlib
import resource
import time
from collections import Counter
from collections.abc import Iterator

from omrig.model.units import NS
from omrig.model.values import Json


class Usage:
    """CPU time and context switches of this process from :meth:`start` to :meth:`stop`.

    Several such times add up.
    """

    def __init__(self) -> None:
        self._since: tuple[int, resource.struct_rusage] | None = None
        self._used: Counter[str] = Counter()
        self._peak_bytes = 0

    def start(self) -> None:
        """Take the first reading."""
        self._since = time.perf_counter_ns(), resource.getrusage(resource.RUSAGE_SELF)

    def stop(self) -> None:
        """Take the last reading, if there was a first."""
        if self._since is None:
            return
        (began_ns, before), self._since = self._since, None
        after = resource.getrusage(resource.RUSAGE_SELF)
        self._peak_bytes = after.ru_maxrss * 1024
        self._used.update(
            wall_ns=time.perf_counter_ns() - began_ns,
            user_us=round(1e6 * (after.ru_utime - before.ru_utime)),
            system_us=round(1e6 * (after.ru_stime - before.ru_stime)),
            voluntary=after.ru_nvcsw - before.ru_nvcsw,
            involuntary=after.ru_nivcsw - before.ru_nivcsw,
        )

    @contextlib.contextmanager
    def left_out(self) -> Iterator[None]:
        """What the block uses does not count."""
        running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if running:
                self.start()

    def summary(self) -> dict[str, Json] | None:
        """Wall and CPU seconds, context switches, and the process' peak resident memory so far."""
        if not self._used:
            return None
        return {
            "wall_seconds": self._used["wall_ns"] / NS,
            "cpu_user_seconds": self._used["user_us"] / 1e6,
            "cpu_system_seconds": self._used["system_us"] / 1e6,
            "peak_rss_bytes": self._peak_bytes,
            "voluntary_context_switches": self._used["voluntary"],
            "involuntary_context_switches": self._used["involuntary"],
        }
