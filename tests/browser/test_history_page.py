"""The page of a history as a browser shows it."""

import json

import pytest

from omrig.history import events, reading
from omrig.report.html import history as html
from tests.browser.conftest import HOSTILE, Page
from tests.unit import histories


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    slow = {"14.8.0": {"wakeup": 500e6}, "17.0.0": {"wakeup": 0.0}}
    histories.save(folder, changes=slow, executor="threading")
    histories.save(folder, executor="eventlet", begin_s=5, name="{version}-b", seed=3)
    skipped = [{"name": "13.0.0", "version": "13.0.0", "reason": HOSTILE}]
    about = {"kind": "history", "package": "oslo.messaging", "skipped": skipped}
    (folder / "experiment.json").write_text(json.dumps(about))
    found = reading.read(str(folder))
    path = folder / "history.html"
    path.write_text(html.render(found, events.of_history(found)))
    return Page(path.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_drawn_without_a_complaint_or_a_request(page, show, scheme, width):
    shown = show(page, scheme, width)
    shown.page.wait_for_selector("#figure-stages-1 .main-svg")
    assert shown.complaints == []
    assert shown.requests == [page.url]
    assert shown.page.evaluate("window.taken") is None
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert shown.page.evaluate(overflow) <= 0


def test_changes_are_told_with_what_explains_them(page, show):
    told = show(page).page.locator(".happened li")
    first = told.first.inner_text()
    assert first.startswith("14.8.0 threading: p50 x 3")
    assert "wakeup explains most of it: +500 ms" in first
    assert told.nth(1).get_attribute("class") == "better"


def test_changes_are_marked_in_the_figures(page, show):
    figure = show(page).page.locator("#figure-metric-p50")
    words = figure.locator(".annotation-text").all_inner_texts() or [
        each.text_content() for each in figure.locator(".annotation-text").all()
    ]
    assert any(each.startswith("14.8.0: x 3") for each in words)
    assert "not measured" in words
    assert figure.locator(".shapelayer path").count() == 3


def test_a_gap_has_its_reason(page, show):
    assert f"13.0.0 (threading): {HOSTILE}" in show(page).page.inner_text("#gaps")


def test_the_tables_have_each_version(page, show):
    shown = show(page).page
    row = shown.locator("#metrics tr[data-metric='p50']").last
    values = [float(each.get_attribute("value")) for each in row.locator("data").all()]
    assert len(values) == len(histories.VERSIONS)
    assert max(values) > 100 * min(values)
    assert row.locator("td.worse").count() == row.locator("td.better").count() == 1
