"""The terminal report: what it says of a result, at any width, with any part missing."""

import dataclasses
import io
import re
from pathlib import Path

import numpy
import pytest

from omrig.model.stages import STAGES
from omrig.report import layout, owners
from omrig.report.terminal import run as terminal
from omrig.report.terminal import waterfall
from tools import synthetic_values

MS = 1_000_000

CALL = {
    stage.name: 0.01
    for stage in STAGES
    if not stage.mixed and not stage.name.endswith(("_stall", "batch_wait"))
} | {
    "receive_lag": 20,
    "wakeup": 50,
    "amqp_reply": 8,
    "executor_queue": 21,
}
"""A call's stages in ms."""

CAST = {
    "api": 1,
    "amqp_request": 2,
    "receive_lag": 3,
    "endpoint": 4,
    "confirm_wait": 2,
    "wakeup": 1,
    "return": 1,
}

TEXT = "70 % of a call is our own processes, above all wakeup (50 %): a reply waits 50.0 ms"


_run = synthetic_values.run


def _result(durations=CALL, pattern="call", **changes):
    verdict = {
        "owner": "process",
        "bucket": "scheduler",
        "stage": "wakeup",
        "share": 0.7,
        "text": TEXT,
        "evidence": ["AMQP 8 %, own process 91 %", "closure: 4,000 messages", "CPU 0.99"],
        "evidence_kinds": ["shares", "closure", "cpu"],
    }
    return synthetic_values.measured(durations, pattern, **{"verdict": verdict, **changes})


def _shown(run=None, result=None, width=100):
    return terminal.text(Path("run"), run or _run(), result or _result(), width)


