"""A recording of services on the terminal: what is shown, and that figures are never cropped."""

import dataclasses
import io
import re

import pytest

from omrig.model import units
from omrig.model.service import MethodName, Requests
from omrig.report.services import words
from omrig.report.terminal import services
from tests.unit.report.services import pins
from tools import synthetic_services

WIDTHS = [72, 80, 100, 120, 140, 170, 200]

RESULT = synthetic_services.result()


def named(**changes):
    """The recording, with the first method's name changed."""
    first, *others = RESULT.methods
    name = dataclasses.replace(first.name, **changes)
    return dataclasses.replace(
        RESULT, methods=(dataclasses.replace(first, name=name), *others), requests=Requests()
    )


@pytest.mark.parametrize("pin", pins.PINS)
def test_it_is_shown_as_it_was(pin):
    expected = (pins.EXPECTED / f"{pin}.txt").read_text(encoding="utf-8")
    assert pins.shown(pin) == expected


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width):
    for method in (None, *(each.name.label for each in RESULT.methods)):
        lines = services.text(RESULT, method, width).splitlines()
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_are_never_cropped(width):
    text = services.text(RESULT, width=width)
    told = set(re.split(r"\s+(?![µmn]?s\b|%)", text))
    for method in RESULT.methods:
        figures = [words.latency(method, "mean"), words.latency(method, "p99")]
        figures += [f"{words.count(method):,}", f"{100 * method.share:.1f} %"]
        figures += [words.share(share) for share in method.owners.values()]
        assert set(figures) <= told, method.name.label


@pytest.mark.parametrize("width", [60, *WIDTHS])
def test_a_stage_s_figures_are_never_cropped(width):
    method = next(each for each in RESULT.methods if each.name.label == pins.START)
    text = services.text(RESULT, pins.START, width)
    for row in method.stages:
        line = next(line for line in text.splitlines() if line.startswith(f" {row.name} "))
        for ns in (row.mean_ns, row.p50_ns, row.p99_ns):
            assert f" {units.duration(ns)} " in f"{line} "


@pytest.mark.parametrize("width", [60, *WIDTHS])
def test_every_method_has_its_row_with_its_ends_or_without(width):
    rows = services.text(RESULT, width=width).partition("\nmethods\n")[2].partition("\nof all: ")[0]
    for method in RESULT.methods:
        tail = method.name.method[-8:]
        assert len([line for line in rows.splitlines() if tail in line]) == 1


def test_what_does_not_fit_is_spared_in_its_order():
    columns = {
        width: services.text(RESULT, width=width)
        .partition("\nmethods\n")[2]
        .splitlines()[0]
        .split()
        for width in (60, 80, 100)
    }
    assert columns[100][-4:] == ["remote", "own", "nested", "computing"]
    assert columns[80][-3:] == ["remote", "own", "nested"]
    assert columns[60][-1] == "endpoint"


def test_a_short_name_stands_beside_its_figures():
    method = dataclasses.replace(RESULT.methods[0], name=MethodName(pattern="call", method="ping"))
    text = services.text(dataclasses.replace(RESULT, methods=(method,)), width=120)
    row = next(line for line in text.splitlines() if line.startswith("call ping "))
    assert row.endswith("executor -> engine")
    assert "1.24 s" in row


def test_the_most_important_verdicts_come_first_and_small_methods_have_none():
    text = services.text(RESULT, width=200).partition("\nverdicts, ")[2]
    shares = [float(share) for share in re.findall(r"^> .*? \((\S+) %\): ", text, re.MULTILINE)]
    assert shares == [41.2, 28.7, 22.1]


def test_methods_beyond_the_most_are_counted():
    methods = RESULT.methods * 4
    text = services.text(dataclasses.replace(RESULT, methods=methods), width=100)
    assert "8 more methods of " in text


def test_a_name_that_looks_like_markup_is_shown_as_it_is():
    text = services.text(named(method="[bold]x[/bold]", topic="[/]"), width=140)
    assert "cast [/] [bold]x[/bold]" in text
    assert "[bold]x[/bold]" in services.text(named(method="[bold]x[/bold]"), "[bold]x[/bold]", 100)


def test_a_name_tells_the_terminal_nothing():
    hostile = "\x1b[2J\x9b31m\n\r\u202eping"
    result = named(method=hostile)
    for text in (services.text(result, width=200), services.text(result, hostile, 200)):
        assert not re.search("[\x1b\x9b\r\u202e]", text)
        assert "\\x1b[2J\\x9b31m\\n\\r\\u202eping" in text


def test_several_methods_of_a_name_are_all_shown():
    first = RESULT.methods[0]
    other = dataclasses.replace(first, name=dataclasses.replace(first.name, topic="other"))
    text = services.text(
        dataclasses.replace(RESULT, methods=(first, other)), first.name.method, 120
    )
    assert [line.partition(":")[0] for line in text.splitlines() if line.startswith("cast ")] == [
        first.name.label,
        other.name.label,
    ]


def test_an_unknown_method_is_refused():
    with pytest.raises(KeyError):
        services.text(RESULT, "unknown")


def test_nothing_recorded_is_said():
    empty = dataclasses.replace(
        RESULT,
        methods=(),
        processes=(),
        requests=Requests(),
        complete=False,
        reason="no process was there",
        closure=dataclasses.replace(RESULT.closure, messages=0, matched=0, within_tolerance=None),
    )
    lines = services.text(empty, width=100).splitlines()
    assert lines[0] == "0 processes, 0 messages in 39.6 s"
    assert "! incomplete: no process was there" in lines
    assert "no message was recorded" in lines


def test_a_sample_says_so_and_shares_have_errors():
    sampled = dataclasses.replace(RESULT, sample=10)
    assert "! 1 message in 10 was recorded" in services.text(sampled, width=100)
    assert " ± " in services.text(sampled, pins.START, 100)
    assert " ± " not in services.text(RESULT, pins.START, 100)


def test_hosts_are_named_where_there_are_several():
    first, *others = RESULT.processes
    result = dataclasses.replace(
        RESULT, processes=(dataclasses.replace(first, host="far-away"), *others)
    )
    assert "far-away" in services.text(result, width=100)
    assert " vm " not in services.text(RESULT, width=100)


def test_a_method_without_stages_or_verdict_says_so():
    label = RESULT.methods[-1].name.label
    text = services.text(RESULT, label, 100)
    assert "no verdict on 0 matched messages" in text
    assert "no stages: no message of it was seen from end to end" in text


def test_a_terminal_that_lacks_lines_gets_a_tree_as_well():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    services.show(RESULT, file=file, width=100)
    file.seek(0)
    assert "|  `- notify" in file.read()


def test_of_a_large_fleet_the_busiest_are_shown():
    first = RESULT.processes[1]
    fleet = [
        dataclasses.replace(first, name=f"w[{number}]", pid=number, sent=number, ended=None)
        for number in range(1, 31)
    ]
    text = services.text(dataclasses.replace(RESULT, processes=tuple(fleet)), width=100)
    rows = text.partition("\nprocesses\n")[2].partition("\nmethods\n")[0]
    assert "10 more processes did less" in rows
    assert "w[30] " in rows and "w[10] " not in rows
    assert "44 more pools less in use" in text
