"""Stacks with weights: what is written is what the viewers' formats ask for."""

import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from omrig.formats import stacks
from omrig.formats.stacks import Frame, Profile

# speedscope's own, from its npm package; its licence (MIT) lies beside it.
SCHEMA = json.loads(
    Path(__file__).parents[2].joinpath("data/speedscope-file-format-schema.json").read_text()
)

CALL, SEND = Frame("call", "/lib/client.py", 7), Frame("send", "/lib/socket.py", 9)
PROFILES = [
    Profile("first", "nanoseconds", [((CALL,), 5), ((CALL, SEND), 7), ((CALL,), 1)]),
    Profile("second", "seconds", [((SEND, Frame("a;b\nc")), 0.25)]),
]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "x.json"
    with path.open("w") as file:
        stacks.write_speedscope(file, "both", PROFILES)
    return path


def test_speedscope_files_are_what_its_schema_asks_for(written):
    file = json.loads(written.read_text())
    jsonschema.validate(file, SCHEMA)
    assert [profile["endValue"] for profile in file["profiles"]] == [13, 0.25]
    # A frame is described once.
    assert [frame["name"] for frame in file["shared"]["frames"]] == ["call", "send", "a;b\nc"]
    assert file["profiles"][0]["samples"] == [[0], [0, 1], [0]]


def test_the_schema_would_notice(written):
    file = json.loads(written.read_text())
    del file["profiles"][0]["weights"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, SCHEMA)


def test_what_is_written_can_be_read(written):
    assert stacks.read_speedscope(written) == PROFILES


def test_other_kinds_of_profiles_are_not_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"shared": {"frames": []}, "profiles": [{"type": "evented"}]}')
    with pytest.raises(ValueError, match="evented"):
        stacks.read_speedscope(path)


def test_collapsed_stacks_are_lines_of_frames_and_a_whole_number():
    file = io.StringIO()
    every = [weighted for profile in PROFILES for weighted in profile.stacks]
    stacks.write_collapsed(file, [*every, ((CALL, SEND), 0.7), ((SEND,), 0.2)])
    lines = file.getvalue().splitlines()
    assert lines == ["call (client.py:7) 6", "call (client.py:7);send (socket.py:9) 8"]
    # As flamegraph.pl reads it.
    assert all(re.fullmatch(r"(.*)\s+?(\d+)", line) for line in lines)


def test_a_frame_cannot_break_a_line_of_collapsed_stacks():
    file = io.StringIO()
    stacks.write_collapsed(file, [((Frame("a;b\nc"), Frame("d")), 3)])
    assert file.getvalue() == "a,b c;d 3\n"
