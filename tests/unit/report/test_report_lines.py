"""The hottest lines as the terminal shows them."""

import io

import pytest
from rich.console import Console

from omrig.report.terminal.profiles import lines


def line(number, **values):
    return {
        "file": "/somewhere/impl_rabbit.py",
        "line": number,
        "function": "Connection.ensure",
        "hits": 2000,
        "time_ns": 8_000_000_000,
        "switched_out_ns": 0,
        "share": 0.25,
        "source": "ret, channel = autoretry_method()[0]",
        "switched_out": False,
        **values,
    }


def summary(*found, **values):
    return {
        "unit": "ns",
        "targets": ["impl_rabbit", "executor"],
        "functions_registered": 1281,
        "functions_hit": 63,
        "total_ns": 9_000_000_000,
        "switched_out_ns": 3_000_000_000,
        "switched_out_exact": True,
        "hit_cost_ns": 350,
        "lines": list(found),
        **values,
    }


def shown(found, width=100):
    file = io.StringIO()
    console = Console(file=file, width=width)
    for part in lines.render(found, "producer", width):
        console.print(part)
    return file.getvalue()


def test_hottest_lines_with_what_to_know_of_them():
    switched = line(1109, switched_out=True, switched_out_ns=6_000_000_000, share=0.5)
    text = shown(summary(switched, line(1098)), 120)
    assert (
        "lines of the producer: impl_rabbit, executor: 1,281 functions registered, 63 hit" in text
    )
    assert "9.00 s in all lines together" in " ".join(text.split())
    one, other = [row.split() for row in text.splitlines() if "impl_rabbit.py:" in row]
    # An expression in brackets is no markup.
    source = ["ret,", "channel", "=", "autoretry_method()[0]"]
    start = ["8.00", "s*", "6.00", "s", "2,000", "4.00", "ms", "impl_rabbit.py:1109"]
    assert one == ["50.0", "%", *start, *source]
    assert other == [
        "25.0",
        "%",
        "8.00",
        "s",
        "2,000",
        "4.00",
        "ms",
        "impl_rabbit.py:1098",
        *source,
    ]
    assert "line times are wall time" in text
    assert "* includes time switched out, measured at each switch of greenlets" in text
    assert "some 350 ns of each hit are the profiler's own" in text


def test_threads_are_said_to_be_estimated():
    text = " ".join(shown(summary(line(1), switched_out_exact=False)).split())
    assert "* includes time switched out, estimated by looking at the threads" in text


def test_only_so_many_are_shown_and_none_is_no_table():
    many = [line(number) for number in range(100, 200)]
    assert shown(summary(*many)).count("impl_rabbit.py:") == lines.SHOWN
    none = shown(summary(total_ns=0, switched_out_ns=0, functions_hit=0))
    assert "0 hit; 0 ns in all lines together" in " ".join(none.split())
    assert "share" not in none.splitlines()[0]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_row_is_wider_than_the_terminal(width):
    text = shown(summary(line(1109, switched_out=True, switched_out_ns=6_000_000_000)), width)
    assert max(map(len, text.splitlines())) <= width
    (row,) = [row for row in text.splitlines() if "impl_rabbit.py:1109" in row]
    assert row.split()[:4] == ["25.0", "%", "8.00", "s*"]
    assert "ret, channel" in row
