"""What ``omrig fleet`` cannot do is refused in one line, before anything is started or written."""

import sys

import pytest

from omrig.cli import fleet
from omrig.cli.main import execute, main
from omrig.fleet import hosts
from omrig.model.errors import UsageError
from omrig.model.transport import Endpoint, Login, Transport

URL = "--transport-url=rabbit://guest:s3cret-here@127.0.0.1:1/"


def refused(*arguments: str) -> str:
    with pytest.raises(UsageError) as error:
        execute("fleet", list(arguments))
    text = str(error.value)
    assert "\n" not in text
    assert "s3cret-here" not in text
    return text


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.glob("omrig-runs"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing says which cluster; give one of --local N, --hosts FILE and --scheduler"),
        (["--", "--local", "2"], "--local"),
        (["--local", "2", "--scheduler", "tcp://a:1"], "--local and --scheduler says which"),
        (["--local", "0"], "--local: 0 is not a whole number of 1 or more"),
        (["--local", "two"], "--local: 'two' is not a whole number"),
        (["--local", "1", "--on", "producers"], "--on: 'producers' is not SIDE=HOST"),
        (["--local", "1", "--producers", "2", "--", "--producers=2"], "--producers: it is given"),
        (["--local", "1", "--", "--with", "kombu==5.3"], "--with, --python: the members of a"),
        (["--local", "1", "--", "--python", "3.12"], "--with, --python: the members of a"),
        (["--local", "1", "--", "--find-rate", "p99<50ms"], "--find-rate: a fleet measures one"),
        (["--local", "1", "--", "-m", "none"], "none"),
        (["--local", "1", "--", "--no-such-option"], "--no-such-option"),
    ],
)
def test_options_that_make_no_sense(arguments, said) -> None:
    assert said in refused(*arguments)


@pytest.mark.parametrize(
    "url", ["kombu+memory://", "fake://", "kafka://127.0.0.1:9092", "kafka+mock://"]
)
def test_a_transport_that_hosts_do_not_share(url) -> None:
    text = refused("--local", "1", "--", "--transport-url", url, "-m", "10", "--pattern", "notify")
    assert text.startswith("--transport-url: ")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.0.0.1:8786", "'10.0.0.1:8786' is no address of a scheduler"),
        ("tcp://10.0.0.1", "is no address of a scheduler; give one as tcp://HOST:PORT"),
        ("http://10.0.0.1:80", "is no address of a scheduler"),
        ("tcp://:8786", "is no address of a scheduler"),
    ],
)
def test_what_is_no_address_of_a_scheduler(address, said) -> None:
    assert said in refused("--scheduler", address, "--", URL, "-m", "10")


def test_hosts_are_listed_in_a_file(tmp_path) -> None:
    text = refused("--hosts", str(tmp_path / "none"), "--", URL, "-m", "10")
    assert text.startswith(f"--hosts: {tmp_path}/none: No such file or directory")


@pytest.mark.parametrize("which", [("--hosts", "x"), ("--scheduler", "tcp://10.0.0.1:8786")])
def test_hosts_share_a_broker_that_somebody_names(which) -> None:
    text = refused(*which, "--", "-m", "10")
    assert text.startswith("--transport-url: nothing says which broker the hosts of the fleet")


def test_the_engine_is_an_extra(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["fleet", "--local", "1", "--", "-m", "10", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("omrig: omrig fleet: distributed is not installed; pip install 'omrig[")
    assert said.count("\n") == 1


def transport(host: str) -> Transport:
    return Transport(
        scheme="rabbit",
        broker="amqp",
        patterns=(),
        login=Login([Endpoint(host, 5672, "guest", "guest")]),
        options={},
        settings={},
        redacted="",
        source="--transport-url",
        is_named=True,
        url="",
    )


def a_host(address: str) -> hosts.Host:
    return hosts.of_workers({f"tcp://{address}:1": hosts.describe()}, {f"tcp://{address}:1": "a"})[
        0
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_broker_at_localhost_is_nothing_for_other_hosts(host) -> None:
    with pytest.raises(UsageError, match=r"--transport-url: .* is each host itself; .* which a"):
        fleet.check_reached(transport(host), [a_host("10.0.0.1")])
    fleet.check_reached(transport(host), [a_host("127.0.0.1")])
    fleet.check_reached(transport("10.0.0.9"), [a_host("10.0.0.1")])


def test_different_versions_want_to_be_allowed() -> None:
    other = a_host("10.0.0.1")
    object.__setattr__(other, "omrig", "0.0.1")
    told: list[str] = []
    with pytest.raises(UsageError, match=r"--allow-differences: .*: a: omrig 0.0.1 \(here"):
        fleet.check_differences([other], False, told.append)
    assert not told
    found = fleet.check_differences([other], True, told.append)
    assert [each.partition(" (")[0] for each in found] == ["a: omrig 0.0.1"]
    assert told[0].startswith("warning: the hosts do not run the same: a: omrig 0.0.1")
