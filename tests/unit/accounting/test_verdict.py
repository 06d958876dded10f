"""The verdict: for every reason the owner, the stage and the words; and when there is none."""

import json

import pytest

from omrig.accounting.verdict import reasons
from omrig.accounting.verdict.decision import decide
from omrig.model.facts import Blocked, Comb, Facts, Held, Network, Outage
from omrig.model.result import Result
from omrig.model.stages import BY_NAME, OWNERS, STAGES
from omrig.model.units import MS
from omrig.report.html import view
from tools import synthetic_values

NOTHING = synthetic_values.result(executor="eventlet").to_json()

MESSAGES = 1000
MEAN_NS = 100 * MS
LOST_NODE = Outage(node="h:1", at_ns=2 * 10**9, ended=True, still_ns=3 * 10**9)
LOW_MEMORY = Blocked(side="producer", reason="low on\n memory", duration_ns=5_000_000_000)
HALF_SECOND = Comb(500 * MS, 0.97, "sleep")
SATURATED = {"producer": 0.99, "consumer": 0.99}
IDLE = {"producer": 0.12, "consumer": 0.12}


def _stage(name, share):
    return synthetic_values.row(name, int(share * MEAN_NS), share).to_json()


def _result(shares, executor="eventlet", pattern="call", sides=("producer", "consumer"), **more):
    """A result whose stages have ``shares``, the rest of the time spread thinly over all owners."""
    rest = [
        name for name in ("publish", "amqp_request", "endpoint", "wakeup") if name not in shares
    ]
    thin = (1 - sum(shares.values())) / max(1, len(rest))
    shares = {**dict.fromkeys(rest, thin), **shares}
    stages = [_stage(stage.name, shares[stage.name]) for stage in STAGES if stage.name in shares]
    return {
        **NOTHING,
        "pattern": pattern,
        "executor": executor,
        "sides": list(sides),
        "messages": {"received": MESSAGES},
        "latency": {
            "count": MESSAGES,
            **dict.fromkeys(("mean", "p50"), MEAN_NS),
            **dict.fromkeys(("p90", "p99", "p999"), 2 * MEAN_NS),
            "max": 3 * MEAN_NS,
        },
        "stages": stages,
        "closure": {
            "messages": MESSAGES,
            "matched": MESSAGES,
            "within_tolerance": 990,
            "negative_stages": 0,
            "flagged_arrivals": 0,
            "unexplained_share": 0.003,
        },
        **more,
    }


def _judged(result, facts=None, rest=None):
    others = Result.from_json({**result, **rest}) if rest else None
    return decide(Result.from_json(result), facts or Facts(), others).to_json()


def _headline(verdict):
    outcome = synthetic_values.changed(synthetic_values.result(), verdict=verdict)
    return view._headline(synthetic_values.run(), outcome)


def _decide(result, facts=None):
    verdict = _judged(result, facts)
    assert "\n" not in verdict["text"]
    assert len(verdict["text"]) < 300
    assert all("\n" not in line for line in verdict["evidence"])
    assert json.loads(json.dumps(verdict)) == verdict
    return verdict


