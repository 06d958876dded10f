"""Which RabbitMQ is started: that of the machine, or one that was unpacked to a folder."""

import subprocess

import pytest

from omrig.broker.rabbitmq import installed
from omrig.model.errors import UsageError


def program(path, text="echo $0 $@"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def erlang(folder, version="15.2"):
    for name in ("beam.smp", "erlexec", "epmd"):
        program(folder / f"erts-{version}" / "bin" / name)
    return folder


@pytest.mark.parametrize(
    ("server", "beside"),
    [
        ("usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5/sbin/rabbitmq-server", "usr/lib/erlang"),
        ("rabbitmq_server-4.0.5/sbin/rabbitmq-server", "erlang-27"),
        ("sbin/rabbitmq-server", "../otp_27/lib/erlang"),
    ],
)
def test_a_package_or_a_tarball_is_started_with_the_erlang_beside_it(tmp_path, server, beside):
    folder, programs = tmp_path / "it's here" / "rabbitmq", tmp_path / "programs"
    script = program(folder / server)
    erlang(folder / beside)
    found = installed.find(str(folder), programs)
    assert found.server == script
    assert found.path.startswith(f"{programs}:")
    assert found.epmd == str(programs / "epmd")
    said = subprocess.run([programs / "erl", "-x", "a b"], capture_output=True, text=True)
    assert said.stdout.strip().endswith("bin/erlexec -x a b")


def test_the_newest_of_several_is_started(tmp_path):
    for version in ("3.9.29", "3.10.8"):
        program(tmp_path / f"rabbitmq_server-{version}" / "sbin" / "rabbitmq-server")
    erlang(tmp_path / "erlang")
    found = installed.find(str(tmp_path), tmp_path / "programs")
    assert "3.10.8" in str(found.server)


def test_erlang_is_told_where_it_lies_and_where_its_programs_are(tmp_path):
    program(tmp_path / "sbin" / "rabbitmq-server")
    place = erlang(tmp_path / "erlang")
    program(place / "erts-15.2" / "bin" / "erlexec", "echo $ROOTDIR $BINDIR $EMU $PROGNAME")
    installed.find(str(tmp_path), tmp_path / "programs")
    said = subprocess.run([tmp_path / "programs" / "erl"], capture_output=True, text=True)
    assert said.stdout.split() == [str(place), str(tmp_path / "programs"), "beam", "erl"]


def test_an_erlang_with_a_c_library_beside_it_is_started_with_that(tmp_path):
    """By a name of its own: the process is to be found by the name of the emulator."""
    program(tmp_path / "usr" / "lib" / "rabbitmq" / "lib" / "rabbitmq_server-4.0.5" / "sbin"
            / "rabbitmq-server")  # fmt: skip
    emulator = erlang(tmp_path / "usr/lib/erlang") / "erts-15.2" / "bin" / "beam.smp"
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    program(libraries / "libc.so.6")
    program(tmp_path / "lib64" / "ld-linux-x86-64.so.2")
    installed.find(str(tmp_path), tmp_path / "programs")
    said = subprocess.run([tmp_path / "programs/beam.smp", "-x"], capture_output=True, text=True)
    name, *arguments = said.stdout.split()
    assert name.endswith("/beam.smp")
    assert arguments == ["--library-path", str(libraries), str(emulator), "-x"]


@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "no such folder"), (".", "has no RabbitMQ (looked for ")]
)
def test_a_folder_without_a_rabbitmq_is_refused_by_the_name_of_the_variable(tmp_path, name, said):
    with pytest.raises(UsageError) as error:
        installed.find(str(tmp_path / name), tmp_path / "programs")
    assert str(error.value).startswith(f"OMRIG_RABBITMQ: {tmp_path}")
    assert said in str(error.value)


def test_without_a_name_it_is_the_one_of_this_machine(tmp_path):
    found = installed.find("", tmp_path / "programs")
    assert str(found.server).startswith("/usr/")
    assert not (tmp_path / "programs").exists()
