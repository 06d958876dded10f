"""Which RabbitMQ is started: by its folder, by its version, by the variable."""

from pathlib import Path

import pytest

from omrig.broker.rabbitmq import installed, versions
from omrig.model.errors import UsageError


def rabbitmq(folder: Path) -> Path:
    script = folder / "sbin" / "rabbitmq-server"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return folder


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The places where one looks, with a RabbitMQ each: its folder by its version."""
    system = tmp_path / "system"
    monkeypatch.setattr(installed, "SYSTEM", system)
    monkeypatch.setattr(versions, "OPTIONAL", tmp_path / "opt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path / "mine" / "four"))
    packed = tmp_path / "mine" / "four"
    rabbitmq(packed / "usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5")
    beside = tmp_path / "mine" / "beside"
    rabbitmq(beside / "rabbitmq_server-4.3.6")
    cached = tmp_path / "cache/omrig/rabbitmq/rabbitmq_server-3.13.7"
    rabbitmq(cached)
    unpacked = tmp_path / "opt" / "rabbitmq_server-3.9.29"
    rabbitmq(unpacked)
    (tmp_path / "opt" / "other").mkdir()
    return {
        "3.10.8": rabbitmq(system / "lib" / "rabbitmq_server-3.10.8"),
        "3.10.25": rabbitmq(system / "lib" / "rabbitmq_server-3.10.25"),
        "4.0.5": packed,
        "4.3.6": beside,
        "3.13.7": cached,
        "3.9.29": unpacked,
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("3.10.8", "3.10.8"),
        ("3.10", "3.10.25"),
        ("4.0", "4.0.5"),
        ("4", "4.3.6"),
        ("3.13.7", "3.13.7"),
        ("3.9", "3.9.29"),
        ("3", "3.13.7"),
    ],
)
def test_a_version_is_the_newest_that_is_installed_and_begins_so(places, wanted, found):
    assert versions.asked(wanted) == (str(places[found]), "--rabbitmq")


def test_a_version_that_is_nowhere_is_said_with_those_that_are_there(places):
    with pytest.raises(UsageError) as error:
        versions.asked("3.1")
    said = str(error.value)
    assert said.startswith("--rabbitmq: there is no RabbitMQ 3.1 on this machine (found 3.10.")
    for version, folder in places.items():
        assert f"{version} in {folder}" in said
    assert len(said.splitlines()) == 1


def test_a_folder_is_above_the_variable_and_without_either_it_is_the_machine_s(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(installed.VARIABLE, "/some/where")
    assert versions.asked("") == ("/some/where", "OMRIG_RABBITMQ")
    assert versions.asked(str(tmp_path)) == (str(tmp_path), "--rabbitmq")
    monkeypatch.delenv(installed.VARIABLE)
    assert versions.asked("") == ("", "OMRIG_RABBITMQ")


@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "no such folder"), (".", "has no RabbitMQ (looked for ")]
)
def test_a_folder_without_one_is_refused_in_the_name_of_the_option(tmp_path, name, said):
    with pytest.raises(UsageError) as error:
        installed.find(str(tmp_path / name), tmp_path / "programs", "--rabbitmq")
    assert str(error.value).startswith(f"--rabbitmq: {tmp_path}")
    assert said in str(error.value)
