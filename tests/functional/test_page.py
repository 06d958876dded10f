"""The page of real runs: it is there, it is named, and its numbers are the run's."""

import json
import re

import pytest

from omrig.report.html import page as html
from tests.functional.conftest import result_of


def values(page, start):
    """The exact numbers of the page from the text ``start`` on."""
    return re.findall(r'<data value="([^"]*)">', page[page.index(start) :])


def test_a_run_ends_with_its_page(run, broker, tmp_path):
    status, out, err = run(
        "run", "-m", 300, "-w", 10, "--executor", "threading", "--shared-assets",
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    first = result["artefacts"][0]
    assert (first["path"], first["open_with"]) == (html.PAGE, "xdg-open {path}")
    opening = [line.split()[-1] for line in out.splitlines() if line.startswith("open ")]
    assert opening[0] == "r/report.html"
    page = (tmp_path / "r" / html.PAGE).read_text()
    assert values(page, 'id="throughput"')[0] == str(result["throughput"]["messages_per_second"])
    assert values(page, 'id="p99"')[0] == str(result["latency"]["p99"])
    slow = int(values(page, 'data-message="p99"')[0])
    assert slow == sum(result["waterfall"]["p99"].values())
    for row in result["stages"]:
        shown = values(page, f'data-stage="{row["name"]}"')
        assert shown[0] == str(row["share"]) and shown[1] == str(row["mean_ns"])
    assert len(list((tmp_path / "r").glob("plotly-*.js"))) == 1
    assert len(page) < 500_000


@pytest.mark.parametrize("url", ["kombu+memory://", "fake://"])
def test_a_page_that_cannot_be_drawn_does_not_lose_the_run(run, tmp_path, url):
    (tmp_path / "r" / html.PAGE).mkdir(parents=True)
    status, out, err = run(
        "run", "-m", 20, "-w", 2, "--transport-url", url, "--output", "r", "--json"
    )
    assert status == 1, err
    assert "not drawn: report.html: Is a directory; " in err and "Traceback" not in err
    assert json.loads(out) == result_of(tmp_path / "r")
    assert result_of(tmp_path / "r")["messages"]["replied"] == 20


def test_two_sides_on_one_page(start, run, broker, tmp_path):
    consumer = start("-c", 150, "--transport-url", broker.url, "--output", "c", "--quiet")
    status, _, err = run("-p", 150, "-w", 5, "--transport-url", broker.url, "--output", "p")
    assert status == 0, err
    consumer.communicate(timeout=30)
    assert 'data-stage="remote"' in (tmp_path / "p" / html.PAGE).read_text()
    assert 'data-stage="receive_lag"' in (tmp_path / "c" / html.PAGE).read_text()
    status, out, err = run("report", "p", "c", "--html", "both.html")
    assert status == 0, err
    assert out == "both.html\n"
    page = (tmp_path / "both.html").read_text()
    assert 'data-stage="amqp_reply"' in page and 'data-stage="remote"' not in page
    status, out, err = run("report", "p", "c", "--json")
    merged = json.loads(out)
    slow = int(values(page, 'data-message="p99"')[0])
    assert slow == sum(merged["waterfall"]["p99"].values())
    slowest = int(values(page, 'class="slowest"')[0])
    assert slowest == pytest.approx(merged["latency"]["max"], rel=0.05)
