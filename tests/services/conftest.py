"""What the tests with real services share."""

import pytest

from tests.services import environments
from tests.services.fleet import Fleet


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path / "fleet")


@pytest.fixture
def folder(tmp_path):
    """Where a service has its files."""
    place = tmp_path / "service"
    place.mkdir()
    return place


def pytest_terminal_summary(terminalreporter):
    """Say which environments are kept, and what each took to make."""
    for line in environments.told():
        terminalreporter.write_line(line)
