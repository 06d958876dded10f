"""A cluster is quiet for the length of a block, whoever does not answer at its end."""

import asyncio

import pytest

from omrig.fleet import settings


class Client:
    """The engine's client; its workers answer as long as they are ``there``."""

    status = "running"

    def __init__(self):
        self.there = True
        self.told = []

    def sync(self, function, callback_timeout):
        asyncio.run(asyncio.wait_for(function(), callback_timeout))

    async def run(self, what, nanny, on_error):
        assert on_error == "ignore"
        self.told.append(("nannies" if nanny else "workers", what))
        if not self.there:
            await asyncio.Event().wait()

    async def run_on_scheduler(self, what):
        self.told.append(("scheduler", what))


EVERYBODY = {"scheduler", "workers", "nannies"}


def test_all_are_quiet_and_then_as_before():
    client = Client()
    with settings.quiet(client, 1.0):
        assert set(client.told) == {(each, settings.quieten) for each in EVERYBODY}
        client.told.clear()
    assert set(client.told) == {(each, settings.as_before) for each in EVERYBODY}


def test_a_worker_that_is_cut_off_keeps_nobody_else_quiet(monkeypatch):
    monkeypatch.setattr(settings, "AS_BEFORE_S", 0.05)
    client = Client()
    with settings.quiet(client, 1.0):
        client.told.clear()
        client.there = False
    assert set(client.told) == {(each, settings.as_before) for each in EVERYBODY}


def test_whoever_does_not_answer_at_first_is_no_part_of_it():
    client = Client()
    client.there = False
    with pytest.raises(TimeoutError), settings.quiet(client, 0.05):
        pytest.fail("it began")


def test_without_its_scheduler_nobody_is_told():
    client = Client()
    with settings.quiet(client, 1.0):
        client.told.clear()
        client.status = "closed"
    assert client.told == []
