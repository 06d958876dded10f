"""uv is told what pip is set to."""

import sys

import pytest

from omrig.environments import installers, pip_settings

LISTED = """\
:env:.find-links='/wheels'
global.cert='/ca.pem'
global.constraint='/constraints.txt'
global.extra-index-url='https://a.example/simple https://b.example/simple'
global.index-url='https://user:secret@mirror.example/simple'
install.index-url='https://nearer.example/simple'
wheel.index-url='https://not.example/simple'
global.timeout='30'
"""


@pytest.fixture(autouse=True)
def pip(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{LISTED}E\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    for name in [each for names in pip_settings._NAMES.values() for each in names]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("UV_INDEX_STRATEGY", raising=False)
    pip_settings._of_pip.cache_clear()
    yield
    pip_settings._of_pip.cache_clear()


def test_what_pip_is_set_to_is_told_to_uv():
    assert pip_settings.for_uv() == {
        "UV_DEFAULT_INDEX": "https://nearer.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
        "UV_CONSTRAINT": "/constraints.txt",
        "SSL_CERT_FILE": "/ca.pem",
        "UV_HTTP_TIMEOUT": "30",
    }


def test_what_uv_is_told_by_others_holds(monkeypatch):
    monkeypatch.setenv("UV_INDEX_URL", "https://uv.example/simple")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://more.example/simple")
    found = pip_settings.for_uv()
    assert "UV_DEFAULT_INDEX" not in found
    assert "UV_INDEX" not in found
    assert "UV_INDEX_STRATEGY" not in found


def test_pip_leaves_out_the_constraint_that_is_in_its_way(tmp_path, monkeypatch):
    tried = []

    def run(command, environment):
        if "install" in command:
            tried.append((tmp_path / "x").name)
            pins = command[command.index("-c") + 1]
            text = open(pins).read()  # noqa: PTH123, SIM115
            if "kombu==5.7" in text:
                raise installers.Refused(
                    "ERROR: Cannot install kombu<5.5\nThe user requested (constraint) kombu==5.7\n"
                )
            tried.append(text)
        return ""

    monkeypatch.setattr(installers, "_run", run)
    installers.Pip().install(["kombu<5.5"], {"kombu": "5.7", "amqp": "5.3"}, tmp_path)
    assert tried[-1] == "amqp==5.3\n"


def test_without_uv_and_venv_it_is_said_what_to_install(tmp_path, monkeypatch):
    def run(command, environment):
        raise installers.Refused("The virtual environment was not created: ensurepip is not there")

    monkeypatch.setattr(installers, "_run", run)
    from omrig.environments import interpreters

    with pytest.raises(installers.NotInstallable, match=r"omrig\[versions\]"):
        installers.Pip().create(tmp_path, interpreters.own())
