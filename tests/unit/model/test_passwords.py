"""No word of a password, wherever it is given and however it is wrong: many random ones at once."""

import json
import os
import random
import subprocess
import sys
from urllib.parse import quote

import pytest

from tests.unit.model.test_redaction import random_secret, spellings
from tests.unit.model.test_transport_url import random_url

SCRIPT = """
import contextlib, io, json, os, sys, traceback
from omrig import cli
from omrig.model import redaction
for line in sys.stdin:
    case = json.loads(line)
    os.chdir(case["folder"])
    os.environ.update(case["environment"])
    redaction.forget()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(case["arguments"])
    for name in case["environment"]:
        del os.environ[name]
    sys.stdout.write(json.dumps([status, out.getvalue(), err.getvalue()]) + "\\n")
"""


def run_all(cases, tmp_path):
    """Exit status, standard output and error of each, from one process."""
    asked = "".join(json.dumps(case) + "\n" for case in cases)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=asked, capture_output=True, text=True, check=True, timeout=150,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    # The libraries' own words on standard error are a sink as well.
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    return [(status, out + err) for status, out, err in answers], done.stderr


def ways(url, folder, rng):
    """The URL given by option, file, folder or environment, or where it does not belong."""
    in_file = f"[DEFAULT]\ntransport_url = {url.replace('$', '$$')}\n"
    way = rng.choice(["option", "option", "file", "dir", "environment", "stray", "elsewhere"])
    if way == "option":
        return [rng.choice(["--transport-url", "--transport_url"]), url], {}
    if way in ("file", "dir"):
        (folder / "d").mkdir()
        (folder / "d/x.conf").write_text(in_file)
        return [f"--config-{way}", "d/x.conf" if way == "file" else "d"], {}
    if way == "environment":
        return [], {"OS_DEFAULT__TRANSPORT_URL": url.replace("$", "$$")}
    if way == "stray":
        return [url], {}
    return [rng.choice(["--topic", "--config-file", "--project", "--profile", "--target"]), url], {}


def case_of(url, seed, tmp_path):
    rng = random.Random(seed)
    folder = tmp_path / str(seed)
    folder.mkdir()
    arguments, environment = ways(url, folder, rng)
    side = rng.choice([["run"], ["-p"], ["-c"]])
    debug = rng.choice([[], ["--debug"], ["--json", "--quiet"]])
    given = [*side, *arguments, *debug, "-m", "10", "--output", "r"]
    if "--target" in given:
        given += ["--profile", "lines"]
    return {"folder": str(folder), "arguments": given, "environment": environment}


def written(folder):
    return "".join(
        path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "x.conf"
    )


def test_random_passwords_in_well_formed_urls(tmp_path):
    secrets = [random_secret(random.Random(seed)) for seed in range(1000, 1080)]
    # Of the words that any error has; a secret that is one of them proves nothing.
    secrets = [secret if "a" not in secret.lower() else secret + "Zq" for secret in secrets]
    cases = []
    for seed, secret in enumerate(secrets):
        encoded = quote(secret, safe=random.Random(seed).choice(["", "~!*'()$&+=;"]))
        url = f"rabbit://tester:{encoded}@127.0.0.1:1/"
        cases.append(case_of(url, seed, tmp_path))
    answers, rest = run_all(cases, tmp_path)
    for secret, case, (status, said) in zip(secrets, cases, answers, strict=True):
        assert status == 2, (case, said)
        everything = said + written(tmp_path / case["folder"])
        for spelling in spellings(secret):
            assert spelling not in everything, (case, said)
            assert spelling not in rest


@pytest.mark.parametrize("first", [0, 1000])
def test_random_urls_that_are_malformed(tmp_path, first):
    """Whatever a parser cuts it into, no part of the password is shown."""
    cases = []
    for seed in range(first, first + 60):
        rng = random.Random(seed)
        url = random_url(rng)
        cut = "".join(rng.choice("#/?,@:$%[]' \"") for _ in range(rng.randrange(1, 4)))
        scheme, colon, rest = url.partition(":")
        url = f"{scheme}{colon}//u:Zebra{cut}Quagga@{rest.lstrip('/')}"
        cases.append(case_of(url, seed, tmp_path))
    answers, rest = run_all(cases, tmp_path)
    refused = 0
    for case, (status, said) in zip(cases, answers, strict=True):
        assert status == 2, (case, said)
        everything = (said + written(tmp_path / case["folder"])).lower()
        assert "zebra" not in everything, (case, said)
        assert "quagga" not in everything, (case, said)
        refused += "not a transport URL" in said
    assert "zebra" not in rest.lower()
    assert "quagga" not in rest.lower()
    assert refused > 10
