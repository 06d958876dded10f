"""Passwords that log in well are in no file, on no screen and in no list of processes."""

import base64
import json
import os
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.accuracy.bench import evaluate
from tests.functional.conftest import result_of
from tests.unit.model.test_redaction import spellings


@pytest.fixture
def user(broker):
    """A user with the given password; the URL of the broker for it."""
    made = []

    def make(password):
        name = f"tester{len(made)}"
        made.append(name)
        binary = ",".join(str(byte) for byte in password.encode())
        who = f'<<"{name}">>'
        for call in (
            f"rabbit_auth_backend_internal:add_user({who}, <<{binary}>>, who)",
            f'rabbit_auth_backend_internal:set_permissions({who}, <<"/">>, <<".*">>, <<".*">>,'
            ' <<".*">>, who)',
        ):
            evaluate(broker, f"{call}.")
        return name

    yield make
    for name in made:
        evaluate(broker, f'rabbit_auth_backend_internal:delete_user(<<"{name}">>, <<"x">>).')


def searched(folder):
    """The bytes of every file of a run."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def found_in(secret, data):
    forms = {spelling.encode() for spelling in spellings(secret)}
    forms.add(base64.b64encode(b"\0" + secret.encode()).strip(b"="))
    return [form for form in forms if form in data]


def told_to_processes(process, secret):
    """Where the password is in the arguments or the environment of a process below ``process``."""
    leaks = []
    for child in psutil.Process(process.pid).children(recursive=True):
        for name in ("cmdline", "environ"):
            try:
                data = Path(f"/proc/{child.pid}/{name}").read_bytes()
            except OSError:
                continue
            leaks += [(name, data)] if found_in(secret, data) else []
    return leaks


@pytest.mark.parametrize(
    ("password", "way"),
    [
        ("Zebra@Qua'gga #?,:[]%41\u00e9\u20ac", "environment"),
        ('Zebra$Qua"gga\\n<&>;', "file"),
    ],
    # pytest puts the name of a test into the environment.
    ids=["environment", "file"],
)
def test_a_run_leaves_no_trace_of_a_password(start, broker, user, tmp_path, password, way):
    url = f"rabbit://{user(password)}:{quote(password, safe='')}@127.0.0.1:{broker.port}/"
    escaped = url.replace("$", "$$")
    before = ()
    arguments = []
    if way == "file":
        (tmp_path / "test.conf").write_text(f"[DEFAULT]\ntransport_url = {escaped}\n")
        arguments = ["--config-file", "test.conf"]
    else:
        before = ("env", f"OS_DEFAULT__TRANSPORT_URL={escaped}")
    process = start(
        "run", "-m", 300, "-w", 5, "--debug", "--profile", "stages,yappi", *arguments,
        "--output", "r", before=before,
    )  # fmt: skip
    leaks, said = [], ""
    while "producer: load" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    leaks = told_to_processes(process, password)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert not leaks
    assert not found_in(password, (out + said + err).encode())
    for path, data in searched(tmp_path / "r").items():
        assert not found_in(password, data), path
    assert result_of(tmp_path / "r")["messages"]["received"] == 300


@pytest.mark.parametrize("password", ["300", "q'z"])
def test_a_password_like_a_word_of_ours_changes_nothing(run, broker, user, tmp_path, password):
    url = f"rabbit://{user(password)}:{quote(password)}@127.0.0.1:{broker.port}/"
    status, out, err = run("run", "-m", 300, "-w", 20, "--transport-url", url, "--output", "r")
    assert status == 0, err
    assert not err.count("Traceback")
    result = json.loads((tmp_path / "r/result.json").read_text())
    assert result["messages"]["requested"] == result["messages"]["received"] == 300
    assert "***" not in err.replace(":***@", "")
    assert "***" not in out.replace(":***@", "")
    about = (tmp_path / "r/run.json").read_text()
    assert f":{quote(password)}@" not in about
    assert about.count("***") == 1


def test_a_wrong_password_is_told_in_whole_words(run, broker, user):
    name = user("right")
    url = f"rabbit://{name}:wrong@127.0.0.1:{broker.port}/"
    status, _, err = run("run", "-m", 20, "--transport-url", url)
    assert status == 2
    assert "or the password: correct the credentials in the transport URL" in err
    assert "***" not in err
    assert os.linesep not in err.strip()
