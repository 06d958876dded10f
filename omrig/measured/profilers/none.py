"""Mode `none`: the load alone, the yardstick for what every other mode costs."""

from pathlib import Path

from omrig.measured.profilers.registry import Artefact, ProfilerContext


class NoProfiler:
    """Measures nothing and writes nothing."""

    name = "none"
    coexists_with: frozenset[str] = frozenset()

    def __init__(self, context: ProfilerContext) -> None:
        pass

    def install(self) -> None:
        """Do nothing."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def save(self, folder: Path) -> list[Artefact]:  # noqa: ARG002
        """Write nothing."""
        return []