REASONS = [
    ("api", "eventlet", {}, ["the driver", "the code itself", "--profile lines", "yappi"]),
    ("serialize", "eventlet", {}, ["JSON encoding", "70.0 ms", "smaller payloads"]),
    (
        "pool_wait",
        "eventlet",
        {"pool_size": 2, "workers": 100},
        ["calls wait 70.0 ms", "rpc_conn_pool_size 2 for 100 workers", "too small"],
    ),
    ("connect", "eventlet", {}, ["makes connections", "conn_pool_min_size"]),
    ("publish", "threading", {"cpu_share": SATURATED}, ["full core", "--profile lines"]),
    ("socket_wait", "eventlet", {}, ["AMQP", "producer's send buffer is full", "read fast enough"]),
    (
        "socket_wait",
        "eventlet",
        {"network": {"producer": Network(sndbuf_limited_share=0.4)}},
        ["the buffer itself is too small 40 %", "tcp_wmem"],
    ),
    (
        "socket_wait",
        "eventlet",
        {"blocked": [LOW_MEMORY]},
        ["blocked by the broker (low on memory) for 5.00 s"],
    ),
    (
        "amqp_request",
        "eventlet",
        {},
        ["70.0 ms on the wire and in the broker: a backlog in the queue"],
    ),
    (
        "amqp_request",
        "eventlet",
        {"network": {"producer": Network(rtt_us=60_000), "consumer": Network(rtt_us=60_000)}},
        ["round trips explain 60.0 ms of 70.0 ms", "broker is not the reason"],
    ),
    (
        "amqp_request",
        "eventlet",
        {"network": {"producer": Network(rtt_us=100, retransmits=1234)}},
        ["explain 50.0 µs of 70.0 ms", "loses packets: 1,234 retransmits"],
    ),
    (
        "amqp_request",
        "threading",
        {
            "network": {"consumer": Network(rtt_us=100, unread_bytes_max=1 << 20)},
            "broker_cpu_share": 0.11,
            "broker_core_wait": 0.95,
        },
        [
            "explain 50.0 µs of 70.0 ms; the broker's threads wait 8.6 times as long for a core",
            "give it cores of its own",
        ],
    ),
    (
        "confirm_wait",
        "threading",
        {"broker_cpu_share": 0.11, "broker_core_wait": 0.95},
        ["70.0 ms longer to confirm", "its threads wait 8.6 times", "cores of its own"],
    ),
    (
        "amqp_request",
        "eventlet",
        {"network": {"consumer": Network(unread_bytes_max=1 << 20, rwnd_limited_share=0.4)}},
        [
            "1.00 MiB lay unread",
            "fewer workers or more processes",
            "receive window was full 40 %",
            "hides in here",
        ],
    ),
    ("amqp_request", "eventlet", {"blocked": [LOW_MEMORY]}, ["blocked by the broker (low on"]),
    ("receive_lag", "eventlet", {}, ["consumer's own process", "the hub is busy with other green"]),
    (
        "receive_lag",
        "eventlet",
        {"cpu_share": SATURATED},
        ["before the hub reads them", "its core is full (CPU 0.99)", "more processes"],
    ),
    ("receive_lag", "eventlet", {"cpu_share": IDLE}, ["hardly runs", "does not yield"]),
    ("receive_lag", "threading", {"cpu_share": IDLE}, ["hardly runs", "holds it"]),
    ("decode", "eventlet", {}, ["message read -> handed to the listener)", "--profile lines"]),
    ("deserialize", "eventlet", {}, ["JSON decoding"]),
    ("batch_wait", "eventlet", {}, ["70.0 ms until the listener's batch is full or timed out"]),
    (
        "executor_queue",
        "threading",
        {"executor_pool_size": 64, "workers": 100},
        ["executor_thread_pool_size 64 for 100 workers is busy", "pool is too small"],
    ),
    ("executor_queue", "eventlet", {"cpu_share": SATURATED}, ["core is full", "a larger pool not"]),
    ("dispatch", "eventlet", {}, ["started -> endpoint", "--profile lines"]),
    ("endpoint", "eventlet", {}, ["is the endpoint", "own method takes 70.0 ms", "p99 140 ms"]),
    ("reply_serialize", "eventlet", {}, ["JSON encoding"]),
    (
        "reply_pool_wait",
        "threading",
        {"reply_pool_size": 30, "executor_pool_size": 64, "workers": 100},
        ["replies wait", "rpc_conn_pool_size 30 for 64 executor workers"],
    ),
    ("reply_connect", "eventlet", {}, ["makes connections"]),
    ("reply_publish", "eventlet", {}, ["last send of the reply", "--profile lines"]),
    ("reply_socket_wait", "eventlet", {}, ["consumer's send buffer is full"]),
    (
        "amqp_reply",
        "eventlet",
        {"network": {"consumer": Network(rtt_us=100)}},
        ["explain 50.0 µs of 70.0 ms, the rest is the broker"],
    ),
    ("reply_receive_lag", "eventlet", {}, ["producer's own process", "replies lie 70.0 ms", "hub"]),
    (
        "reply_receive_lag",
        "threading",
        {"cpu_share": SATURATED},
        ["before the reply thread runs", "this is the GIL", "fewer workers or more processes"],
    ),
    ("reply_decode", "eventlet", {}, ["handed to the waiting caller)"]),
    ("reply_deserialize", "eventlet", {}, ["JSON decoding"]),
    ("confirm_wait", "eventlet", {}, ["longer to confirm", "disk", "quorum queues"]),
    (
        "confirm_wait",
        "eventlet",
        {"quorum": frozenset({"amqp_request"})},
        ["it goes to a quorum queue", "rabbit_quorum_queue"],
    ),
    (
        "amqp_reply",
        "eventlet",
        {"quorum": frozenset({"amqp_reply"})},
        ["a backlog in the queue (a quorum queue writes"],
    ),
    (
        "amqp_request",
        "eventlet",
        {"outages": [LOST_NODE], "workers": 100},
        ["node h:1 ended at 2.0 s of the load, and for 3.0 s nothing moved", "another node"],
    ),
    (
        "receive_lag",
        "eventlet",
        {"cpu_share": {"consumer": 0.1}, "native_heartbeat": True},
        ["the native heartbeat thread or a call"],
    ),
    ("confirm_wait", "eventlet", {"blocked": [LOW_MEMORY]}, ["blocked by the broker (low on mem"]),
    ("wakeup", "eventlet", {}, ["until the caller's greenlet runs", "hub is busy"]),
    ("wakeup", "threading", {}, ["until the caller's thread runs", "GIL"]),
    (
        "wakeup",
        "threading",
        {"combs": {"wakeup": HALF_SECOND}},
        ["steps of 500 ms", "polls with a sleep", "oslo.messaging 14.8.0 to 18.1.0"],
    ),
    ("return", "eventlet", {}, ["the caller runs -> ", "--profile lines"]),
    ("publish_stall", "threading", {}, ["publish waits 70.0 ms for the interpreter's lock", "GIL"]),
    ("decode_stall", "threading", {}, ["decode waits 70.0 ms", "fewer workers or more processes"]),
    ("dispatch_stall", "threading", {}, ["dispatch waits 70.0 ms", "GIL"]),
    ("reply_publish_stall", "threading", {"cpu_share": SATURATED}, ["GIL, its core is full"]),
    ("reply_decode_stall", "threading", {}, ["producer's own process", "reply_decode waits"]),
]


