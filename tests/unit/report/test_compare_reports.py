"""`omrig compare` from folders to what it prints and writes."""

import json
import re
from xml.etree import ElementTree

import numpy
import pytest

from omrig import cli
from omrig.compare import runs
from omrig.model.errors import RunError, UsageError
from omrig.report.files import junit
from omrig.report.terminal import comparison as compare_terminal
from tests.unit import synthetic


@pytest.fixture
def folders(tmp_path):
    return synthetic.save_pairs(tmp_path)


@pytest.fixture
def single(tmp_path):
    return synthetic.save_single(tmp_path)


# Reading


def test_a_folder_is_a_run_or_holds_runs(folders):
    assert len(runs.read(str(folders / "base"), "BASE").runs) == 5
    found = runs.read(str(folders / "base/0"), "BASE")
    assert [stored.folder.name for stored in found.runs] == ["0"]
    assert [stored.started_s for stored in runs.read(str(folders / "new"), "NEW").runs] == [
        1, 2, 5, 6, 9,
    ]  # fmt: skip


def test_what_holds_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^NEW: .* holds no run"):
        runs.read(str(tmp_path), "NEW")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"^NEW: .* cannot be read"):
        runs.read(str(tmp_path), "NEW")


def test_a_run_in_memory_is_refused(tmp_path):
    synthetic.save(tmp_path / "r", synthetic.result(), in_memory=True, url="kombu+memory://")
    with pytest.raises(UsageError, match=r"BASE: .* is no measurement .kombu.memory://"):
        runs.read(str(tmp_path), "BASE")


def test_runs_of_different_sides_are_refused(tmp_path):
    synthetic.save(tmp_path / "p", synthetic.result(sides=("producer",)))
    synthetic.save(tmp_path / "c", synthetic.result(sides=("consumer",)))
    with pytest.raises(UsageError, match=r"runs of different sides .consumer; producer"):
        runs.read(str(tmp_path), "BASE")


def test_incomplete_runs_are_left_out_and_their_errors_counted(folders):
    broken = synthetic.result() | {"complete": False, "reason": "3 of 9 messages failed"}
    broken["messages"] = {"errors": {"MessagingTimeout": 3}}
    synthetic.save(folders / "new/broken", broken)
    (folders / "new/killed").mkdir()
    (folders / "new/killed/run.json").write_text(json.dumps(synthetic.run()))
    found = runs.read(str(folders / "new"), "NEW")
    assert len(found.runs) == 5
    assert found.errors == 3
    assert [reason for _, reason in found.excluded] == [
        "3 of 9 messages failed",
        "it has no result.json; `omrig report` makes it",
    ]
    with pytest.raises(RunError, match=r"NEW: nothing to compare: .* 3 of 9 messages failed"):
        runs.read(str(folders / "new/broken"), "NEW")


def test_messages_come_in_the_order_in_which_they_ended(single):
    (stored,) = runs.read(str(single / "base"), "BASE").runs
    found = runs.read_messages(stored)
    expected = synthetic.messages(numpy.random.default_rng(1), drift=0.03)
    assert (found.ended_ns == expected.ended_ns).all()
    assert (found.latency_ns == expected.latency_ns).all()
    assert (found.stages["publish"] == expected.stages["publish"]).all()
    (single / "base/producer/messages.npz").unlink()
    assert runs.read_messages(stored) is None


def test_a_run_of_one_message_is_left_out(tmp_path):
    synthetic.save(tmp_path / "r", synthetic.result() | {"throughput": None})
    with pytest.raises(RunError, match="too few messages for a throughput"):
        runs.read(str(tmp_path / "r"), "BASE")


def test_stages_that_only_the_consumer_recorded(single):
    producer, consumer = (single / f"base/{side}/messages.npz" for side in ("producer", "consumer"))
    with numpy.load(producer) as file:
        columns = dict(file)
    stages = {name: values for name, values in columns.items() if name.startswith("stage.")}
    numpy.savez(producer, start_ns=columns["start_ns"], end_ns=columns["end_ns"])
    numpy.savez(consumer, **stages)
    (stored,) = runs.read(str(single / "base"), "BASE").runs
    found = runs.read_messages(stored)
    assert set(found.stages) == set(synthetic.STAGES)
    assert (found.stages["publish"] == stages["stage.publish"]).all()


def test_messages_of_a_consumer_alone(single):
    path = single / "base/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sides": ["consumer"]}))
    (stored,) = runs.read(str(single / "base"), "BASE").runs
    found = runs.read_messages(stored)
    assert found.latency_ns is None
    assert len(found.ended_ns) == 2000
    assert (numpy.diff(found.ended_ns) >= 0).all()


# The command


