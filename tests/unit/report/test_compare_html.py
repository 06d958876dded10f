"""The page of a comparison: self-contained, escaped, both sides over each other."""

import json
import re

import pytest

from omrig.compare import comparison, gates, runs
from omrig.report.html import comparison as compare_html
from omrig.report.html import comparison_charts
from tests.unit import synthetic


def test_the_page_is_self_contained_and_escaped(tmp_path):
    page = compare_html.render(synthetic.compared(synthetic.save_hostile(tmp_path)), ([], []))
    assert "alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert len(page.encode()) < 6 * 2**20
    assert not re.search(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", page
    )
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_draws_both_sides_over_each_other(tmp_path):
    single = synthetic.save_single(tmp_path)
    base, new = (runs.read(str(single / name), name) for name in ("base", "new"))
    messages = runs.read_messages(base.runs[0]), runs.read_messages(new.runs[0])
    found = comparison.compare(base, new, [gates.parse("p99<=+5%")], messages)
    page = compare_html.render(found, ([messages[0]], [messages[1]]))
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert {"ratios", "stages", "latency", "time"} <= set(figures)
    for name in ("latency", "time"):
        assert [trace["name"] for trace in figures[name]["data"]] == ["BASE", "NEW"]
    last = [trace["y"][-1] for trace in figures["latency"]["data"]]
    longest = [int(each.latency_ns.max()) / 1e6 for each in messages]
    assert last == pytest.approx(longest, rel=1e-4)
    assert 'data-call="slower"' in page
    assert "FAILED: p99&lt;=+5%" in page
    assert "one run each" in page
    assert page.count('data-stage="') == len(synthetic.STAGES)


def test_the_page_of_sets_shows_when_each_run_was_made(tmp_path):
    page = compare_html.render(synthetic.compared(synthetic.save_pairs(tmp_path)), ([], []))
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert [len(trace["x"]) for trace in figures["runs"]["data"]] == [5, 5]
    assert "latency" not in figures
    assert 'href="#latency"' not in page


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.98, 1.03, [0.98, 0.99, 1.0, 1.01, 1.02, 1.03]),
        (1.2, 1.5, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]),
        (0.3, 2.2, [0.5, 1, 2]),
        (0.001, 900, [0.001, 0.01, 0.1, 1, 10, 100]),
    ],
)
def test_ratios_are_drawn_against_round_numbers(low, high, ticks):
    assert comparison_charts._ratio_ticks(low, high) == pytest.approx(ticks)
