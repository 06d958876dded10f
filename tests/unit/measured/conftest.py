"""Fixtures for what runs in the measured process."""

import pytest

from omrig.measured.probes import state
from tests.unit.measured import stamping


@pytest.fixture(params=stamping.IMPLEMENTATIONS)
def module(request, monkeypatch):
    """An implementation of the stamps, in use."""
    found = stamping.implementation(request.param)
    for name in ("Stamps", "Link"):
        monkeypatch.setattr(state, name, getattr(found, name))
    return found
