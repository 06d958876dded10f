"""Payloads of many sizes: what can be asked for, and the one line where it cannot."""

import dataclasses
import json

import pytest

from omrig.model import sizes
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.payload import SMALLEST_BYTES
from omrig.model.plan import Plan

KB = 1024


def test_a_number_is_one_size_in_kilobytes():
    assert sizes.parse("10") == 10 * KB
    assert sizes.parse("0.5") == 512
    assert sizes.parse("0") == 0


def test_a_range_has_every_kilobyte_as_often():
    found = sizes.parse("1-100")
    assert found.sizes_bytes == tuple(range(KB, 100 * KB + 1, KB))
    assert set(found.weights) == {1}
    assert found.step_bytes == KB
    assert found.mean_bytes == 50.5 * KB


def test_a_narrow_range_goes_by_the_byte():
    found = sizes.parse("1-1.125")
    assert found.sizes_bytes == tuple(range(KB, KB + 129))
    assert found.step_bytes == 1


@pytest.mark.parametrize("text", ["1-1000", "1-10000", "0.1-100000", "1-8"])
def test_a_wide_range_has_room(text):
    found = sizes.parse(text)
    first, last = (round(float(each) * KB) for each in text.split("-"))
    assert found.sizes_bytes[0] == first
    assert last - found.step_bytes < found.sizes_bytes[-1] <= last
    assert 2 <= len(found.sizes_bytes) <= sizes.MOST_SIZES
    steps = {b - a for a, b in zip(found.sizes_bytes, found.sizes_bytes[1:], strict=False)}
    assert steps == {found.step_bytes}


def test_nova_boot_is_the_published_distribution():
    found = sizes.parse("nova-boot")
    assert sum(found.weights) == 4077
    assert (found.sizes_bytes[0], found.percentile(50)) == (806, 2450)
    assert (found.percentile(90), found.largest_bytes) == (6480, 11292)
    assert found.step_bytes == 1
    assert found.name == "nova-boot"


def test_a_file_has_a_line_a_size(tmp_path):
    path = tmp_path / "mine"
    path.write_text("# ours\nsize_bytes,count\n\n2048 3  # often\n100,1\n2048\t1\n300 0\n")
    found = sizes.parse(str(path))
    assert (found.sizes_bytes, found.weights) == ((100, 2048), (1, 4))


def test_a_file_as_oslo_messaging_has_it(tmp_path):
    path = tmp_path / "messages_length.yaml"
    path.write_text("# lengths\ntest_data:\n    string_lengths: 806, 992, 992,\n      1116\n")
    found = sizes.parse(str(path))
    assert (found.sizes_bytes, found.weights) == ((806, 992, 1116), (1, 2, 1))


def test_too_many_sizes_of_a_file_are_taken_together(tmp_path):
    path = tmp_path / "many"
    path.write_text("".join(f"{size} 2\n" for size in range(15, 5015)))
    found = sizes.parse(str(path))
    assert len(found.sizes_bytes) <= sizes.MOST_SIZES
    assert sum(found.weights) == 10_000
    assert found.step_bytes == 32
    assert all(size >= SMALLEST_BYTES for size in found.sizes_bytes)
    assert found.mean_bytes == pytest.approx(2514, abs=16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-1", "--message_size: -1 is not kilobytes"),
        ("nan", "--message_size: nan is not kilobytes"),
        ("many", "--message_size: 'many' is neither a size nor a file"),
        ("100-1", "--message_size: '100-1' is no range; give the smaller size first"),
        ("1.1.1-2", "--message_size: '1.1.1-2' is no range of kilobytes"),
        ("1-1000000", "--message_size: 1e.06 is out of range"),
        ("0-0.01", "--message_size: 0-0.01: no argument has 1 bytes"),
    ],
)
def test_what_is_no_size_is_said_in_one_line(text, said):
    with pytest.raises(UsageError, match=said):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("100 1\nabc\n", "mine, line 2: 'abc' is not 'size_bytes count'"),
        ("100 1\nsize_bytes count\n", "mine, line 2: 'size_bytes count' is not"),
        ("-5 1\n", "mine, line 1: '-5 1' is not"),
        ("", "mine has no sizes"),
        ("100 0\n", "mine has no sizes"),
        ("5 1\n", "mine: no argument has 5 bytes"),
        ("string_lengths: 100,\n x\n", "mine, line 2: 'x' is not a length"),
        ("999999999999 1\n", "is out of range"),
    ],
)
def test_what_a_file_has_wrong_is_said_with_its_line(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text(content)
    with pytest.raises(UsageError, match=said):
        sizes.parse("mine")


def test_a_password_is_not_quoted():
    with pytest.raises(UsageError) as raised:
        sizes.parse("rabbit://user:secret@host/")
    assert "secret" not in str(raised.value)


def test_a_plan_hands_its_sizes_on_and_records_a_summary():
    plan = Plan(sides=("producer",), run_id="r", load=Load(sizes=sizes.parse("nova-boot")))
    assert Plan.from_json(plan.to_json()).load == plan.load
    assert plan.load.size_bytes == plan.load.sizes.mean_bytes == 3218
    assert plan.load.largest_bytes == 11292
    public = json.loads(json.dumps(plan.public()))["sizes"]
    assert public["median_bytes"] == 2450
    assert public["name"] == "nova-boot"


def test_other_weights_are_another_digest():
    found = sizes.parse("1-3")
    other = dataclasses.replace(found, weights=(1, 1, 2) + found.weights[3:])
    assert found.recorded().digest != other.recorded().digest


def test_one_size_is_not_recorded_as_several():
    plan = Plan(sides=("producer",), run_id="r", load=Load())
    assert "sizes" not in plan.public()
    assert "mix" not in plan.public()
