"""Workers become hosts by address and boot, with names of their own; files list them."""

import dataclasses
from pathlib import Path

import pytest

from omrig.fleet import differences, hosts, hosts_file
from omrig.model.errors import UsageError


def about(hostname: str, boot_id: str = "b") -> dict:
    return {**hosts.describe(), "hostname": hostname, "boot_id": boot_id}


def names(described, called=None) -> list[str]:
    return [each.name for each in hosts.of_workers(described, called or {})]


def test_workers_at_one_address_are_one_host() -> None:
    found = hosts.of_workers(
        {
            "tcp://10.0.0.1:1": about("x"),
            "tcp://10.0.0.2:1": about("y"),
            "tcp://10.0.0.1:2": about("x"),
        },
        {},
    )
    assert [(each.name, each.address, each.workers) for each in found] == [
        ("x", "10.0.0.1", ("tcp://10.0.0.1:1", "tcp://10.0.0.1:2")),
        ("y", "10.0.0.2", ("tcp://10.0.0.2:1",)),
    ]


def test_hosts_that_are_called_alike_go_by_their_addresses() -> None:
    alike = {"tcp://10.0.0.1:1": about("x"), "tls://[fd00::2]:1": about("x")}
    assert names(alike) == ["10.0.0.1", "fd00::2"]


def test_machines_behind_one_address_are_numbered() -> None:
    alike = {"tcp://10.0.0.1:1": about("x", "b"), "tcp://10.0.0.1:2": about("x", "c")}
    assert names(alike) == ["x-1", "x-2"]


def test_what_the_user_called_a_host_is_its_name() -> None:
    assert names({"tcp://10.0.0.1:1": about("x")}, {"tcp://10.0.0.1:1": "load-1"}) == ["load-1"]


def test_this_host_is_described() -> None:
    found = hosts.describe()
    assert found["cpu_count"] >= 1
    assert found["versions"]["oslo.messaging"]
    assert set(found["versions"]) == set(hosts.COMPARED)


def test_a_chrony_that_answers_is_quoted(tmp_path, monkeypatch) -> None:
    program = tmp_path / "chronyc"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'Reference ID    : A29FC801 (time.example)'\n"
        "echo 'System time     : 0.000012 seconds fast of NTP time'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert hosts.synchronisation() == (
        "chrony: Reference ID A29FC801 (time.example), System time 0.000012 seconds fast of NTP"
        " time"
    )
    program.write_text("#!/bin/sh\nexit 1\n")
    assert hosts.synchronisation() is None


def test_versions_are_compared_with_those_here() -> None:
    (same,) = hosts.of_workers({"tcp://10.0.0.1:1": about("x")}, {})
    assert differences.found([same]) == ()
    here = same.versions["kombu"]
    other = dataclasses.replace(
        same,
        name="y",
        python="3.9.1",
        omrig="0.0.9",
        versions={**same.versions, "kombu": "5.0", "amqp": None},
    )
    found = differences.found([same, other])
    assert [each.partition(" (here")[0] for each in found] == [
        "y: omrig 0.0.9",
        "y: Python 3.9",
        "y: kombu 5.0",
        "y: amqp missing",
    ]
    assert f"y: kombu 5.0 (here {here})" in found


def test_another_patch_release_of_python_is_the_same() -> None:
    (same,) = hosts.of_workers({"tcp://10.0.0.1:1": about("x")}, {})
    minor = ".".join(same.python.split(".")[:2])
    assert differences.found([dataclasses.replace(same, python=f"{minor}.99")]) == ()


def listed(tmp_path: Path, content: bytes) -> tuple[hosts_file.Listed, ...]:
    path = tmp_path / "hosts.txt"
    path.write_bytes(content)
    return hosts_file.read(path)


def test_a_file_lists_hosts(tmp_path) -> None:
    found = listed(
        tmp_path, b"# the load hosts\na\n\nme@b.example /opt/omrig/bin/python  # newer\n"
    )
    assert found == (
        hosts_file.Listed("a", "python3"),
        hosts_file.Listed("me@b.example", "/opt/omrig/bin/python"),
    )
    assert [each.host for each in found] == ["a", "b.example"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lists no host"),
        (b"# nothing\n\n", "lists no host"),
        (b"a\nb\na\n", "line 3: a is listed twice"),
        (b"a b c\n", "line 1: 'a b c' is not HOST or HOST PYTHON"),
        (b"-oProxyCommand=x\n", "line 1: '-oProxyCommand=x' is not HOST"),
        (b"a;reboot\n", "is not HOST"),
        (b"\xff\xfe\n", "is no text"),
    ],
)
def test_a_file_that_lists_none_is_refused(tmp_path, content, said) -> None:
    with pytest.raises(UsageError, match="--hosts: ") as error:
        listed(tmp_path, content)
    assert said in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"--hosts: .*none: No such file"):
        hosts_file.read(tmp_path / "none")
