"""The processes of a recording as they left it: columns by name, names, what is not there."""

import json

import pytest

from omrig.model.errors import UsageError
from omrig.model.service import MethodName
from omrig.recordings.services import processes, recording
from tests import recorded


def fleet():
    made = recorded.Fleet()
    client, server = made.process("client"), made.process("server")
    made.call(client, server, "ping", at=recorded.MS, namespace="ns", outcome="ok")
    made.cast(client, server, "told", at=2 * recorded.MS, outcome="ValueError")
    return made


def test_a_recording_has_its_processes_with_rows_and_names(tmp_path):
    found = recording.read(fleet().write(tmp_path))
    client, server = found.processes
    assert found.about.name == "rec-1"
    assert (client.about.name, client.rows("producer"), client.rows("consumer")) == ("client", 2, 0)
    assert server.rows("consumer") == 2
    kinds = [client.kinds[number] for number in client.columns["producer"]["kind"].tolist()]
    assert kinds == [
        MethodName(pattern="call", topic="topic", namespace="ns", method="ping"),
        MethodName(pattern="cast", topic="topic", method="told"),
    ]
    assert client.columns["producer"]["outcome"].tolist() == [1, 2]
    assert client.outcomes == {2: "ValueError"}


def test_columns_are_by_name_and_those_that_are_not_there_are_zero(tmp_path):
    made = fleet()
    rec = made.write(tmp_path)
    client = made.processes[0]
    names = ["depart", "id", "call"]
    described = tmp_path / client.folder / "process.json"
    about = json.loads(described.read_text())
    about["columns"]["producer"] = names
    described.write_text(json.dumps(about))
    recorded.write_rows(rec / client.folder / "producer.rows", len(names), [[7, 8, 9]])
    columns = recording.read(rec).processes[0].columns["producer"]
    assert [columns[name].tolist() for name in (*names, "request", "put")] == [
        [7], [8], [9], [0], [0],
    ]  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_messages_under_way_are_rows_as_far_as_they_came(tmp_path, as_text):
    made = recorded.Fleet()
    client = made.process("client")
    sent = made.call(client, None, "ping", at=recorded.MS, in_flight=True)
    rec = made.write(tmp_path)
    if as_text:
        path = rec / client.folder / "instrument.json"
        value = json.loads(path.read_text())
        row = value["in_flight"][0]
        value["in_flight"] = [[f"{sent.id:015x}ffff0000", *row[2:]]]
        path.write_text(json.dumps(value))
    columns = recording.read(rec).processes[0].columns["producer"]
    assert columns["id"].tolist() == [sent.id]
    assert columns["depart"].tolist() == [sent.depart]
    assert columns["return"].tolist() == [0]


def test_a_killed_process_has_what_it_had_written(tmp_path):
    made = fleet()
    rec = made.write(tmp_path)
    folder = rec / made.processes[0].folder
    (folder / "instrument.json").unlink()
    with (folder / "kinds.jsonl").open("a") as file:
        file.write('{"number": 9, "patt')
    found = recording.read(rec).processes[0]
    assert found.instrument is None
    assert (found.rows("producer"), len(found.kinds)) == (2, 2)


def test_what_is_no_recording_is_said_to_be_none(tmp_path):
    with pytest.raises(UsageError, match="no recording"):
        recording.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("recording.json", '{"schema": 1}', "there is no 'name'"),
        ("recording.json", '{"schema": 99, "name": "r"}', "schema 99 is not known"),
    ],
)
def test_a_recording_of_another_omrig_is_refused(tmp_path, name, text, words):
    rec = fleet().write(tmp_path)
    (rec / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        recording.read(rec)


def test_a_process_without_columns_is_refused(tmp_path):
    made = fleet()
    rec = made.write(tmp_path)
    path = tmp_path / made.processes[0].folder / processes.PROCESS
    path.write_text(json.dumps({**json.loads(path.read_text()), "columns": {}}))
    with pytest.raises(UsageError, match="no columns of the producer's rows"):
        recording.read(rec)


def test_folders_of_no_process_are_left_alone(tmp_path):
    rec = fleet().write(tmp_path)
    (rec / "capture").mkdir()
    (rec / "host.1.2").mkdir()
    assert len(recording.read(rec).processes) == 2