@pytest.mark.parametrize(("stage", "executor", "facts", "words"), REASONS)
def test_a_dominating_stage_is_named_with_its_reason(stage, executor, facts, words):
    verdict = _decide(_result({stage: 0.7}, executor), Facts(**facts))
    bucket = BY_NAME[stage].bucket
    assert (verdict["owner"], verdict["bucket"], verdict["stage"]) == (
        OWNERS[bucket],
        bucket,
        stage,
    )
    # One of the thinly spread stages, of 7.5 or 10 %, may have the same owner.
    assert 0.7 <= verdict["share"] <= 0.81
    named = "70 % of a call is the endpoint:" if stage == "endpoint" else f"{stage} (70 %):"
    for word in [*words, named, "of a call is "]:
        assert word in verdict["text"]


def test_every_stage_but_remote_has_a_reason_tested():
    named = {stage.name for stage in STAGES if not stage.mixed}
    assert {reason[0] for reason in REASONS} == named
    assert reasons.REASONS.keys() == named


def test_every_stage_has_a_plain_span_and_a_bucket_with_an_owner():
    assert len(BY_NAME) == len(STAGES) == 32
    assert all(" -> " in stage.span and stage.bucket in OWNERS for stage in STAGES)


def test_an_unfair_pool_is_called_so():
    result = _result({"pool_wait": 0.7})
    stage = next(stage for stage in result["stages"] if stage["name"] == "pool_wait")
    stage |= {"p50_ns": 8_000, "p99_ns": 109 * MS}
    verdict = _decide(result, Facts(pool_size=30, workers=100))
    assert "p50 8.00 µs, p99 109 ms: the pool is LIFO and unfair" in verdict["text"]
    assert any(line.startswith("pool_wait has a tail: p50 8.00 µs") for line in verdict["evidence"])