def test_the_call_comes_first_and_all_of_it_is_there(folders, capsys):
    base, new = str(folders / "base"), str(folders / "new")
    assert cli.main(["compare", base, new]) == 0
    out = capsys.readouterr().out
    first = " ".join(out.split("!")[0].split("BASE ")[0].split())
    assert re.match(r"> NEW is [\d.]+ % slower \(95 % interval .*\), 5 interleaved pairs", first)
    assert "`serialize` explains most of it: +6" in first
    assert re.search(r"^ serialize .* longer$", out, re.MULTILINE)
    assert re.search(r"^ peak memory .* not significant$", out, re.MULTILINE)
    assert "unstable" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_gates_end_with_3_only_where_one_failed(folders, capsys):
    arguments = ["compare", str(folders / "base"), str(folders / "new")]
    assert cli.main([*arguments, "--gate", "p99<=+50%", "--gate", "errors<=0"]) == 0
    captured = capsys.readouterr()
    assert "met: p99<=+50%: p99 " in captured.out
    assert captured.err == ""
    gate = "stage.serialize<=+10%"
    assert cli.main([*arguments, "--gate", "p99<=+50%", "--gate", gate]) == 3
    captured = capsys.readouterr()
    assert f"FAILED: {gate}: stage.serialize +" in captured.out
    assert captured.err == f"omrig: gate failed: {gate}\n"


def test_an_undecided_gate_passes_and_says_so(tmp_path, capsys):
    rng = numpy.random.default_rng(1)
    for name, side in zip(("b", "n"), synthetic.pairs(4, rng, noise=0.4), strict=True):
        for stored in side.runs:
            synthetic.save(
                tmp_path / name / stored.folder.name,
                stored.result.to_json(),
                started_s=stored.started_s,
            )
    arguments = ["compare", str(tmp_path / "b"), str(tmp_path / "n"), "--gate", "throughput>=+0%"]
    arguments += ["--gate", "throughput<=+0%"]
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.count("undecided: throughput") == 1
    assert "make more runs" in captured.out
    assert captured.err.startswith("omrig: gate undecided: throughput")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "BASE, NEW"),
        (["{base}"], "NEW"),
        (["{base}", "/absent"], "NEW: /absent holds no run"),
        (["/absent", "{base}"], "BASE: /absent holds no run"),
        (["{base}", "{new}", "--gate", "p99"], "--gate: 'p99' is no gate"),
        (["{base}", "{new}", "--gate", "stage.x<=1ms"], "--gate: .* have no stage.x in common"),
        (
            ["{base}", "{new}", "--html", "/absent/x.html"],
            "--html: /absent/x.html: No such",
        ),
        (
            ["{base}", "{new}", "--junit", "/absent/x.xml"],
            "--junit: /absent/x.xml: No such",
        ),
        (
            ["{base}", "{new}", "--json", "/absent/x.json"],
            "--json: /absent/x.json: No such",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(folders, capsys, arguments, said):
    filled = [each.format(base=folders / "base", new=folders / "new") for each in arguments]
    assert cli.main(["compare", *filled]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("omrig: ")
    assert re.search(said, err), err


def test_json_on_standard_output_is_nothing_but_json(folders, capsys):
    arguments = ["compare", str(folders / "base"), str(folders / "new"), "--json"]
    assert cli.main(arguments) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["call"]["word"] == "slower"
    assert made["stable"] is True
    assert cli.main([*arguments, str(folders / "c.json")]) == 0
    assert "NEW is" in capsys.readouterr().out
    assert json.loads((folders / "c.json").read_text()) == made


def test_single_runs_use_their_slices(single, capsys):
    assert cli.main(["compare", str(single / "base"), str(single / "new"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["method"]["design"] == "slices"
    assert made["call"]["word"] == "slower"
    assert made["stable"] is False
    assert "one run each" in [each["kind"] for each in made["instabilities"]]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_any_width_will_do(folders, width):
    text = compare_terminal.text(synthetic.compared(folders), width)
    assert max(map(len, text.splitlines())) <= width
    assert "not significant" in " ".join(text.split())


# JUnit XML


def test_junit_has_a_case_a_gate(folders):
    found = synthetic.compared(
        folders, "p99<=+50%", "stage.serialize<=+10%", "throughput>=-1%", "errors<=0"
    )
    suites = ElementTree.fromstring(junit.render(found))
    (suite,) = suites
    cases = list(suite)
    assert suites.tag == "testsuites" and suite.tag == "testsuite"
    assert [case.get("name") for case in cases] == [
        "call", "p99<=+50%", "stage.serialize<=+10%", "throughput>=-1%", "errors<=0",
    ]  # fmt: skip
    assert suite.get("tests") == "5"
    failures = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failures == ["stage.serialize<=+10%", "throughput>=-1%"]
    assert suite.get("failures") == suites.get("failures") == "2"
    assert cases[2].find("failure").get("message").startswith("FAILED: stage.serialize<=+10%")


def test_junit_stays_xml_whatever_it_is_told(tmp_path):
    comparison = synthetic.compared(synthetic.save_hostile(tmp_path))
    (suite,) = ElementTree.fromstring(junit.render(comparison))
    assert "alert(1)" in suite[0].find("system-out").text
