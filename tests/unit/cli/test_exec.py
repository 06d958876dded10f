"""``omrig exec``: the process becomes the program, and what cannot be is one line."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from omrig.cli import environment, main
from omrig.cli import exec as command
from omrig.measured.attached import resolved, wanted


def start(tmp_path, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "omrig", "exec", *map(str, arguments)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(tmp_path, *arguments, **options):
    process = start(tmp_path, *arguments, **options)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def refused(tmp_path, capsys, monkeypatch, *arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(environment.FOLDER, raising=False)
    assert main(["exec", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    return err


def test_the_process_is_the_program(tmp_path) -> None:
    code = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)"
    process = start(tmp_path, "--run", "d", "--", sys.executable, "-c", code, "--", "--on", "x")
    out, err = process.communicate()
    assert (process.returncode, out) == (7, f"{process.pid} ['--', '--on', 'x']\n")
    place = tmp_path / "d"
    assert err == f"omrig: ready in {place}; to record: omrig record {place}\n"
    assert place.stat().st_mode & 0o777 == 0o700
    assert resolved.read(str(place)).maps
    assert (place / resolved.NAME).stat().st_mode & 0o777 == 0o600


def test_no_signal_is_ignored_that_was_not(tmp_path) -> None:
    status, out, _ = run(tmp_path, "--", "grep", "SigIgn", "/proc/self/status")
    plain = subprocess.run(
        ["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True
    ).stdout
    assert (status, out) == (0, plain)


def test_it_ends_by_the_signal_that_it_gets(tmp_path) -> None:
    process = start(tmp_path, "--", "sh", "-c", "echo; exec sleep 60")
    process.stdout.readline()
    process.terminate()
    assert process.wait() == -signal.SIGTERM


def test_a_folder_is_made_under_the_one_for_runs(tmp_path) -> None:
    variables = {key: value for key, value in os.environ.items() if key != environment.FOLDER}
    _, _, err = run(tmp_path, "--", "true", env=variables)
    (made,) = (tmp_path / command.RUNS).iterdir()
    assert made.name.startswith("exec-") and str(made) in err


def test_else_it_is_that_of_the_environment(tmp_path) -> None:
    variables = {**os.environ, environment.FOLDER: str(tmp_path / "theirs")}
    _, out, _ = run(tmp_path, "--", "sh", "-c", "echo $OMRIG_EXEC", env=variables)
    assert out == f"{tmp_path / 'theirs'}\n"


@pytest.mark.parametrize("before", ["", "/a:/b", None])
def test_the_rest_of_the_path_stays(tmp_path, before) -> None:
    variables = {key: value for key, value in os.environ.items() if key != environment.PATH}
    if before is not None:
        variables[environment.PATH] = before
    _, out, _ = run(tmp_path, "--", "sh", "-c", "echo $PYTHONPATH", env=variables)
    boot = environment.settings("", "")[environment.BOOT]
    assert out == f"{boot}:{before}\n" if before else f"{boot}\n"


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (["/usr/bin/nova-conductor", "--config-file", "x"], "nova-conductor"),
        (["python3.11", "/a/service.py", "-m"], "service.py"),
        (["/usr/bin/python3", "-W", "ignore", "-m", "a.service", "x"], "a.service"),
        (["python3", "-u", "-c", "print()", "x"], "python3"),
        (["python3", "-X"], "python3"),
        (["python3"], "python3"),
        (["python3", "-m"], "python3"),
    ],
)
def test_what_it_is_called(program, name) -> None:
    assert command._name(program) == name


def test_on_is_recorded_as_long_as_the_program_lives(tmp_path) -> None:
    process = start(tmp_path, "--run", "d", "--on", "--", "sh", "-c", "echo; read line")
    process.stdout.readline()
    place = tmp_path / "d"
    want = wanted.read(str(place))
    assert (want.recording, want.pid) == ("rec-0", process.pid)
    about = json.loads((place / "rec-0" / "recording.json").read_text())
    assert (about["name"], about["complete"], about["pid"]) == ("rec-0", False, process.pid)
    # A second program of the same service is recorded with it.
    status, _, err = run(tmp_path, "--run", "d", "--on", "--", "true")
    assert status == 0 and str(place / "rec-0") in err
    assert wanted.read(str(place)) == want
    process.kill()
    process.communicate()
    assert wanted.read(str(place)) is None
    _, _, err = run(tmp_path, "--run", "d", "--on", "--", "true")
    assert str(place / "rec-1") in err


def test_what_cannot_be_is_refused(tmp_path, capsys, monkeypatch) -> None:
    def said(*arguments):
        return refused(tmp_path, capsys, monkeypatch, *arguments)

    assert "no program given" in said()
    assert "no program given" in said("--")
    assert "a program stands behind a --" in said("nova-conductor")
    assert "no-such-program: there is no such program" in said("--", "no-such-program")
    plain = tmp_path / "plain"
    plain.write_text("text")
    assert "cannot be executed" in said("--", "./plain")
    assert "is a file; name a folder" in said("--run", "plain", "--", "true")
    assert "--on and --record" in said("--on", "--record", "--", "true")
    assert "leave out true" in said("--print-environment", "shell", "--", "true")
    assert "--on and --print" in said("--on", "--print-environment", "shell")
    (tmp_path / "open").mkdir(mode=0o755)
    assert "mode 0755" in said("--run", "open", "--", "true")
    assert not (tmp_path / command.RUNS).exists()


def test_a_folder_of_somebody_else_is_refused(tmp_path, capsys, monkeypatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    err = refused(tmp_path, capsys, monkeypatch, "--run", "theirs", "--", "true")
    assert f"belongs to user {user}" in err


def test_what_is_no_program_of_the_machine_is_refused(tmp_path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x7fELF of nothing")
    odd.chmod(0o700)
    status, out, err = run(tmp_path, "--", odd)
    assert (status, out) == (2, "")
    assert "is it a program of this machine?" in err.splitlines()[-1]


# What to set


def test_a_shell_is_told_what_to_set(tmp_path) -> None:
    place = tmp_path / "with 'quotes' and $x"
    status, out, err = run(tmp_path, "--run", place, "--name", "a b", "--print-environment")
    assert (status, err) == (0, "")
    script = f"PYTHONPATH=/mine\n{out}\nenv"
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    values = environment.settings(str(place), "a b")
    assert {key: found[key] for key in values} == environment.merged(
        {environment.PATH: "/mine"}, values
    )


def test_a_unit_is_told_what_to_set() -> None:
    text = environment.FORMS["systemd"](environment.settings('/a "b" 100%', "x"))
    assert "[Service]\n" in text
    assert 'Environment="OMRIG_EXEC=/a \\"b\\" 100%%"\n' in text


def test_a_container_is_told_what_to_set(tmp_path) -> None:
    values = environment.settings(str(tmp_path), "x")
    text = environment.FORMS["docker"](values)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert dict(line.split("=", 1) for line in lines) == values
    volumes = shlex.split(text.splitlines()[1].removeprefix("#"))
    assert f"{tmp_path}:{tmp_path}" in volumes
    assert Path(environment.library()).is_dir()