def test_a_slow_endpoint_is_why_the_executor_is_busy():
    verdict = _decide(_result({"executor_queue": 0.6, "endpoint": 0.3}))
    assert "the endpoint is slow (30.0 ms) or the pool too small" in verdict["text"]


def test_the_payload_is_named_where_it_is_known():
    throughput = {"messages_per_second": 100.0, "bytes_per_second": 1_024_000.0}
    verdict = _decide(_result({"serialize": 0.7}, throughput=throughput))
    assert "of 10.0 KiB payload takes 70.0 ms" in verdict["text"]


def test_an_owner_of_many_stages_is_named_with_its_largest():
    verdict = _decide(
        _result({"receive_lag": 0.3, "wakeup": 0.26, "executor_queue": 0.21, "endpoint": 0.05})
    )
    assert (verdict["owner"], verdict["stage"]) == ("process", "receive_lag")
    assert verdict["share"] == pytest.approx(0.77)
    assert "77 % of a call is our own processes, above all receive_lag (30 %)" in verdict["text"]


def test_without_a_dominant_owner_the_two_largest_are_named():
    verdict = _decide(
        _result({"amqp_reply": 0.38, "serialize": 0.25, "publish": 0.1, "amqp_request": 0.02})
    )
    assert (verdict["owner"], verdict["bucket"], verdict["stage"]) == (
        "mixed",
        "amqp",
        "amqp_reply",
    )
    assert verdict["share"] == pytest.approx(0.75)
    assert "AMQP (40 %) and the driver (35 %) share a call" in verdict["text"]


def test_exactly_half_does_not_dominate():
    assert _decide(_result({"endpoint": 0.5, "wakeup": 0.3}))["owner"] == "mixed"


@pytest.mark.parametrize(
    ("pattern", "sides", "subject"),
    [
        ("cast", ("producer", "consumer"), "of a cast is"),
        ("fanout", ("consumer",), "of the consumer's part of a fanout cast is"),
        ("call", ("consumer",), "of the consumer's part of a call is"),
        ("call", ("producer",), "of a call is"),
    ],
)
def test_the_text_says_of_what_the_share_is(pattern, sides, subject):
    assert subject in _decide(_result({"decode": 0.7}, pattern=pattern, sides=sides))["text"]


def _without_verdict(result, facts=None):
    verdict = _decide(result, facts)
    assert (verdict["owner"], verdict["stage"], verdict["bucket"]) == ("unknown", None, None)
    assert verdict["share"] == 0
    return verdict["text"]


def test_no_verdict_on_few_messages():
    result = _result({"endpoint": 0.7})
    result["closure"]["messages"] = 49
    assert "not enough messages: 49" in _without_verdict(result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matched": 899}, "899 of 1,000 messages have a whole timeline"),
        ({"unexplained_share": 0.06}, "6 % of the end-to-end time is in no stage"),
        ({"unexplained_share": -0.06}, "6 % of the end-to-end time is in no stage"),
        ({"unexplained_share": None}, "nobody compared"),
    ],
)
def test_no_verdict_while_the_books_do_not_close(change, words):
    result = _result({"endpoint": 0.7})
    result["closure"] |= change
    text = _without_verdict(result)
    assert "the books do not close" in text
    assert words in text


