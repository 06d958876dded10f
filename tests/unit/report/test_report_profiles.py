"""What the profilers found, on terminals of any width; stages as flame graphs."""

import io
import json

import jsonschema
import pytest
from rich.console import Console

from omrig.formats import stacks
from omrig.measured.profilers import registry
from omrig.model.result import Waterfall
from omrig.report.files import speedscope
from omrig.report.terminal.profiles import memray, pyspy, renderers, yappi
from tests.unit.formats.test_stacks import SCHEMA
from tools import synthetic_values

MS = 1_000_000


def role(name, contexts, share):
    return {
        "role": name,
        "contexts": contexts,
        "self_ns": round(4_000 * MS * share),
        "share": share,
    }


def package(name, share, builtins=0):
    return {
        "package": name,
        "builtins_ns": builtins * MS,
        "self_ns": round(4_000 * MS * share),
        "share": share,
    }


YAPPI = {
    "clock": "cpu",
    "total_ns": 4_000 * MS,
    "roles": [
        role("producer worker", 100, 0.75),
        role("MessageOperationsHandler._process_in_background", 1, 0.25),
    ],
    "packages": [
        package("oslo.messaging", 0.75, 100),
        package("omrig.stages", 0.15),
        package("omrig.load", 0.0975),
        package("dns", 0.0015, 4),
        package("netaddr", 0.001, 1),
    ],
    "functions": [
        {
            "role": "producer worker",
            "function": f"Connection.a_function_with_a_rather_long_name_{number}",
            "file": "/site/oslo_messaging/_drivers/impl_rabbit.py",
            "line": 1000 + number,
            "package": "oslo.messaging",
            "calls": 1_234_567,
            "primitive_calls": 1_234_567,
            "self_ns": 123 * MS,
            "cumulative_ns": 3_210 * MS,
            "share": 0.03075,
        }
        for number in range(30)
    ],
}

PYSPY = {
    "failed": None,
    "rate_hz": 100,
    "gil": False,
    "native": False,
    "recordings": 1,
    "seconds": 10.0,
    "cpu_seconds": 0.5,
    "errors": 3,
    "samples": 900,
    "roles": [{"role": "producer worker", "samples": 600, "share": 2 / 3}],
    "functions": [
        {
            "function": "Channel._on_basic_deliver",
            "file": "/site/amqp/channel.py",
            "samples": 90,
            "share": 0.1,
        },
        {"function": "send", "file": None, "samples": 9, "share": 0.01},
    ],
}

MEMRAY = {
    "failed": None,
    "skipped": None,
    "peak_bytes": 52_428_800,
    "allocations": 12_345,
    "allocated_bytes": 1 << 30,
    "lines": [
        {"function": "raw_decode", "file": "/py/json/decoder.py", "line": 353, "bytes": 400 << 20},
        {"function": "<stack trace unavailable>", "file": None, "line": None, "bytes": 1 << 20},
    ],
}

FIGURES = {
    yappi: {0: ["3.1 %", "123 ms", "75.0 %"], 46: ["3.21 s", "100 ms"], 88: ["1,234,567"]},
    pyspy: {0: ["66.7 %", "600", "1.0 %"]},
    memray: {0: ["400 MiB", "39.1 %", "1.00 MiB"], 60: ["decoder.py:353"]},
}
"""By renderer and the width from which they are seen."""


def shown(renderer, summary, width):
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    for part in renderer.render(summary, "producer", width):
        console.print(part)
    return file.getvalue()


@pytest.mark.parametrize("width", [36, 46, 50, 64, 72, 84, 88, 96, 100, 120, 160])
@pytest.mark.parametrize(
    ("renderer", "summary"), [(yappi, YAPPI), (pyspy, PYSPY), (memray, MEMRAY)]
)
def test_names_are_cropped_and_figures_are_not(renderer, summary, width):
    text = shown(renderer, summary, width)
    assert max(map(len, text.splitlines())) <= width
    for least, figures in FIGURES[renderer].items():
        if width >= least:
            assert [figure for figure in figures if figure not in text] == []


def test_time_by_role_package_and_function():
    text = shown(yappi, YAPPI, 160)
    assert "yappi, producer: 4.00 s in functions, CPU time" in text
    assert "MessageOperationsHandler._process_in_background" in text
    assert "2 more" in text and "dns" not in text
    assert "omrig.* is the rig itself, load and probes: 24.8 %" in text
    assert "impl_rabbit.py:1000" in text
    assert text.count("Connection.a_function") == 15


