"""The page of a recording of services: every number is on it, and nothing that is elsewhere."""

import collections
import dataclasses
import html.parser
import re

import pytest

from omrig.model.service import Requests
from omrig.report.html.services import curve, page
from omrig.report.services import words
from tests.unit import refused
from tools import synthetic_services

HOSTILE = "\"><script>window.taken = 1</script><img src=x onerror='taken'>&amp;{{ 7 * 7 }}"

RESULT = synthetic_services.result()


class Parsed(html.parser.HTMLParser):
    """What a page holds: its tags with their attributes, the exact values, and the text."""

    VOID = ("meta", "br", "img", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.values = collections.Counter()
        self.words = []
        self.open = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "data":
            self.values[dict(attrs)["value"]] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def parsed():
    return Parsed(page.text(RESULT))


def test_all_tags_are_closed(parsed):
    assert parsed.open == []


def test_every_number_of_every_method_is_on_it(parsed):
    for method in RESULT.methods:
        assert method.name.label in parsed.text
        assert str(method.share) in parsed.values
        for row in method.stages or ():
            for name in ("mean_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns", "share"):
                assert str(getattr(row, name)) in parsed.values, (method.name.label, row.name)
        for statistic in ("mean", "p50", "p90", "p99", "p999", "max"):
            assert words.latency(method, statistic) in parsed.text
        for share in (method.endpoint_own, method.endpoint_nested, method.computing):
            assert words.share(share) in parsed.text
        for _, line in words.facts(method):
            assert " ".join(line.split()) in parsed.text
        if method.verdict:
            assert method.verdict.text[1:] in parsed.text


def test_every_number_beside_the_methods_is_on_it(parsed):
    for process in RESULT.processes:
        for number in (process.sent, process.served, process.connections):
            assert str(number) in parsed.values
        assert str(process.pid) in parsed.text
        assert words.share(process.cpu_share) in parsed.text
    for used in words.pools(RESULT.processes):
        for number in (used.pool.mean, used.pool.most, used.pool.size, used.pool.at_most_share):
            assert str(number) in parsed.values
        assert not used.pool.advice or used.pool.advice in parsed.text
    for branch in words.tree(RESULT.requests.typical):
        for number in (branch.node.begin_ns, branch.node.total_ns, branch.node.self_ns):
            assert str(number) in parsed.values
    for request in RESULT.requests.slowest:
        assert request.id in parsed.text and str(request.duration_ns) in parsed.values
    for lost in words.unanswered(RESULT.methods):
        assert f"{lost.count:,} {lost.label} {lost.where}" in parsed.text
    for line in (*RESULT.not_seen, *words.warnings(RESULT), f"{RESULT.broker_messages:,}"):
        assert line in parsed.text


def test_each_method_opens_and_the_table_leads_there(parsed):
    assert parsed.all("data-opens") == [each.name.label for each in RESULT.methods]
    assert parsed.all("data-method") == [each.name.label for each in RESULT.methods]
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    links = [link.removeprefix("#") for link in parsed.all("href")]
    assert {f"method-{number}" for number in range(1, len(RESULT.methods) + 1)} <= set(links)
    assert set(links) <= set(ids)


def test_nothing_is_anywhere_else(parsed):
    assert all(link.startswith("#") for link in parsed.all("href"))
    assert parsed.all("src") == []
    assert not [tag for tag, _ in parsed.tags if tag in ("link", "img", "iframe", "object")]
    text = page.text(RESULT)
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?://", text)


def test_it_is_small_enough_to_be_sent():
    assert len(page.text(RESULT)) < 300_000


def test_a_hostile_name_is_text():
    first, *others = RESULT.methods
    name = dataclasses.replace(first.name, method=HOSTILE)
    process = dataclasses.replace(RESULT.processes[0], name=HOSTILE, arrivals=HOSTILE)
    result = dataclasses.replace(
        RESULT,
        methods=(dataclasses.replace(first, name=name, senders=(HOSTILE,)), *others),
        processes=(process, *RESULT.processes[1:]),
        complete=False,
        reason=HOSTILE,
        not_seen=(HOSTILE,),
    )
    found = Parsed(page.text(result))
    assert [tag for tag, _ in found.tags if tag in ("img", "script")] == ["script"]
    assert found.text.count("window.taken = 1") >= 6


def test_nothing_recorded_is_a_page_as_well():
    empty = dataclasses.replace(
        RESULT,
        methods=(),
        processes=(),
        requests=Requests(),
        started_at="",
        closure=dataclasses.replace(RESULT.closure, messages=0, matched=None),
    )
    found = Parsed(page.text(empty))
    assert "No message was recorded" in found.text
    assert not {"each", "use", "requests", "processes", "unanswered"} & set(found.all("id"))


def test_it_is_written_into_the_recording(tmp_path):
    assert page.write(tmp_path, RESULT) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == page.text(RESULT)
    other = page.write(tmp_path, RESULT, tmp_path / "other.html")
    assert other == tmp_path / "other.html" and other.exists()


def test_it_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "report.html").write_text("before")
    with refused.limited_files(50_000), pytest.raises(OSError, match=r"report\.html"):
        page.write(tmp_path, RESULT)
    assert (tmp_path / "report.html").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_curve_goes_from_left_to_right_and_ends_at_the_longest():
    distribution = [(10.0, 5), (50.0, 10), (99.0, 40), (99.9, 60), (100.0, 100)]
    drawn = curve.draw(distribution, 1500)
    lefts = [point.left for point in drawn.points]
    assert lefts == sorted(lefts) and lefts[-1] == 100
    assert [point.bottom for point in drawn.points] == [5, 10, 40, 60, 100]
    assert [point.name for point in drawn.points] == ["p10", "p50", "p99", "p99.9", "max"]
    assert [tick.text for tick in drawn.percentiles] == ["50 %", "90 %", "99 %", "max"]


def test_a_curve_has_no_percentile_for_which_there_are_too_few_messages():
    distribution = [(50.0, 10), (99.0, 40), (99.9, 60), (100.0, 100)]
    assert [point.name for point in curve.draw(distribution, 150).points] == ["p50", "p99", "max"]
    assert [point.name for point in curve.draw(distribution, 100).points] == ["p50", "max"]
    assert [point.name for point in curve.draw(distribution, 10).points] == ["p50", "max"]


@pytest.mark.parametrize("distribution", [[], [(50.0, 10)], [(50.0, 0), (100.0, 0)]])
def test_of_nothing_there_is_no_curve(distribution):
    assert curve.draw(distribution, 1) is None