def _under(who="memray", reason="it cannot be taken out"):
    """What slowed the messages of the stages, as a result has it."""
    disturbance = {"modes": {"producer": ["memray"]}, "who": who, "reason": reason}
    return {
        "modes": {"producer": ["memray"]}, "slow_only": False, "profiled_messages": MESSAGES,
        "unprofiled_messages": 0, "stages_of": "profiled", "disturbance": disturbance,
    }  # fmt: skip


@pytest.mark.parametrize("shares", [{"serialize": 0.7}, {"pool_wait": 0.4, "amqp_request": 0.4}])
def test_a_verdict_on_slowed_messages_says_what_slowed_them(shares):
    plain = _decide(_result(shares))
    verdict = _decide(_result(shares, slices=_under()))
    assert verdict["head"] == f"under memray, {plain['head']}"
    assert (verdict["owner"], verdict["stage"]) == (plain["owner"], plain["stage"])
    assert verdict["text"].startswith("under memray, ")
    (line,) = [
        line
        for kind, line in zip(verdict["evidence_kinds"], verdict["evidence"], strict=True)
        if kind == "profiled"
    ]
    assert line.endswith("under memray, and include what that slows down: it cannot be taken out")
    assert "profiled" not in plain["evidence_kinds"]
    assert _headline(verdict)[0].startswith("Under memray, ")


def test_no_verdict_without_stages():
    assert "no stage was measured" in _without_verdict({**NOTHING, "stages": []})
    assert "no stage was measured" in _without_verdict(NOTHING)


def test_no_verdict_on_an_in_memory_transport():
    text = _without_verdict(_result({"endpoint": 0.7}), Facts(is_measurement=False))
    assert "in-memory transport" in text


@pytest.mark.parametrize("share", [0.9, 0.4])
def test_remote_needs_the_other_side(share):
    result = _result({"remote": share, "amqp_request": 0, "endpoint": 0}, sides=("producer",))
    verdict = _decide(result)
    assert (verdict["owner"], verdict["stage"], verdict["share"]) == ("unknown", "remote", share)
    assert f"{100 * share:.0f} % of a call is remote" in verdict["text"]
    assert "merge with the consumer's run: omrig report P C" in verdict["text"]
    assert any(f"remote {100 * share:.0f} %" in line for line in verdict["evidence"])


def test_remote_among_the_two_largest_leaves_the_owner_open():
    shares = {"remote": 0.35, "reply_receive_lag": 0.4, "publish": 0.13, "serialize": 0.12}
    verdict = _decide(_result(shares, sides=("producer",)))
    assert (verdict["owner"], verdict["stage"], verdict["share"]) == ("unknown", "remote", 0.35)


def test_a_small_remote_does_not_hide_a_dominant_owner():
    result = _result({"remote": 0.2, "reply_receive_lag": 0.7}, "threading", sides=("producer",))
    assert _decide(result)["owner"] == "process"


@pytest.mark.parametrize(
    "blocked",
    [
        Blocked(side="consumer", reason="low on disk", duration_ns=LOW_MEMORY.duration_ns),
        Blocked(side="producer", reason="low on disk", duration_ns=MS),
    ],
)
def test_a_block_of_the_other_side_or_a_moment_is_evidence_only(blocked):
    verdict = _decide(_result({"confirm_wait": 0.7}), Facts(blocked=[blocked]))
    assert "blocked" not in verdict["text"]
    assert any("blocked by the broker (low on disk)" in line for line in verdict["evidence"])


def test_every_worker_waits_while_the_broker_blocks():
    moment = Blocked(side="producer", reason="low on disk", duration_ns=100 * MS)
    result = _result({"confirm_wait": 0.7})
    assert "blocked" not in _decide(result, Facts(blocked=[moment], workers=1))["text"]
    assert "blocked" in _decide(result, Facts(blocked=[moment], workers=100))["text"]


