"""The page of a recording of services as a browser shows it."""

import dataclasses
import re

import pytest

from omrig.model.service import Requests
from omrig.report.html.services import page as html
from omrig.report.services import words
from tests.browser.conftest import FONTS, Page
from tests.browser.test_page import CONTRASTS, PHONE, fits, off_paper, on_paper, opened
from tools import synthetic_services

RESULT = synthetic_services.result()

WHOLE = ".scroller:has(.stages, .methods, .use, .processes)"
"""What is seen whole on a desktop, whatever the letters."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The page of a recording in which every section has something to show."""
    return Page(html.write(tmp_path_factory.mktemp("services"), RESULT).as_uri())


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    """The same, of a service whose names have no place to break a line at."""
    first, *others = RESULT.methods
    name = dataclasses.replace(first.name, topic="t" * 90, method="m" * 120)
    process = dataclasses.replace(RESULT.processes[0], name="p" * 80)
    result = dataclasses.replace(
        RESULT,
        methods=(
            dataclasses.replace(first, name=name, senders=("s" * 80,), servers=("r" * 80,)),
            *others,
        ),
        processes=(process, *RESULT.processes[1:]),
        requests=Requests(),
        not_seen=("n" * 200,),
    )
    return Page(html.write(tmp_path_factory.mktemp("names"), result).as_uri())


def cut(page):
    """The scrollers of what is to be seen whole that hide a part of it."""
    return page.locator(WHOLE).evaluate_all(
        "(all) => all.filter((each) => each.scrollWidth > each.clientWidth)"
        ".map((each) => each.getAttribute('aria-label'))"
    )


def test_a_method_is_opened(recording, show):
    shown = show(recording, fresh=True)
    page = shown.page
    second = page.locator(".each > details").nth(1)
    assert page.locator(".each > details[open]").count() == 1
    assert not second.locator("table.stages").is_visible()
    second.locator("summary").click()
    assert second.locator("table.stages").is_visible()
    rows = second.locator("table.stages tbody tr")
    assert rows.count() == len(RESULT.methods[1].stages)
    # What was closed has its size: the curve spans its box, the bars their message.
    box = second.locator(".curve").bounding_box()
    path = second.locator(".curve svg path").bounding_box()
    assert path["height"] > 0.8 * box["height"] and path["width"] > 0.8 * box["width"]
    assert second.locator(".waterfall .bar").first.is_visible()
    assert second.locator("[data-latency=p99]").inner_text() == words.latency(
        RESULT.methods[1], "p99"
    )
    assert shown.complaints == []
    assert {url.partition("#")[0] for url in shown.requests} == {recording.url}


def test_the_table_leads_to_a_method_and_opens_it(recording, show):
    page = show(recording, fresh=True).page
    page.locator(".methods a").nth(2).click()
    assert page.url.endswith("#method-3")
    body = page.locator("#method-3")
    page.wait_for_function("document.getElementById('method-3').checkVisibility()")
    assert body.bounding_box()["y"] < 800


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("kind", ["recording", "long_names"])
def test_nothing_is_wider_than_the_window_or_the_paper(request, show, kind, font):
    page = show(request.getfixturevalue(kind), font=font, fresh=True).page
    fits(page, 1280)
    assert kind == "long_names" or cut(page) == []
    phone = show(request.getfixturevalue(kind), font=font, **PHONE).page
    for width in (768, 700, 390, 320):
        fits(phone, width)
    on_paper(page)
    fits(page, 700)
    off_paper(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(recording, show, scheme):
    page = show(recording, scheme, fresh=True).page
    opened(page)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 500
    assert [each for each in found if each[0] < 4.5] == []


def test_it_is_read_without_a_script(recording, show):
    page = show(recording, java_script_enabled=False).page
    page.locator(".each > details summary").nth(2).click()
    assert page.locator("#method-3 table.stages").is_visible()
    assert page.locator("#method-3 .curve svg path").bounding_box()["height"] > 100


def test_a_screen_reader_finds_its_way(recording, show):
    page = show(recording, fresh=True).page
    opened(page)
    for landmark in ("header", "nav", "main", "footer"):
        assert page.locator(f"body > {landmark}").count() == 1
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))"
    )
    assert levels.count(1) == 1 and levels[0] == 1
    nameless = page.evaluate(
        """[
          ...[...document.querySelectorAll('table')].filter((each) =>
            !each.caption || !each.caption.textContent.trim()),
          ...[...document.querySelectorAll('th')].filter((each) => !each.scope),
          ...[...document.querySelectorAll('[role=img], [role=region]')].filter((each) =>
            !each.getAttribute('aria-label')),
        ].map((each) => each.outerHTML.slice(0, 100))"""
    )
    assert nameless == []
    assert page.get_by_role("img", name=re.compile("Latency by percentile")).count() >= 5
