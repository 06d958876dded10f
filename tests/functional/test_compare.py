"""Real runs beside each other: large messages against small ones, in turn."""

import json
from xml.etree import ElementTree

import pytest


@pytest.fixture
def pairs(run, broker, tmp_path):
    """Four runs with 10 KiB and four with 1000 KiB, in turn: far apart also on a busy machine."""
    load = ("-m", 100, "-w", 1, "--warmup", 5, "--transport-url", broker.url)
    status, _, err = run(
        "ab", "-n", 4, "--quiet", "--output", ".",
        *("--", "-s", 10, *load), *("--", "-s", 1000, *load), timeout=170,
    )  # fmt: skip
    assert status == 0, err
    return tmp_path


def test_large_messages_against_small_ones(run, pairs):
    status, out, err = run(
        "compare", "a", "b", "--gate", "p50<=+20%", "--gate", "errors<=0",
        "--html", "c.html", "--junit", "c.xml", "--json", "c.json",
    )  # fmt: skip
    assert status == 3, err
    assert err == "omrig: gate failed: p50<=+20%\n"
    said = " ".join(out.split())
    assert "4 interleaved pairs" in said
    assert "FAILED: p50<=+20%: p50 +" in said
    assert "met: errors<=0" in said
    assert "differs size_bytes: BASE 10240, NEW 1024000" in said
    made = json.loads((pairs / "c.json").read_text())
    named = {row["metric"]: row for row in made["rows"]}
    assert named["p50"]["ratio"]["low"] > 1
    assert named["stage.publish.p50"]["ratio"]["value"] > 1
    assert named["cpu"]["ratio"]["value"] > 1
    assert [each["what"] for each in made["differences"]] == ["size_bytes"]
    (suite,) = ElementTree.parse(pairs / "c.xml").getroot()
    assert suite.get("failures") == "1"
    page = (pairs / "c.html").read_text()
    assert 'data-stage="publish"' in page
    assert len(page) < 6 * 2**20

    # Of one run each there are intervals too, from its slices.
    status, out, err = run("compare", "a/01", "b/01", "--json")
    assert status == 0, err
    made = json.loads(out)
    assert made["method"]["design"] == "slices"
    named = {row["metric"]: row for row in made["rows"]}
    assert named["p50"]["ratio"]["low"] < named["p50"]["ratio"]["value"]
    assert named["stage.publish"]["difference"]["high"] > 0
    assert "one run each" in [each["kind"] for each in made["instabilities"]]