def test_steps_of_any_dominant_stage_are_in_the_text():
    comb = Comb(50 * MS, 0.8, "poll")
    verdict = _decide(_result({"endpoint": 0.7}), Facts(combs={"endpoint": comb}))
    assert "its 70.0 ms come in steps of 50 ms (80 % of the messages): something" in verdict["text"]
    assert "endpoint comes in steps of 50 ms (80 % of the messages): a poll" in verdict["evidence"]


def test_an_unknown_reply_waiter_s_steps_blame_no_version():
    comb = Comb(250 * MS, 0.8, "sleep")
    text = _decide(_result({"wakeup": 0.7}), Facts(combs={"wakeup": comb}))["text"]
    assert "steps of 250 ms" in text
    assert "14.8.0" not in text


def test_steps_of_a_small_stage_are_no_evidence():
    facts = Facts(combs={"wakeup": HALF_SECOND})
    evidence = _decide(_result({"endpoint": 0.9}), facts)["evidence"]
    assert not any("steps" in line for line in evidence)


def test_a_stage_that_only_the_tail_shows_is_evidence():
    result = _result({"endpoint": 0.8})
    stage = next(stage for stage in result["stages"] if stage["name"] == "wakeup")
    stage |= {"p50_ns": 10_000, "p99_ns": 150 * MS}
    assert (
        "wakeup has a tail: p50 10.0 µs, p99 150 ms, which is 75 % of the end-to-end p99, but 7 %"
        " of its mean"
    ) in _decide(result)["evidence"]


def test_no_tail_no_line():
    assert not any("tail" in line for line in _decide(_result({"endpoint": 0.8}))["evidence"])


def test_the_evidence_holds_sums_closure_network_cpu_and_sampling():
    result = _result({"endpoint": 0.7, "amqp_request": 0.1, "publish": 0.1, "wakeup": 0.1})
    result["closure"] |= {"negative_stages": 2, "flagged_arrivals": 3}
    facts = Facts(
        network={
            "consumer": Network(
                rtt_us=120.0,
                retransmits=3,
                rwnd_limited_share=0.12,
                sndbuf_limited_share=0.05,
                unread_bytes_max=2048,
            ),
            "producer": Network(),
        },
        cpu_share={"producer": 0.5},
        sample=10,
    )
    assert _decide(result, facts)["evidence"] == [
        "AMQP 10 %, driver 10 %, own process 10 %, endpoint 70 %",
        "closure: 1,000 of 1,000 messages have a whole timeline, 990 add up, 0 % unexplained,"
        " 2 with a negative stage, 3 without a sure arrival time",
        "network of the consumer: rtt 120 µs, 3 retransmits, receive window full 12 % of the time,"
        " send buffer full 5 % of the time, up to 2.00 KiB unread",
        "network of the producer: rtt unknown",
        "CPU of the producer: 0.50 of a core",
        "stages of 1 message in 10",
    ]


@pytest.mark.parametrize("stage", BY_NAME)
@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("share", [0.45, 0.7])
@pytest.mark.parametrize("cpu", [0.1, 0.7, 0.99])
@pytest.mark.parametrize("combs", [{}, dict.fromkeys(BY_NAME, HALF_SECOND)])
@pytest.mark.parametrize("reasons", [[], ["x" * 200]])
def test_the_text_stays_short_whatever_is_known(stage, executor, share, cpu, combs, reasons):
    sides = ("producer", "consumer")
    network = Network(retransmits=10**6, rwnd_limited_share=0.5, unread_bytes_max=1 << 29)
    facts = Facts(
        workers=10_000,
        pool_size=1000,
        executor_pool_size=1000,
        combs=combs,
        blocked=[Blocked(side=s, reason=r, duration_ns=10**12) for s in sides for r in reasons],
        network=dict.fromkeys(sides, network),
        cpu_share=dict.fromkeys(sides, cpu),
    )
    _decide(_result({stage: share}, executor, "fanout", ("consumer",)), facts)


