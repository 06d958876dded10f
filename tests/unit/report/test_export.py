"""CSV of stages and messages."""

import csv
import io
import json

import numpy
import pytest

from omrig import cli
from omrig.report.files import csv as export
from tools import synthetic_values


def _rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def _run_folder(folder, sides=("producer",), **columns):
    """A run folder with what reading its messages needs."""
    run = synthetic_values.run(sides=sides)
    (folder / "run.json").write_text(json.dumps(run.to_json()))
    for side in sides:
        (folder / side).mkdir()
        (folder / side / "side.json").write_text(json.dumps({"side": side}))
        with (folder / side / "messages.npz").open("wb") as file:
            numpy.savez(file, **columns)
    return folder


STAGES = (synthetic_values.row("publish", 7, 0.25), synthetic_values.row("wakeup", 21, 0.75))


def test_a_row_a_stage():
    file = io.StringIO()
    export.write_stages(synthetic_values.result(stages=STAGES), file)
    rows = _rows(file.getvalue())
    assert [row["name"] for row in rows] == ["publish", "wakeup"]
    assert rows[1] == {n: str(v) for n, v in STAGES[1].to_json().items()}


def test_without_stages_there_are_heads_alone():
    file = io.StringIO()
    export.write_stages(synthetic_values.result(), file)
    assert file.getvalue() == "name,side,bucket\n"


def test_a_row_a_message_that_was_sent(tmp_path):
    _run_folder(
        tmp_path,
        start_ns=numpy.array([10, 20, 0, 40]),
        end_ns=numpy.array([15, 0, 0, 49]),
        seq=numpy.array([3, 0]),
        **{"stage.publish": numpy.array([9, 5])},
    )
    file = io.StringIO()
    export.write_messages(export.messages([tmp_path]), file)
    assert _rows(file.getvalue()) == [
        {"seq": "0", "start_ns": "10", "end_ns": "15", "stage.publish": "5"},
        {"seq": "1", "start_ns": "20", "end_ns": "0", "stage.publish": ""},
        {"seq": "3", "start_ns": "40", "end_ns": "49", "stage.publish": "9"},
    ]


def test_a_consumer_alone_has_what_it_received(tmp_path):
    _run_folder(tmp_path, ("consumer",), **{"received_ns.x": numpy.array([30, 0, 10])})
    file = io.StringIO()
    export.write_messages(export.messages([tmp_path]), file)
    assert file.getvalue() == "received_ns\n10\n30\n"


def test_more_rows_than_are_written_at_once():
    file = io.StringIO()
    count = 2 * export._AT_ONCE + 3
    export.write_messages({"seq": numpy.arange(count)}, file)
    lines = file.getvalue().split()
    assert len(lines) == count + 1 and lines[-1] == str(count - 1)


@pytest.mark.parametrize(
    "arguments", [["--csv", "stages", "--json"], ["--csv", "messages", "--html"]]
)
def test_one_output_at_a_time(arguments, capsys):
    assert cli.main(["report", "RUN", *arguments]) == 2
    assert "one of them at a time" in capsys.readouterr().err


def test_an_unknown_table_names_those_there_are(capsys):
    assert cli.main(["report", "RUN", "--csv", "lines"]) == 2
    assert "stages" in capsys.readouterr().err
