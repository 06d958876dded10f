"""``result.json``: written as ever, and read whoever wrote it."""

import json
from typing import Any

import pytest

from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.result import Result
from omrig.model.verdict import Evidence, Verdict

LATENCY = {"count": 9, "mean": 5, "p50": 4, "p90": 6, "p99": 7, "p999": 8, "max": 9}

VERDICT = {
    "owner": "process", "bucket": "scheduler", "stage": "wakeup", "share": 0.7,
    "head": "70 % of a call is our own processes", "reason": "a reply waits",
    "evidence": ["AMQP 8 %", "closure: 9 messages"], "text": "70 % ...: a reply waits",
    "without": None, "besides": [], "evidence_kinds": ["shares", "closure"],
}  # fmt: skip


def whole() -> dict[str, Any]:
    """A ``result.json`` in which every part is there."""
    return {
        "schema": 1, "complete": True, "reason": None, "pattern": "call", "executor": "eventlet",
        "sides": ["producer", "consumer"], "is_measurement": True,
        "messages": {
            "requested": 9, "sent": 9, "received": 9, "replied": 9, "lost": 0, "duplicated": 0,
            "out_of_range": 0, "foreign": 0, "of_other_producers": 0, "errors": {"Timeout": 1},
        },
        "throughput": {
            "messages_per_second": 9.0, "bytes_per_second": 90.0, "duration_seconds": 1.0,
            "series": [{"t_seconds": 0, "messages": 9}],
        },
        "latency": LATENCY, "latency_with_failures": LATENCY, "latency_of_failures": None,
        "stages": [{
            "name": "wakeup", "side": "producer", "bucket": "scheduler", "count": 9, "mean_ns": 5,
            "p50_ns": 4, "p90_ns": 5, "p99_ns": 6, "max_ns": 7, "total_ns": 45, "share": 1.0,
            "share_error": 0.0,
        }],
        "buckets": {"scheduler": 1.0},
        "closure": {
            "messages": 9, "matched": 9, "within_tolerance": 9, "negative_stages": 0,
            "flagged_arrivals": 0, "tolerance": "50 us", "unexplained_share": 0.001,
        },
        "waterfall": {"mean": {"wakeup": 5}, "p99": {"wakeup": 6}},
        "clock": {"same_host": True, "offset_ns": 0, "error_ns": 0},
        "not_measured": ["a probe"],
        "combs": {"wakeup": {"period_ns": 1000000, "share": 0.9, "kind": "poll"}},
        "prefetch": {"amqp_request": {
            "prefetch": 10, "side": "consumer", "waited_share": 0.5, "own_share": 0.2,
            "own_most_share": 0.3, "way_ns": None,
        }},
        "instrument": {"producer": {
            "watcher_alive": True, "watcher_scheduling": "SCHED_FIFO", "watcher_cpu_seconds": 0.1,
            "watcher_events": 9, "arrival_clock": "capture", "segments_dropped": 0,
            "receive_buffer_bytes": 131072,
        }},
        "stalls": {
            "messages": 1, "of": 9, "share": 0.2, "longest_ns": 9, "stalled_ns": 3,
            "stalls": [{"begins_ns": 1, "ends_ns": 4, "messages": 1}], "owner": "amqp",
            "owner_share": 0.9, "queue_share": 0.0,
        },
        "verdict": VERDICT,
        "distortion": {
            "stages": {
                "throughput_ratio": 0.9, "throughput_quartiles": [0.8, 1.0], "slower": True,
                "slower_pairs": 5, "cpu_ratio": None, "cpu_quartiles": None, "pairs": 5,
                "unprofiled_messages_per_second": 10.0, "profiled_messages_per_second": 9.0,
                "stages": [{
                    "name": "wakeup", "mean_ratio": 1.1, "mean_quartiles": [1.0, 1.2],
                    "p50_ratio": None, "p50_quartiles": None, "unprofiled_mean_ns": 5,
                    "profiled_mean_ns": 6, "unprofiled_share": 1.0, "profiled_share": 1.0,
                }],
                "ranking_changed": True,
                "swaps": [{"unprofiled": ["a", "b"], "profiled": ["b", "a"], "pairs": 5}],
                "ranking_rule": "a rule", "who": "stages",
                "latency": {"unprofiled": LATENCY, "profiled": None}, "method": "pairs",
                "text": "stages slowed the run",
                "estimate": {
                    "stamps_per_message": 39.1, "hot_ns": 148.3, "cold_ns": 583.9,
                    "cpu_share_hot": 0.009, "cpu_share_cold": 0.021,
                },
            },
            "lines": {
                "throughput_ratio": None, "method": None, "pairs": 0, "reason": "not asked for",
                "text": "not measured: not asked for",
            },
        },
        "slices": {
            "modes": {"producer": ["stages"]}, "slow_only": False, "profiled_messages": 5,
            "unprofiled_messages": 4, "stages_of": None,
            "disturbance": {"modes": {"producer": ["spy"]}, "who": "spy", "reason": "it stays on"},
            "text": "stages: 5 of 9",
        },
        "resources": {
            "producer": {
                "wall_seconds": 1.0, "cpu_user_seconds": 0.5, "cpu_system_seconds": 0.1,
                "peak_rss_bytes": 1, "voluntary_context_switches": 2,
                "involuntary_context_switches": 3,
                "sampled": {
                    "cpu_share_mean": 0.6, "cpu_share_max": 0.7, "peak_rss_bytes": 1,
                    "peak_uss_bytes": None, "threads_max": 2, "descriptors_max": 3, "samples": 10,
                },
            },
            "consumer": None,
            "broker": {
                "wall_seconds": 1.0, "cpu_user_seconds": 0.5, "cpu_system_seconds": 0.1,
                "peak_rss_bytes": 1, "voluntary_context_switches": 2,
                "involuntary_context_switches": 3, "sampled": None, "process": "beam.smp",
            },
        },
        "machines": [{
            "host": "vm", "sides": ["producer", "consumer"], "cores": 2, "busy_share": 0.5,
            "iowait_share": 0.0, "steal_share": 0.0, "other_cpu_share": 0.1,
        }],
        "profiles": {"producer": {"lines": {"top": [{"any": 1}]}}, "consumer": {}},
        "artefacts": [{
            "path": "producer/messages.npz", "kind": "message times", "side": "producer",
            "open_with": "numpy.load",
        }],
        "little": {
            "expected_mean_ns": 5, "measured_mean_ns": 5, "ratio": 1.0, "explanation": None,
        },
    }  # fmt: skip