HELD = Held(
    prefetch=10,
    side="consumer",
    waited_share=0.97,
    own_share=0.9,
    own_most_share=0.92,
    way_ns=300_000,
)


def test_what_prefetch_holds_back_is_our_own():
    facts = Facts(prefetch={"consumer": 10}, held={"amqp_request": HELD}, cpu_share=SATURATED)
    verdict = _decide(_result({"amqp_request": 0.8}), facts)
    assert (verdict["owner"], verdict["stage"]) == ("process", "amqp_request")
    assert verdict["share"] == pytest.approx(0.72 + 0.2 / 3, abs=0.01)
    assert (
        "of a call is the consumer's own process, above all amqp_request (72 %)"
        in (verdict["text"])
    )
    for words in (
        "rabbit_qos_prefetch_count 10 keeps messages in the broker until we read",
        "at least 90 % of its 80.0 ms: our own lag; the hub is busy",
    ):
        assert words in verdict["text"]
    assert "AMQP 8 %" in verdict["evidence"][0]
    assert "97 % of it messages waited in the broker" in verdict["evidence"][1]


def test_a_long_way_with_a_small_prefetch_is_amqp_s():
    held = Held(
        prefetch=1,
        side="consumer",
        waited_share=0.95,
        own_share=0.04,
        own_most_share=0.06,
        way_ns=45 * MS,
    )
    facts = Facts(prefetch={"consumer": 1}, held={"amqp_request": held})
    verdict = _decide(_result({"amqp_request": 0.8}), facts)
    assert (verdict["owner"], verdict["stage"]) == ("amqp", "amqp_request")
    assert "(rabbit_qos_prefetch_count 1)" in verdict["text"]
    assert "45.0 ms under way each time" in verdict["text"]
    assert "raise it" in verdict["text"]


def test_no_verdict_where_it_cannot_be_told_whose_what_is_held_back_is():
    held = Held(
        prefetch=1,
        side="consumer",
        waited_share=0.99,
        own_share=0.3,
        own_most_share=0.7,
        way_ns=MS,
    )
    facts = Facts(prefetch={"consumer": 1}, held={"amqp_request": held})
    verdict = _decide(_result({"amqp_request": 0.9}), facts)
    assert verdict["owner"] == "unknown"
    assert "between 27 % and 63 % for our own process" in verdict["text"]


@pytest.mark.parametrize(("workers", "owner"), [(100, "unknown"), (1, "amqp")])
def test_a_sample_cannot_tell_what_prefetch_holds_back(workers, owner):
    facts = Facts(workers=workers, prefetch={"consumer": 1}, sample=10)
    verdict = _decide(_result({"amqp_request": 0.8}), facts)
    assert verdict["owner"] == owner
    assert ("run without --sample" in verdict["text"]) == (owner == "unknown")


def test_who_took_no_sample_is_not_told_to_leave_it_out():
    facts = Facts(workers=100, prefetch={"consumer": 1}, sample=1)
    text = _decide(_result({"amqp_request": 0.8}), facts)["text"]
    assert "what this run recorded does not tell for how long" in text
    assert "sample" not in text


@pytest.mark.parametrize("prefetch", [0, 10])
def test_nobody_is_told_to_set_prefetch(prefetch):
    held = {"amqp_request": Held(prefetch=10, side="consumer")} if prefetch else {}
    facts = Facts(
        prefetch={"consumer": prefetch},
        held=held,
        network={"consumer": Network(unread_bytes_max=1 << 20)},
    )
    text = _decide(_result({"amqp_request": 0.8}), facts)["text"]
    assert "we read too slowly" in text
    assert "prefetch" not in text