def _joined(text):
    """The report without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_key_lines_are_there(width):
    text = _shown(width=width)
    joined = _joined(text)
    for words in (
        TEXT,
        "AMQP 8 %, own process 91 %",
        "call over rabbit: 1,000 msg/s, p50 100 ms, p99 100 ms",
        "4,000 requested, 4,000 sent",
        "buckets █",
        "own process 91.8 %: █ scheduler 70.6 %, ▓ executor 21.2 %",
        "books 4,000 of 4,000 messages matched, 3,998 add up within max(50 us, 1 %), unexplained"
        " 0.01 %, 0 negative, 3 without arrival",
        "100 workers at 1,000 msg/s make 100 ms a message, 98.0 ms were measured: ratio 0.98",
        "cost stages slowed the run to 0.95 of its speed [0.93, 0.97]. Measured in pairs of slices",
    ):
        assert words in joined
    assert max(map(len, text.splitlines())) <= width
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_a_run_that_may_not_use_all_cores_says_so():
    run = _run()
    assert "(the run on" not in _joined(_shown(run))
    bound = dataclasses.replace(run, environment=dataclasses.replace(run.environment, cores=(1, 3)))
    count = run.environment.cpu_count
    assert f"{count} CPUs (the run on 1, 3 alone), Linux" in _joined(_shown(bound))


def test_the_verdict_comes_first_and_its_books_once():
    text = _shown()
    assert text.splitlines()[1].startswith("> 70 % of a call is our own")
    assert "closure:" not in text


def test_every_stage_is_in_the_table_in_order():
    table = _shown().partition(" stage  ")[2]
    rows = [line.split() for line in table.splitlines()]
    names = [row[0] for row in rows if len(row) > 2 and row[1] in ("producer", "consumer", "wire")]
    assert names == list(CALL)
    (wakeup,) = [row for row in rows if row[:1] == ["wakeup"]]
    assert wakeup[1:6] == ["producer", "scheduler", "50.4", "%", "50.0"]
    assert ["all", "100.0", "%", "99.2", "ms"] in rows


@pytest.mark.parametrize("width", [44, 57, 60, 71, 75, 89])
def test_a_narrow_terminal_has_all_names_and_shares(width):
    text = _shown(width=width)
    assert "wakeup" in text
    assert "50.4 %" in text
    assert max(map(len, text.splitlines())) <= width


def test_no_colours_without_a_terminal():
    assert "\x1b" not in _shown()


def test_owners_are_coloured_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = Terminal()
    terminal.show(Path("run"), _run(), _result(), file, 100)
    assert re.search("\x1b\\[35m *wakeup", file.getvalue())


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": None, "waterfall": None, "closure": None, "verdict": None, "buckets": None},
        {"verdict": None},
        {"latency": None, "little": None},
        {"throughput": None, "latency": None, "little": None},
        {"closure": None},
        {"clock": None, "not_measured": None, "distortion": None, "resources": {}},
        {"waterfall": None},
        {"complete": False, "reason": "the broker died"},
    ],
)
@pytest.mark.parametrize("width", [40, 80, 100])
def test_whatever_is_missing_the_rest_is_shown(changes, width):
    assert "call over rabbit" in _shown(result=_result(**changes), width=width)


NO_STAGES = {
    "stages": None,
    "waterfall": None,
    "closure": None,
    "clock": None,
    "verdict": None,
    "not_measured": None,
}


@pytest.mark.parametrize(
    ("run", "changes", "why"),
    [
        ({"plan": {"profile": ["none"]}}, {}, "no stages: --profile none leaves them out"),
        ({"plan": {"profile": ["none", "memory"]}}, {}, "no stages: --profile none leaves them"),
        ({"plan": {"profile": ["yappi"]}}, {}, "an older omrig took none with --profile yappi"),
        (
            {"plan": {"profile": ["beads"], "stages_refused": "mode 'beads' refuses them: why"}},
            {},
            "no stages: mode 'beads' refuses them: why",
        ),
        ({}, {}, "no stages: no message ended well with stamps"),
        ({}, {"throughput": None, "latency": None}, "no stages: nothing was measured"),
    ],
)
def test_it_says_why_there_are_no_stages(run, changes, why):
    text = _shown(_run(**run), _result(**NO_STAGES, **changes, little=None))
    assert why in _joined(text)


def test_an_in_memory_transport_has_no_stages():
    run = _run(transport={"in_memory": True})
    text = _shown(run, _result(**NO_STAGES, is_measurement=False))
    assert "no stages: an in-memory transport" in _joined(text)


def test_remote_asks_for_the_other_side():
    result = _result(
        {"api": 1, "remote": 5, "wakeup": 2}, sides=["producer"], clock=None, verdict=None
    )
    text = _joined(_shown(result=result))
    assert "! remote is broker, network and the whole consumer: the other side is needed" in text
    assert "remote 62.5 %: █ remote 62.5 %" in text
    assert "amqp" not in text.partition("buckets")[2]


def test_what_the_verdict_has_said_is_not_said_again():
    text = "merge: omrig report P C"
    verdict = {"owner": "unknown", "stage": "remote", "text": text, "evidence_kinds": []}
    verdict["objection"] = "mixed stage"
    result = _result(
        {"api": 1, "remote": 5},
        sides=["producer"],
        verdict=verdict,
    )
    assert _shown(result=result).count("omrig report P C") == 1


def _clock_of(name, **changes):
    clock = {
        "name": name, "against": "a", "members": ["consumer"], "offset_ns": -3 * MS,
        "drift_ppm": None, "drift_error_ppm": 20.0, "error_ns": 40_000, "network_ns": 0,
        "windows": 3, "lines": [{"since_ns": 1, "offset_ns": -3 * MS, "drift_ppm": 0.0}],
    }  # fmt: skip
    return {**clock, **changes}


def test_the_clocks_of_two_hosts_are_shown_with_their_error():
    clock = {"same_host": False, "offset_ns": -3 * MS, "error_ns": 40_000}
    text = _joined(_shown(result=_result(clock=clock, clocks=[_clock_of("b")])))
    assert "clock the consumer's is 3.00 ms behind the producer's, ± 40.0 µs: so far may" in text
    known = _clock_of("b", drift_ppm=-50.0, network_ns=20 * MS)
    text = _joined(_shown(result=_result(clock=clock, clocks=[known])))
    assert "behind the producer's, loses 50.0 ± 20.0 ppm, ± 40.0 µs with a network as fast" in text
    assert "as fast there as back, otherwise ± 10.0 ms: so far may" in text
    text = _joined(_shown(result=_result(clock=None)))
    assert "the two hosts' clocks cannot be compared" in text
    assert "clock" not in _joined(_shown())


def test_the_clocks_of_many_hosts_are_shown_each_with_what_is_known_of_it():
    stepped = [
        {"since_ns": 0, "offset_ns": 5 * MS, "drift_ppm": 0.0},
        {"since_ns": 10**9, "offset_ns": 3 * MS, "drift_ppm": 0.0},
    ]
    clocks = [
        _clock_of("b", triangle_ns=7000),
        _clock_of("c", offset_ns=5 * MS, lines=stepped),
        _clock_of("d", lines=[], offset_ns=None, reason="no call connects it with the others"),
    ]
    clock = {"same_host": False, "offset_ns": 0, "error_ns": 90_000}
    text = _joined(_shown(result=_result(clock=clock, clocks=clocks)))
    assert "b: 3.00 ms behind a, ± 40.0 µs, 7.00 µs otherwise by ways around" in text
    assert "c: 5.00 ms ahead of a, was stepped back by 2.00 ms, ± 40.0 µs" in text
    assert "d: no call connects it with the others" in text
    assert "± 90.0 µs at most: so far may amqp_request and amqp_reply be wrong" in text
    text = _joined(_shown(result=_result(clock=None, clocks=clocks)))
    assert "not all hosts that messages went between can be compared" in text


def test_what_was_not_measured_is_said():
    line = "stage api not measured with kombu 5.7.0: function f is missing"
    assert f"! {line}" in _joined(_shown(result=_result(not_measured=[line])))


def test_a_sample_shows_the_error_of_each_share():
    text = _joined(_shown(_run(plan={"sample": 4})))
    assert re.search(r"wakeup producer scheduler 50\.4 ± \d\.\d %", text)
    assert "stages of 1 message in 4" in text
    assert "±" not in _shown()


def test_a_profiler_that_was_not_compared_says_why():
    distortion = {"stages": {"throughput_ratio": None, "reason": "run with --twin to measure it"}}
    text = _joined(_shown(result=_result(distortion=distortion)))
    assert "cost stages: not measured: run with --twin to measure it" in text


ESTIMATE = {
    "stamps_per_message": 39.12,
    "hot_ns": 148.3,
    "cold_ns": 583.9,
    "cpu_share_hot": 0.0086,
    "cpu_share_cold": 0.0207,
}


def test_what_the_stages_cost_by_their_own_count_stands_beside_what_was_measured():
    said = (
        "cost stages: an estimated 0.9 to 2.1 % of the CPU of a message (39.1 stamps of 0.15 µs"
        " hot, 0.58 µs cold)"
    )
    unknown = {"throughput_ratio": None, "reason": "run with --twin", "estimate": ESTIMATE}
    text = _joined(_shown(result=_result(distortion={"stages": unknown})))
    assert f"{said}; not measured: run with --twin" in text
    measured = _result().to_json()["distortion"]["stages"]
    text = _joined(_shown(result=_result(distortion={"stages": measured | {"estimate": ESTIMATE}})))
    assert "cost stages slowed the run to 0.95 of its speed [0.93, 0.97]. Measured in" in text
    assert said in text
    assert "estimated" not in _joined(_shown())


def test_modes_that_were_compared_together_share_a_table_with_an_estimate_of_one():
    found = _sliced()["distortion"]["yappi"]
    both = {"stages": found | {"estimate": ESTIMATE}, "yappi": found}
    text = _joined(_shown(result=_result(**_sliced(distortion=both))))
    assert text.count("the stages of a message without and with") == 1
    assert text.count("yappi slowed the run to 0.27 of its speed") == 1


def _latency(value_ns):
    names = ("mean", "p50", "p90", "p99", "p999", "max")
    return dict.fromkeys(names, value_ns) | {"count": 4000}


def _sliced(**changes):
    """A run with yappi, stages on throughout, in slices."""
    stages = [
        {
            "name": name,
            "mean_ratio": ratio,
            "mean_quartiles": ratio and [ratio - 0.5, ratio + 0.5],
            "p50_ratio": ratio,
            "p50_quartiles": ratio and [ratio - 0.5, ratio + 0.5],
            "unprofiled_mean_ns": 2 * MS,
            "profiled_mean_ns": 8 * MS,
            "unprofiled_share": share,
            "profiled_share": share / 2,
        }
        for name, ratio, share in (("publish", 4.0, 0.3), ("wakeup", None, 0.5), ("api", 2, 0.01))
    ]
    found = {
        "throughput_ratio": 0.27,
        "text": "yappi slowed the run to 0.27 of its speed",
        "method": "pairs",
        "who": "yappi",
        "unprofiled_messages_per_second": 950.2,
        "latency": {"unprofiled": _latency(95 * MS), "profiled": _latency(400 * MS)},
        "stages": stages,
    }
    covered = {
        "modes": {"producer": ["yappi"], "consumer": ["yappi"]},
        "slow_only": True,
        "profiled_messages": 3200,
        "unprofiled_messages": 800,
        "stages_of": "unprofiled",
        "text": "yappi: 3,200 messages profiled; stages are of the 800 sent without",
    }
    unknown = {"throughput_ratio": None, "reason": "it stays on"}
    return {"distortion": {"stages": unknown, "yappi": found}, "slices": covered} | changes


def test_a_profiled_run_says_whose_its_figures_are():
    run = _run(plan={"profile": ["stages", "yappi"]})
    text = _joined(_shown(run, _result(**_sliced())))
    assert (
        "! profiled with yappi: throughput and latency are of all 4,000 messages, 3,200 of which"
        " were profiled; without it 950 msg/s, p50 95.0 ms; stages and verdict are of the 800 sent"
        " without"
    ) in text
    assert text.index("stages are of the 800 sent without") < text.index("a mean message")
    text = _joined(_shown(run, _result(distortion={"yappi": None})))
    assert "throughput, latency and stages are those of the profiled run" in text


UNDER = {
    "modes": {"producer": ["memray"], "consumer": []},
    "slow_only": False,
    "profiled_messages": 800,
    "unprofiled_messages": 0,
    "stages_of": "profiled",
    "disturbance": {"modes": {"producer": ["memray"]}, "who": "memray on it", "reason": "it is"},
    "text": "all 800 messages went under memray on it: stages include it (it is)",
}


def test_stages_of_the_profiled_run_are_said_to_be_that():
    text = _joined(_shown(_run(plan={"profile": ["stages"]}), _result(slices=UNDER)))
    assert (
        "! profiled with memray on it: throughput, latency and stages are those of the profiled"
        " run, not of an unprofiled one"
    ) in text
    assert text.index("stages include it (it is)") < text.index("a mean message")
    covered = _sliced()["slices"] | {"disturbance": UNDER["disturbance"]}
    text = _joined(_shown(result=_result(**_sliced(slices=covered))))
    assert "sent without; stages and verdict are those under memray on it" in text


def test_what_a_profiler_did_to_the_stages_is_a_table():
    rows = [line.split() for line in _shown(result=_result(**_sliced())).splitlines()]
    assert ["publish", "2.00", "ms", "8.00", "ms", "4.00", "[3.50,", "4.50]"] in [
        row[:8] for row in rows
    ]
    (wakeup,) = [row for row in rows if row[:3] == ["wakeup", "2.00", "ms"]]
    assert wakeup[5:] == ["-", "-", "50.0", "%", "25.0", "%"]
    assert not [row for row in rows if row[:3] == ["api", "2.00", "ms"]]
    assert max(map(len, _shown(result=_result(**_sliced()), width=60).splitlines())) <= 60


def test_modes_that_were_compared_together_share_a_line():
    found = _result().to_json()["distortion"]["stages"] | {
        "text": "yappi and lines together slowed it"
    }
    text = _joined(_shown(result=_result(distortion={"yappi": found, "lines": found})))
    assert text.count("yappi and lines together slowed it") == 1


def _instrument(alive):
    return {
        "watcher_alive": alive,
        "watcher_scheduling": "fifo",
        "watcher_cpu_seconds": 0.041,
        "watcher_events": 7,
        "receive_buffer_bytes": 16 << 20,
    }


def test_how_the_arrival_clock_was_run():
    instrument = {"producer": _instrument(True), "consumer": _instrument(False)}
    text = _joined(_shown(result=_result(instrument=instrument)))
    assert "arrivals producer: noted by a watcher (fifo), 0.04 s CPU beside it, receive" in text
    assert "! the consumer's arrival watcher died" in text
    assert "the producer's arrival watcher died" not in text


def test_arrivals_that_the_kernel_noted_and_those_it_had_no_room_for():
    noted = _instrument(True) | {"arrival_clock": "capture", "segments_dropped": 0}
    dropped = noted | {"segments_dropped": 1200}
    text = _joined(_shown(result=_result(instrument={"producer": noted, "consumer": dropped})))
    assert "arrivals producer: noted by the kernel, 0.04 s CPU beside it" in text
    assert "! the kernel had no room to note 1,200 segments of the consumer" in text
    assert "segments of the producer" not in text


# The waterfall


def test_a_call_s_stages_follow_each_other():
    placed = layout.spans({"api": 5, "amqp_request": 7, "wakeup": 3, "return": 1}, "call")
    assert [(span.begin_ns, span.end_ns) for span in placed.values()] == [
        (0, 5),
        (5, 12),
        (12, 15),
        (15, 16),
    ]
    assert layout.length(placed) == 16


def test_a_cast_s_two_ends_go_on_at_the_same_time():
    placed = layout.spans(CAST, "cast")
    assert placed["amqp_request"].begin_ns == placed["confirm_wait"].begin_ns == 1
    assert placed["return"].end_ns == 5
    assert layout.length(placed) == placed["endpoint"].end_ns == 10
    text = _shown(_run(plan={"pattern": "cast"}), _result(CAST, "cast"))
    assert re.search(r"a mean message, 10\.0+ ms", text)
    assert "confirm_wait, wakeup, return go on while the message is under way" in text


@pytest.mark.parametrize(
    ("begin", "length", "expected"),
    [
        (0, 100, "██████████"),
        (0, 10, "█         "),
        (50, 25, "     ██▌  "),
        (45, 10, "    ▐▌    "),
        (95, 5, "         ▐"),
        # What lasts at all is seen, to the very end; what does not is not.
        (0, 1, "▌         "),
        (100, 1, "         ▐"),
        (50, 0, "          "),
    ],
)
def test_bars_are_to_scale(begin, length, expected):
    assert waterfall.bar(layout.Span(begin, length), 100, 10) == expected


def test_bars_without_block_characters():
    assert waterfall.bar(layout.Span(45, 10), 100, 10, ascii_only=True) == "    ##    "


def test_each_bar_begins_where_the_last_ended():
    lines = _shown().partition("a mean message")[2].splitlines()[1:5]
    begins, ends = zip(*(re.search(r"[▌▐█]+", line[:60]).span() for line in lines), strict=True)
    assert [line.split()[:2] for line in lines] == [
        ["process", "receive_lag"],
        ["process", "executor_queue"],
        ["amqp", "amqp_reply"],
        ["process", "wakeup"],
    ]
    # Two bars may share a character.
    assert all(0 <= end - begin <= 1 for end, begin in zip(ends, begins[1:], strict=False))


def test_small_stages_are_left_out_with_their_sum():
    text = _joined(_shown())
    hidden = len(CALL) - 4
    assert f"{hidden} more stages below 0.5 % add up to 210 µs (0.2 %) of a mean message" in text


# Shares


def test_percentages_of_a_whole_add_up():
    generator = numpy.random.default_rng(3)
    for count in (1, 3, 7, 25):
        parts = generator.random(count)
        shown = owners.percentages(list(parts / parts.sum()))
        assert sum(shown) == pytest.approx(100)
        assert numpy.abs(numpy.array(shown) - 100 * parts / parts.sum()).max() < 0.1


def test_percentages_of_a_part_are_rounded_one_by_one():
    assert owners.percentages([0.25, 0.1234]) == [25.0, 12.3]
    assert owners.percentages([]) == []


def test_an_unknown_bucket_is_its_own_owner():
    rows = [synthetic_values.row("new", bucket="news", share=1.0)]
    assert owners.of_buckets(rows) == {"news": {"news": 100.0}}


FAILED = {"sent": 4000, "errors": {"MessagingTimeout": 12}}


def _failing(latency):
    failing = _latency(2000 * MS) | {"count": 4012}
    messages = _result().messages.to_json() | FAILED
    return _result(latency=latency, little=None, messages=messages, latency_with_failures=failing)


@pytest.mark.parametrize("width", [60, 120])
def test_failures_have_latencies_of_their_own(width):
    run = _run(plan={"timeout_s": 2.0})
    text = _joined(_shown(run, _failing(_latency(100 * MS)), width))
    assert "with the 12 that failed, as at least 2.00 s each" in text
    assert "4,000 messages" in text
    text = _joined(_shown(run, _failing(None), width))
    assert "as at least 2.00 s each" in text
    assert "failed, as at least" not in _shown(width=width)


def test_an_explanation_goes_with_little_s_ratio():
    little = {"expected_mean_ns": 9, "measured_mean_ns": 8, "ratio": 0.8, "explanation": "so it is"}
    assert "ratio 0.80; so it is" in _joined(_shown(result=_result(little=little)))


def test_settings_are_shown_with_their_sources():
    settings = {
        "[DEFAULT] rpc_response_timeout": {"value": 60, "source": "default"},
        "rpc_conn_pool_size": {"value": 5, "source": "nova.conf"},
    }
    text = _joined(_shown(synthetic_values.changed(_run(), settings=settings), width=160))
    assert "rpc_conn_pool_size=5 (nova.conf); [DEFAULT] rpc_response_timeout=60 (default)" in text


def test_a_run_of_an_older_omrig_shows_the_options_that_it_recorded():
    text = _joined(_shown(_run(options={"rpc_conn_pool_size": 5}), width=160))
    assert "settings rpc_conn_pool_size=5 (source not recorded)" in text
