"""What ``omrig ping`` tells meanwhile, takes for the default, and refuses."""

import dataclasses
from pathlib import Path

import pytest

from omrig.cli import ping as command
from omrig.cli.main import main, parsed
from omrig.model import events
from omrig.model.ping import BASE_API, SERVER_PING, Ping, Server
from omrig.supervisor import pinging

ONE = Server(topic="conductor", name="host-1", consumers=1)
ANY = Server(topic="conductor", consumers=3)


def heard(capsys: pytest.CaptureFixture[str], quiet: bool, *outcomes: tuple[int, str]) -> list[str]:
    ping = Ping(targets=("conductor",), servers=(ONE, ANY))
    told = command._Heard(quiet)
    for number, outcome in outcomes:
        told.hear(ping, events.CallEnded(number, outcome, 5_000_000, "2026-11-26T10:00:01.000"))
    return capsys.readouterr().err.splitlines()


def test_a_server_that_falls_silent_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [(0, each) for each in ("answered", "answered", "silent", "silent", "answered")]
    assert heard(capsys, False, *calls) == [
        f"omrig: 10:00:01 conductor.host-1: {outcome} after 5.00 ms"
        for outcome in ("answered", "silent", "answered")
    ]
    assert heard(capsys, True, *calls) == []


def test_of_several_that_answer_in_turn_each_outcome_is_told_once(capsys) -> None:
    calls = [(1, each) for each in ("answered", "silent", "answered", "silent")]
    assert [line.split()[-4] for line in heard(capsys, False, *calls)] == ["answered", "silent"]


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        ((), BASE_API),
        (("--project", "ironic"), SERVER_PING),
        (("--project", "ironic", "--method", BASE_API), BASE_API),
    ],
)
def test_the_method_is_the_projects(arguments: tuple[str, ...], method: str) -> None:
    _, options = parsed("ping", ["conductor", "conductor", *arguments])
    asked = command._ping(options)
    assert asked.method == method
    assert asked.targets == ("conductor",)
    assert (asked.rate, asked.workers, asked.timeout_s) == (1, 1, 5)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "the following arguments are required: TOPIC[.SERVER]"),
        (("t", "--rate", "x"), "--rate: 'x' is not messages a second"),
        (("t", "-w", "0"), "-w/--worker_count: 0 is not a whole number of 1 or more"),
        (("t", "--timeout", "0"), "--timeout: 0 is not above 0"),
        (
            ("t", "--transport-url", "kafka://h:9092/"),
            "has no servers of RPC that others could call",
        ),
        (("t", "--transport-url", "fake://"), "has no servers of RPC that others could call"),
    ],
)
def test_what_cannot_be_asked_is_a_line(capsys, monkeypatch, tmp_path, arguments, text) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ping", *arguments]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_server_may_be_called_as_the_configuration_says(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[DEFAULT]\nhost = compute-7\ncontrol_exchange = cloud\n")
    url = "rabbit://guest:guest@localhost/"
    _, options = parsed("ping", ["conductor", "--config-file", str(file), "--transport-url", url])
    plan = command._plan(options)
    monkeypatch.setattr("omrig.broker.amqp.preflight.check", lambda *_: None)
    to = pinging._destination(plan)
    assert pinging._hosts(to)[0] == "compute-7"
    assert len(pinging._hosts(to)) >= 2
    asked = Ping(targets=("conductor",))
    assert pinging._exchanges(to, asked) == ["cloud", "nova", "openstack"]
    assert pinging._exchanges(to, dataclasses.replace(asked, exchange="mine")) == ["mine"]