def test_a_result_is_written_as_it_was_read() -> None:
    assert json.dumps(Result.from_json(whole()).to_json()) == json.dumps(whole())


def test_what_a_profiler_cost_is_measured_or_not() -> None:
    overhead = Result.from_json(whole()).overhead
    assert isinstance(overhead["stages"], Overhead)
    assert overhead["lines"] == NotMeasured(
        reason="not asked for", text="not measured: not asked for"
    )
    (unknown,) = Result.from_json({**whole(), "distortion": {"x": None}}).overhead.values()
    assert unknown == NotMeasured()


def test_a_result_of_the_first_omrig_is_read() -> None:
    newer = ("little", "combs", "prefetch", "machines", "instrument", "slices", "stalls",
             "latency_with_failures", "latency_of_failures")  # fmt: skip
    first = {name: value for name, value in whole().items() if name not in newer}
    result = Result.from_json(first)
    assert result.machines == ()
    assert (result.littles_law, result.stalls, result.coverage) == (None, None, None)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_a_schema_that_is_not_known_is_refused(schema: object) -> None:
    with pytest.raises(ValueError, match=r"schema .* is not known"):
        Result.from_json({**whole(), "schema": schema})


def test_the_evidence_keeps_its_kinds() -> None:
    verdict = Verdict.from_json(VERDICT)
    assert verdict.evidence == (
        Evidence("shares", "AMQP 8 %"),
        Evidence("closure", "closure: 9 messages"),
    )
    assert json.dumps(verdict.to_json()) == json.dumps(VERDICT)
    refused = {**VERDICT, "objection": "one side"}
    assert json.dumps(Verdict.from_json(refused).to_json()) == json.dumps(refused)


def test_the_words_of_an_older_verdict_are_told_apart() -> None:
    older = {"owner": "process", "share": 0.7, "text": "70 %: a reply waits: long",
             "evidence": ["AMQP 8 %", "closure: 9 messages"]}  # fmt: skip
    verdict = Verdict.from_json(older)
    assert (verdict.head, verdict.why) == ("70 %", "a reply waits: long")
    assert [each.kind for each in verdict.evidence] == ["other", "closure"]
    assert verdict.objection is None


def test_an_older_verdict_with_stalls_before_it_is_its_own_head() -> None:
    text = "one message is 20 % of all time: it took 3 s; without it 70 % is AMQP: busy"
    verdict = Verdict.from_json({"owner": "amqp", "text": text, "evidence": []})
    assert (verdict.head, verdict.why) == (text, "")


def test_an_older_verdict_that_wants_the_other_side_says_so() -> None:
    text = "no verdict: merge with the consumer's run: omrig report P C"
    assert Verdict.from_json({"owner": "unknown", "text": text}).objection == "one side"


@pytest.mark.parametrize(
    "data", [[], {"owner": "amqp"}, {**VERDICT, "evidence": 3}, {**VERDICT, "evidence_kinds": []}]
)
def test_what_is_no_verdict_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Verdict.from_json(data)


def test_a_stage_is_found_by_its_name() -> None:
    result = Result.from_json(whole())
    row = result.stage("wakeup")
    assert row is not None
    assert row.statistic_ns("p99") == 6
    assert result.stage("api") is None
