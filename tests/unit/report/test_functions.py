"""The functions of a comparison in its reports, and the stacks beside its page."""

import io
import json
import re

import jsonschema
import numpy
import pytest

from omrig.cli.main import execute
from omrig.report import flames
from omrig.report.html import comparison as compare_html
from omrig.report.html import flame_charts
from omrig.report.terminal import comparison as compare_terminal
from tests.unit import profiled, synthetic
from tests.unit.formats.test_stacks import SCHEMA

PLANTED_US = 100.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = numpy.random.default_rng(1)
    made = tmp_path_factory.mktemp("profiled")
    added = {"serialize_msg": PLANTED_US}
    return profiled.save_pairs(made, rng, added, drift=0.02, changes={"serialize": 60_000})


@pytest.fixture(scope="module")
def found(folder):
    return synthetic.compared(folder)


def test_the_terminal_has_the_functions_that_surely_changed(found):
    for width in (50, 80, 100, 160):
        text = compare_terminal.text(found, width)
        (row,) = [line for line in text.splitlines() if re.match(r"\s*serialize_msg ", line)]
        assert "+1" in row or "+9" in row
        assert "dumps " not in text
        assert max(map(len, text.splitlines())) <= width
    assert "functions, yappi, producer: own time a message, 5 interleaved pairs" in text
    assert "under yappi a message takes 3.5 times the CPU" in " ".join(text.split())
    consumer = text.partition("functions, yappi, consumer")[2]
    assert "no function surely changed, of 43 that take enough to tell" in " ".join(
        consumer.split()
    )


def test_without_profiles_there_is_no_such_block(tmp_path):
    text = compare_terminal.text(synthetic.compared(synthetic.save_pairs(tmp_path)), 120)
    assert "functions" not in text


def test_collapsed_stacks_have_both_weights(found):
    file = io.StringIO()
    flames.write_folded(file, flames.differences(found))
    lines = file.getvalue().splitlines()
    assert all(re.fullmatch(r"(producer|consumer), yappi;.+ \d+ \d+", line) for line in lines)
    (planted,) = [line for line in lines if "serialize_msg" in line and line.startswith("prod")]
    stack, base, new = planted.rsplit(" ", 2)
    # Roles and functions under names that are the same in every environment.
    assert stack == f"producer, yappi;worker;{profiled.MODULE}:serialize_msg"
    assert int(new) - int(base) == pytest.approx(1000 * PLANTED_US, rel=0.1)
    total = sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("producer"))
    assert total == pytest.approx(numpy.mean(found.functions[0].runs_ns[1]), rel=0.01)


def test_speedscope_has_both_sides_and_what_differs(found):
    file = io.StringIO()
    flames.write_speedscope(file, flames.differences(found))
    written = json.loads(file.getvalue())
    jsonschema.validate(written, SCHEMA)
    names = [each["name"].partition(":")[0] for each in written["profiles"]]
    assert names == 2 * ["NEW", "BASE", "NEW, more than BASE", "BASE, more than NEW"]
    more = written["profiles"][2]
    frame = written["shared"]["frames"][more["samples"][0][-1]]
    assert frame["name"] == f"{profiled.MODULE}:serialize_msg"
    assert more["weights"][0] == pytest.approx(1000 * PLANTED_US, rel=0.1)


def test_frames_are_as_wide_as_what_they_call(found):
    (figure, _) = [flame_charts.draw(each) for each in flames.differences(found)]
    (trace,) = figure["data"]
    values = dict(zip(trace["ids"], trace["values"], strict=True))
    inside = dict.fromkeys(trace["ids"], 0.0)
    for parent, value in zip(trace["parents"], trace["values"], strict=True):
        if parent:
            inside[parent] += value
    assert all(inside[each] <= values[each] * 1.0001 for each in values)
    assert trace["parents"].count("") == 1
    colours = dict(zip(trace["labels"], trace["marker"]["colors"], strict=True))
    assert colours["serialize_msg"] == pytest.approx(PLANTED_US, rel=0.1)


def test_the_command_writes_page_and_stacks_and_says_where(folder, tmp_path, capsys):
    page = tmp_path / "compare.html"
    sides = [str(folder / name) for name in ("base", "new")]
    assert execute("compare", [*sides, "--html", str(page)]) == 0
    said = capsys.readouterr()
    assert f"flamegraph.pl {tmp_path}/compare.folded" in said.err
    assert f"speedscope {tmp_path}/compare.speedscope.json" in said.err
    text = page.read_text()
    assert f'data-function="{profiled.MODULE}:serialize_msg"' in text
    assert 'id="functions"' in text
    assert 'data-figure="flames-yappi-producer"' in text
    assert "of what changed" in text


def test_names_from_profiles_are_escaped(tmp_path):
    rng = numpy.random.default_rng(2)
    hostile = "<script>alert(1)</script>"
    found = synthetic.compared(profiled.save_pairs(tmp_path, rng, {hostile: 90.0}))
    page = compare_html.render(found, ([], []), flames.differences(found))
    assert hostile not in page
    assert "alert(1)" in page
