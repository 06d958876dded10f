"""The functions that changed, on the page of a comparison as a browser shows it."""

import numpy
import pytest

from omrig.report import flames
from omrig.report.html import comparison as compare_html
from tests.browser.conftest import Page
from tests.unit import profiled, synthetic


@pytest.fixture(scope="module")
def profiled_comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    profiled.save_pairs(folder, numpy.random.default_rng(1), {"serialize_msg": 100.0})
    found = synthetic.compared(folder)
    page = folder / "comparison.html"
    drawn = compare_html.render(found, ([], []), flames.differences(found))
    page.write_text(drawn, encoding="utf-8")
    return Page(page.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_flame_graph_is_drawn_and_names_the_function(show, profiled_comparison, scheme):
    shown = show(profiled_comparison, scheme)
    figure = shown.page.locator("#figure-flames-yappi-producer")
    figure.locator("path.surface").first.wait_for()
    labels = figure.locator(".slicetext").all_text_contents()
    assert "serialize_msg" in labels
    assert "producer" in labels
    rows = shown.page.locator("[data-function]").all()
    assert [each.get_attribute("data-function") for each in rows] == [
        f"{profiled.MODULE}:serialize_msg"
    ]
    assert shown.complaints == []
