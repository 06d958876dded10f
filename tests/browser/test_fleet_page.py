"""The page of a run that was spread over hosts: each of them, and what was lost, on any screen."""

import dataclasses

import pytest

from omrig.recordings import folder as run_folder
from omrig.report import hosts
from tests.browser.conftest import HOSTILE, make
from tests.unit.report.test_hosts import AMONG, FLEET, PARTS

PHONE = {"width": 390, "is_mobile": True, "has_touch": True}

LOST = dataclasses.replace(PARTS[2], name=HOSTILE, ended_because=HOSTILE)
"""A host whose name somebody chose who means no good."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A run over three hosts, of which one was lost."""

    def over_hosts(run, result):
        run["fleet"] = FLEET.to_json()
        result["hosts"] = [part.to_json() for part in (*PARTS[:2], LOST)]
        result["among_hosts"] = AMONG.to_json()

    return make(tmp_path_factory.mktemp("fleet") / "run", over_hosts)


def test_each_host_has_a_row_with_its_figures(fleet, show):
    page = show(fleet).page
    result = run_folder.read_result(fleet.folder)
    rows = page.locator("#hosts tbody tr")
    assert rows.count() == 3
    for place, (part, figures) in enumerate(hosts.rows(result)):
        row = rows.nth(place)
        assert row.locator("th").inner_text() == part.name
        assert [text.strip() for text in row.locator("td").all_inner_texts()] == list(figures)


def test_what_was_lost_is_said(fleet, show):
    (said,) = show(fleet).page.locator("#hosts .lost").all_inner_texts()
    assert said.startswith(f"{HOSTILE}: lost, heard of last 12.3 s after the load began: {HOSTILE}")


def test_the_slowest_host_is_said_first(fleet, show):
    lead = show(fleet).page.locator("#hosts .lead").inner_text()
    assert lead.startswith("The slowest host is rack-b: the messages that it sent took 12.0 ms")


def test_what_hosts_are_called_is_no_markup(fleet, show):
    shown = show(fleet)
    assert shown.page.evaluate("window.taken") is None
    assert shown.page.locator("#hosts img").count() == 0
    assert not shown.complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE], ids=["desk", "phone"])
def test_the_table_scrolls_by_itself(fleet, show, options, scheme):
    page = show(fleet, scheme, **options).page
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= options.get("width", 1280)
    assert page.locator("#hosts .scroller").evaluate("(each) => each.clientWidth > 0")
