"""The code of a stage, on the terminal and on the page."""

from pathlib import Path

import pytest

from omrig.model.by_stage import ByStage, Code, InStage, Tally, Unassigned
from omrig.recordings import folder as run_folder
from omrig.report import by_stage
from omrig.report.html import page as html
from omrig.report.terminal import run as terminal
from tests.unit.report.test_report_profiles import YAPPI
from tools import synthetic, synthetic_values

STAGES = {
    **{"api": 1.0, "publish": 62.0, "amqp_request": 10.0},
    **{"receive_lag": 20.0, "decode": 4.0, "dispatch": 3.0},
}

PUBLISH = InStage(
    stage="publish",
    share=0.5,
    code=tuple(
        Code(function=f"send{number}", file="/site/amqp/transport.py", line=number, share=0.3)
        for number in range(9)
    ),
)

FOUND = ByStage(
    kind="functions",
    how="by entry",
    stages=(InStage(stage="api", share=0.2, code=(Code(function="call", share=1.0),)), PUBLISH),
    unassigned=(
        Unassigned(reason="polling", share=0.298),
        Unassigned(reason="never seen", share=0.002),
    ),
)


def lines():
    tally = Tally()
    tally.add("decode", ("read", "/site/driver.py", 7), 3.0)
    tally.add("dispatch", ("run", "/site/driver.py", 9), 2.0)
    tally.lead_on("decode", ("poll", "/site/driver.py", 5), 4.0, {"dispatch"}, "several")
    tally.divided = 1.0
    return tally.summary("lines", "by hits", {("/site/driver.py", 7): "self.read()"})


def result(stage="publish", found=FOUND, consumer=None):
    verdict = {"owner": "driver", "bucket": "driver", "stage": stage, "share": 0.6, "text": "Told"}
    verdict |= {"evidence": [], "evidence_kinds": []}
    profiles = {"producer": {"yappi": {**YAPPI, "by_stage": found.to_json()}}}
    if consumer:
        profiles["consumer"] = {"mode-of-others": {"by_stage": consumer.to_json()}}
    return synthetic_values.measured(STAGES, verdict=verdict, profiles=profiles)


def shown(result, width=100):
    return terminal.text(Path("run"), synthetic_values.run(), result, width)


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_verdicts_stage_is_shown_with_its_code(width):
    text = shown(result(), width)
    assert max(map(len, text.splitlines())) <= width
    joined = " ".join(text.split())
    assert "yappi, producer: of publish (62.0 % of a call, the verdict's stage)" in joined
    assert "50.0 % of the time that yappi saw are in publish" in joined
    # What is too little is not told, and yet counted.
    assert "30.0 % in no stage: 29.8 % polling" in joined
    assert "never seen" not in joined
    rows = [line.split() for line in text.splitlines() if line.split()[:1] != []]
    assert [row[0] for row in rows if row[0].startswith("send")] == [f"send{n}" for n in range(6)]
    assert "transport.py:3" in text


def test_the_verdict_the_stages_and_their_code_stand_above_the_profile():
    text = shown(result())
    order = ["Told", "stage  ", "of publish (62.0 %", "yappi, producer: 4.00 s in functions"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_another_side_shows_its_longest_stage_with_code():
    text = shown(result(consumer=lines()))
    joined = " ".join(text.split())
    assert "mode-of-others, consumer: of decode (4.0 % of a call, the longest with code" in joined
    assert "self.read() driver.py:7 100.0 %" in joined
    assert "driver.py:5 leads on to dispatch: poll" in joined
    assert "11.1 % are of lines that began in several stages" in joined


def test_a_stage_on_the_wire_has_no_code_and_another_is_shown():
    (each,) = by_stage.joined(result(stage="amqp_request"))
    assert each.stage == PUBLISH
    assert each.why == "62.0 % of a call, the longest with code here"


def test_a_stage_of_the_other_side_is_not_shown():
    there = ByStage(kind="samples", how="by stack", stages=lines().stages)
    (each,) = by_stage.joined(result(found=there))
    assert each.stage is None
    assert by_stage.heading(each) == "yappi, producer: no code in a stage"


def test_without_stages_the_one_with_most_is_shown():
    alone = synthetic_values.result(profiles={"producer": {"yappi": {"by_stage": FOUND.to_json()}}})
    (each,) = by_stage.joined(alone)
    assert (each.stage, each.why) == (PUBLISH, "where most of it was found")


def test_why_there_is_nothing_is_said():
    failed = ByStage(kind="samples", how="by stack", failed="no message was seen")
    assert "not by stage: no message was seen" in shown(result(found=failed))


def test_a_mode_that_knows_no_stages_is_passed_over():
    assert list(by_stage.joined(synthetic_values.result(profiles={"producer": {"m": {}}}))) == []


def test_the_page_has_every_stage_and_opens_the_first(tmp_path):
    folder = tmp_path / "run"
    synthetic.write(folder, 100)
    told = result(consumer=lines()).to_json()
    stored = run_folder.read_result(folder)
    changed = synthetic_values.changed(stored, verdict=told["verdict"], profiles=told["profiles"])
    _, run = run_folder.read_run(str(folder))
    text = html.text([folder], run, changed, script="plotly.js")
    assert text.count("<details open>") == 2
    assert "<summary><code>publish</code> 50.0 % of the profile</summary>" in text
    assert "<summary><code>api</code> 20.0 % of the profile</summary>" in text
    assert "leads on to dispatch" in text
    order = ["Told", 'id="message-title"', 'id="stages-title"', "publish</code> 50.0"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
