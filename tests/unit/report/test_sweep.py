"""A sweep on the terminal and as a page: the recommendation first, then all points."""

import dataclasses
import json
import re

import numpy
import pytest

from omrig.report import sweep_text
from omrig.report.html import sweep as page
from omrig.report.terminal import sweep as terminal
from tests.unit.experiment import swept

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def sweep():
    points = swept.measured(numpy.random.default_rng(0))
    points[0] = dataclasses.replace(points[0], runs={}, failed=f"the pool is empty {HOSTILE}")
    return swept.sweep(points)


def figures(html):
    return json.loads(re.search(r'id="figures">(.*?)</script>', html, re.DOTALL)[1])


def test_the_terminal_has_the_recommendation_first(sweep):
    lines = terminal.text(sweep, "omrig-runs/x-sweep", 100).splitlines()
    assert lines[1].startswith("> threads=8 is recommended: ")
    rows = {line.split()[0]: line for line in lines if re.match(r" \d+ ", line)}
    assert list(rows) == ["1", "2", "4", "8", "16", "32"]
    assert rows["1"].split()[-2:] == ["-", "failed"]
    assert rows["8"].endswith("recommended")
    assert rows["4"].endswith("worse")
    assert rows["32"].endswith("the same")
    assert "80.0 %" in rows["4"]
    assert "executor_" in "".join(lines)
    assert any("1 is left out: the pool is empty" in line for line in lines)
    assert lines[-1].split() == ["results", "omrig-runs/x-sweep"]


@pytest.mark.parametrize("width", [50, 72, 96, 140])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(sweep, width):
    text = terminal.text(sweep, "x", width)
    assert all(len(line) <= width for line in text.splitlines())
    for point in sweep.measured:
        assert sweep_text.rate(point.figures["throughput"]) in text


def test_the_stages_that_change_most_are_shown():
    points = swept.measured(numpy.random.default_rng(0))
    assert sweep_text.stages_that_change(swept.sweep(points))[0] == "executor_queue"


def test_the_page_is_self_contained_escaped_and_has_all_points(sweep):
    html = page.render(sweep, "omrig-runs/x-sweep")
    assert HOSTILE not in html
    assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?(?:https?:)?//""", html)
    assert "default-src 'none'" in html
    assert 'data-recommended="8"' in html
    assert html.count('data-point="') == 6
    assert html.count('data-stage="') == len(swept.BUCKETS)
    drawn = figures(html)
    assert {"throughput", "latency", "cpu", "stages"} == set(drawn)
    line = drawn["throughput"]["data"][-1]
    assert line["x"] == [1, 2, 3, 4, 5]
    assert line["y"] == pytest.approx(
        [point.figures["throughput"].value for point in sweep.measured], rel=1e-5
    )
    assert drawn["throughput"]["layout"]["annotations"][0]["text"] == "knee"
    assert drawn["throughput"]["layout"]["shapes"][0]["x0"] == 3
    whole = [sum(trace["y"][at] for trace in drawn["stages"]["data"]) for at in range(5)]
    assert whole == pytest.approx([100] * 5, abs=0.01)


def test_an_interval_without_an_end_does_not_stretch_the_axis():
    points = swept.measured(numpy.random.default_rng(0), rounds=2, noise=0.3)
    sweep = swept.sweep(points)
    top = figures(page.render(sweep, "x"))["throughput"]["layout"]["yaxis"]["range"][1]
    assert top <= 1.61 * max(point.figures["throughput"].value for point in sweep.points)