def test_a_pool_that_has_room_is_not_called_too_small():
    text = _decide(_result({"pool_wait": 0.7}), Facts(pool_size=30, workers=1))["text"]
    assert "rpc_conn_pool_size 30 for 1 worker, so its size is not the reason" in text
    assert "too small" not in text


FAILED = {"sent": 1000, "errors": {"MessagingTimeout": 12}}


def test_failures_are_in_the_words():
    text = _decide(_result({"endpoint": 0.7}, messages=FAILED))["text"]
    assert "messaging is not the reason; 12 of 1,000 calls failed: MessagingTimeout 12" in text


def test_a_run_of_failures_alone_says_so():
    failed = {"sent": 1000, "errors": {"MessagingTimeout": 1000}}
    text = _without_verdict({**NOTHING, "messages": failed, "latency": None, "stages": None})
    assert text == "no verdict: all 1,000 calls failed: MessagingTimeout 1,000"


STALL = synthetic_values.stalls().to_json()


def test_one_message_that_holds_much_of_the_time_is_named_and_left_out():
    result = _result({"amqp_request": 0.6}, stalls=STALL)
    rest = {"stages": _result({"endpoint": 0.7})["stages"]}
    verdict = _judged(result, rest=rest)
    assert verdict["text"].startswith(
        "one message is 40 % of all time: for 6.0 s nothing moved, from 5.1 s to 11.1 s of the"
        " load, 100 % of its time AMQP; without it 70 % of a call is the endpoint: "
    )
    assert (verdict["owner"], verdict["stage"]) == ("endpoint", "endpoint")
    assert verdict["evidence"][0].startswith("a closed loop sends nothing new while it waits")
    assert verdict["evidence"][1] == "what follows is without the 1 message"
    head, why = _headline(verdict)
    assert head == (
        "70 % of a call is the endpoint, without the one message that is 40 % of all time"
    )
    assert why.startswith(f"{verdict['reason']}; one message is 40 % of all time: for 6.0 s")
    assert "without it" not in why
    older = {"owner": "endpoint", "text": verdict["text"]}
    head, why = _headline(older)
    assert "a call is the endpoint" in head


def test_the_headline_of_a_run_in_which_nothing_stood_still():
    verdict = _decide(_result({"endpoint": 0.7}, messages=FAILED))
    head, why = _headline(verdict)
    assert head == verdict["head"] == "70 % of a call is the endpoint"
    assert f"{head}: {why}" == verdict["text"]
    assert _headline({"owner": "endpoint", "text": verdict["text"]}) == (head, why)
    nothing = _judged(NOTHING)
    assert _headline(nothing)[0] == "No verdict"


@pytest.mark.parametrize(("lasted_s", "is_why"), [(5.5, True), (2.0, False)])
def test_a_blocking_that_lasted_as_long_is_why_nothing_moved(lasted_s, is_why):
    result = _result({"amqp_request": 0.6}, stalls=STALL)
    blocked = Blocked(side="producer", reason="low on memory", duration_ns=int(lasted_s * 1e9))
    rest = {"stages": _result({"endpoint": 0.7})["stages"]}
    text = _judged(result, Facts(blocked=[blocked]), rest)["text"]
    words = "while the producer was blocked by the broker (low on memory) for 5.50 s"
    assert (f"11.1 s of the load, {words}, 100 % of its time AMQP" in text) is is_why
    assert ("blocked by the broker" in text) is is_why


def test_many_messages_that_hold_much_of_the_time_stay_in_the_verdict():
    many = {**STALL, "messages": 400, "queue_share": 0.3, "owner_share": 0.6}
    text = _judged(_result({"amqp_request": 0.6}, stalls=many))["text"]
    assert text.startswith("60 % of a call is AMQP, above all amqp_request")
    assert text.endswith(
        "; 400 of 1,000 messages are 40 % of all time: for 6.0 s nothing moved, from 5.1 s to"
        " 11.1 s of the load, 60 % of their time AMQP and 30 % queues behind that"
    )
