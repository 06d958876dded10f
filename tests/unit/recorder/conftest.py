"""A folder of services, and agents that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.recorder import fake_agent
from tests.unit.recorder.fake_agent import FakeAgent


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return fake_agent.place(tmp_path)


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., FakeAgent]]:
    agents: list[FakeAgent] = []

    def started(name: str = "conductor", pid: int = 0) -> FakeAgent:
        agents.append(FakeAgent(place, name, pid, len(agents) + 1))
        return agents[-1]

    yield started
    for agent in agents:
        if agent._thread.is_alive():
            agent.stop()