def test_the_wall_clock_is_said_to_count_waiting():
    assert "waiting counts" in shown(yappi, {**YAPPI, "clock": "wall"}, 160)


def test_samples_and_what_they_cost():
    text = shown(pyspy, PYSPY, 160)
    assert "py-spy, producer: 900 samples of running threads, 3 lost, 100 times a second" in text
    assert "py-spy used 0.5 s of CPU itself" in text
    assert "Channel._on_basic_deliver   channel.py" in text
    assert "holding the interpreter lock" in shown(pyspy, {**PYSPY, "gil": True}, 160)


def test_a_recording_that_failed_says_why():
    nothing = {**PYSPY, "samples": 0, "roles": [], "functions": [], "failed": "not permitted"}
    assert shown(pyspy, nothing, 80) == "\n! py-spy, producer: not permitted\n"


def test_nothing_sampled_is_said():
    nothing = {**PYSPY, "samples": 0, "roles": [], "functions": []}
    assert "0 samples" in shown(pyspy, nothing, 80)


def test_memory_allocated():
    text = " ".join(shown(memray, MEMRAY, 80).split())
    assert "12,345 allocations of 1.00 GiB from the system since the load began" in text
    assert "at most 50.0 MiB at once" in text
    skipped = {**MEMRAY, "skipped": "no flame graph: it takes longer than 60 s; make it with: x"}
    assert "! memray, producer: no flame graph: it takes" in shown(memray, skipped, 120)
    unknown = dict.fromkeys(("peak_bytes", "allocations", "allocated_bytes"))
    failed = {**MEMRAY, **unknown, "failed": "Invalid input file", "lines": []}
    assert "Invalid input file" in shown(memray, failed, 80)


CALL = {"api": 1 * MS, "amqp_request": 2 * MS, "connect": 0, "endpoint": 4 * MS, "return": 3 * MS}
CAST = {name: ns for name, ns in CALL.items() if name != "connect"} | {"confirm_wait": 5 * MS}


def result(durations, pattern):
    slow = {name: 10 * ns for name, ns in durations.items()}
    return synthetic_values.result(
        pattern=pattern,
        waterfall=Waterfall(mean=durations, p99=slow),
        stages=tuple(synthetic_values.row(name) for name in durations),
    )


def of(profile):
    return [([frame.name for frame in stack], ns // MS) for stack, ns in profile.stacks]


def test_the_stages_of_a_call_as_flame_graphs(tmp_path):
    path = tmp_path / speedscope.FILE
    assert speedscope.write(path, result(CALL, "call"))
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    mean, slow = stacks.read_speedscope(path)
    assert (mean.name, slow.name) == ("a mean message", "a p99 message")
    assert of(mean) == [
        (["call", "producer", "driver", "api"], 1),
        (["call", "wire", "amqp", "amqp_request"], 2),
        (["call", "consumer", "endpoint", "endpoint"], 4),
        (["call", "producer", "driver", "return"], 3),
    ]
    assert sum(ns for _, ns in slow.stacks) == 100 * MS


def test_a_cast_has_two_ends():
    mean = [each for each in speedscope.profiles(result(CAST, "cast")) if "mean" in each.name]
    assert {each.name: [names[-1] for names, _ in of(each)] for each in mean} == {
        "a mean message until endpoint": ["api", "amqp_request", "endpoint"],
        "a mean message until return": ["api", "confirm_wait", "return"],
    }


def test_no_stages_no_file(tmp_path):
    path = tmp_path / speedscope.FILE
    assert not speedscope.write(path, synthetic_values.result())
    assert not path.exists()


def test_each_mode_has_a_renderer_and_one_without_shows_nothing():
    result = synthetic_values.result(profiles={"producer": {"yappi": YAPPI, "beads": {"moved": 3}}})
    assert len([*renderers.render(result, 100)]) == len(yappi.render(YAPPI, "producer", 100))
    only_others = synthetic_values.result(profiles={"producer": {"beads": {"moved": 3}}})
    assert [*renderers.render(only_others, 100)] == []
    assert renderers.RENDERERS.keys() <= {*registry.known_modes()}
