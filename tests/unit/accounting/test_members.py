"""Runs whose sides have several members: joined, they are what one process each would have been."""

import dataclasses
import json
import re
import shutil

import numpy
import pytest
from hdrh.histogram import HdrHistogram

from omrig.accounting import closure, members, merging, result
from omrig.accounting.verdict import evidence
from omrig.cli import results
from omrig.compare import runs
from omrig.model.errors import Losses, UsageError
from omrig.model.facts import Facts
from omrig.model.result import Counts
from omrig.model.spread import MemberRow
from omrig.recordings import folder as run_folder
from omrig.recordings import messages, recording
from omrig.report import members as words
from omrig.report.files import csv, trace
from omrig.report.html import page
from omrig.report.terminal import run as terminal
from tests.unit.accounting import split
from tools import synthetic_values

SAME = (
    "latency", "stages", "buckets", "closure", "waterfall", "combs", "prefetch", "throughput",
)  # fmt: skip


def accounted(folder):
    _, run = run_folder.read_run(str(folder))
    return result.account(folder, run)


def whole(case):
    return accounted(split.GOLDEN / case / "recorded" / "run")


@pytest.mark.parametrize("case", ["call-threading", "call-eventlet", "cast-threading"])
@pytest.mark.parametrize(("producers", "consumers"), [(2, 2), (4, 3), (1, 2), (3, 1)])
def test_a_run_taken_apart_comes_to_the_same(case, producers, consumers, tmp_path):
    before = whole(case)
    found = accounted(split.run(case, tmp_path / "run", producers, consumers))
    ours, theirs = found.result.to_json(), before.result.to_json()
    for key in SAME:
        assert rounded(ours[key]) == rounded(theirs[key]), key
    counts = {name: ours["messages"][name] for name in ("sent", "received", "replied", "lost")}
    assert counts == {name: theirs["messages"][name] for name in counts}
    assert found.result.complete
    assert found.result.verdict.head == before.result.verdict.head
    (its,), (theirs,) = found.timelines, before.timelines
    assert sorted(its.seq.tolist()) == sorted(theirs.seq.tolist())


def rounded(value):
    """The same, whatever the order in which floats were added up."""
    if isinstance(value, float):
        return float(f"{value:.9e}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return {n: rounded(v) for n, v in value.items()} if isinstance(value, dict) else value


@pytest.fixture
def folder(tmp_path):
    """A run of calls of two producers and three consumers."""
    return split.run("call-threading", tmp_path / "run", 2, 3)


def test_each_member_has_a_row(folder):
    found = accounted(folder).result
    rows = {row.name: row for row in found.members}
    assert list(rows) == ["producer-1", "producer-2", "consumer-1", "consumer-2", "consumer-3"]
    assert [rows[name].sent for name in ("producer-1", "producer-2")] == [40, 40]
    assert [row.received for row in found.members if row.side == "consumer"] == [27, 27, 26]
    assert [row.pid for row in found.members] == [100, 101, 200, 201, 202]
    assert all(row.complete and row.cpu_seconds > 0 for row in found.members)
    first = rows["producer-1"]
    recorded = recording.load(folder)["producer"].members[0].messages
    took = numpy.sort(recorded.end_ns - recorded.start_ns)
    assert (first.p50_ns, first.p99_ns) == (took[19], took[39])
    lasted = recorded.end_ns.max() - recorded.start_ns.min()
    assert first.messages_per_second == pytest.approx(40e9 / lasted, abs=1e-3)
    assert first.cpu_ns_per_message == round(first.cpu_seconds * 1e9 / 40)


def test_how_far_the_members_are_apart(folder):
    found = accounted(folder).result
    consumers, producers = found.spread.consumers, found.spread.producers
    assert (consumers.least, consumers.least_at, consumers.most) == (26, "consumer-3", 27)
    assert consumers.even == pytest.approx(80 / 3, abs=1e-3)
    rates = [row.messages_per_second for row in found.members if row.side == "producer"]
    assert (producers.least, producers.most) == (min(rates), max(rates))
    assert producers.max_min == pytest.approx(max(rates) / min(rates), abs=1e-3)


def test_one_member_a_side_has_no_rows():
    found = whole("call-threading").result
    assert found.members is None and found.spread is None
    assert not {"members", "spread"} & found.to_json().keys()
    assert "expected" not in found.to_json()["messages"]


def test_each_member_keeps_its_own_stages(folder):
    results.account(folder, Losses(folder))
    seqs = [messages.read(folder / name).seq() for name in ("producer-1", "producer-2")]
    assert all(sorted(seq.tolist()) == list(range(40)) for seq in seqs)
    again = recording.load(folder)["producer"].messages
    assert sorted(again.seq().tolist()) == list(range(80))
    stages = sum(again.stages().values())
    took = (again.end_ns - again.start_ns)[again.seq()]
    assert closure.within_tolerance(stages, took).all()
    # They are read again as they were written.
    assert json.loads((folder / "result.json").read_text())["members"][0]["sent"] == 40


def test_every_consumer_has_a_copy_of_a_fanout(tmp_path):
    folder = split.run("fanout-eventlet", tmp_path / "run", 2, 3)
    found = accounted(folder)
    counts, sent = found.result.messages, found.result.messages.sent
    assert (counts.expected, counts.received, counts.lost) == (3 * sent, 3 * sent, 0)
    assert found.result.complete
    assert found.result.closure == dataclasses.replace(
        whole("fanout-eventlet").result.closure,
        unexplained_share=found.result.closure.unexplained_share,
        flagged_arrivals=found.result.closure.flagged_arrivals,
    )
    assert found.result.closure.matched == sent
    assert [each.rows for each in found.timelines] == [3 * sent]
    assert found.result.throughput == whole("fanout-eventlet").result.throughput


def lose(folder, member, count):
    """Have a consumer not receive the first messages of the first producer."""
    found = dict(numpy.load(folder / member / "messages.npz"))
    found["received_ns.p0"][:count] = 0
    numpy.savez(folder / member / "messages.npz", **found)


def test_a_copy_that_did_not_come_is_told_with_its_consumer(tmp_path):
    folder = split.run("fanout-eventlet", tmp_path / "run", 2, 3)
    lose(folder, "consumer-2", 4)
    found = accounted(folder).result
    sent = found.messages.sent
    assert (found.messages.received, found.messages.lost) == (3 * sent - 4, 4)
    assert found.reason == f"4 of {3 * sent} copies were lost: 4 of {sent} at consumer-2"
    row = next(row for row in found.members if row.name == "consumer-2")
    assert not row.complete and row.reason == "4 messages did not come"


def test_a_message_at_two_consumers_is_a_duplicate_and_not_two(folder):
    first, second = (dict(numpy.load(folder / f"consumer-{n}/messages.npz")) for n in (1, 2))
    early = first["received_ns.p0"].copy()
    taken = numpy.flatnonzero(early)[:5]
    second["received_ns.p0"][taken] = early[taken] + numpy.uint64(7)
    numpy.savez(folder / "consumer-2" / "messages.npz", **second)
    about = json.loads((folder / "consumer-2" / "side.json").read_text())
    about["received"] += 5
    (folder / "consumer-2" / "side.json").write_text(json.dumps(about))
    found = accounted(folder)
    counts = found.result.messages
    assert (counts.received, counts.duplicated, counts.lost) == (80, 5, 0)
    assert counts.of_other_producers == 0
    # They count where and when they came first.
    joined = found.sides["consumer"].messages.received_of("p0+p1")
    assert joined[taken].tolist() == early[taken].tolist()
    assert found.result.closure.within_tolerance == 80


def kill(folder, member):
    """What a process leaves that was killed: what others sampled of it."""
    for path in (folder / member).iterdir():
        if path.name != "resources.csv":
            path.unlink()


def test_a_consumer_that_was_killed_takes_no_message_with_it(folder):
    kill(folder, "consumer-2")
    found = accounted(folder).result
    assert not found.complete
    assert found.reason == "consumer-2 left no results"
    # All of them were answered, by whomever.
    assert (found.messages.received, found.messages.replied, found.messages.lost) == (53, 80, 0)
    row = next(row for row in found.members if row.name == "consumer-2")
    assert (row.complete, row.reason, row.received) == (False, "it left no results", None)
    assert row.cpu_seconds > 0
    assert found.closure.matched == 53


def test_casts_to_a_consumer_that_was_killed_are_not_called_lost(tmp_path):
    folder = split.run("cast-threading", tmp_path / "run", 2, 2)
    kill(folder, "consumer-1")
    found = accounted(folder).result
    assert found.messages.lost is None
    gone = found.messages.sent - found.messages.received
    assert found.reason == (
        f"consumer-1 left no results; {gone} of {found.messages.sent} messages came to no other"
        " consumer than consumer-1, if they came at all"
    )


def test_a_producer_that_left_nothing_is_named(folder):
    kill(folder, "producer-2")
    found = accounted(folder).result
    assert "producer-2 left no results" in found.reason
    assert "40 of 80 messages were not sent" in found.reason
    assert found.messages.sent == 40 and found.messages.lost == 0


def test_consumers_alone_are_one_consumer(folder):
    (part,) = apart(folder, ["consumer-1", "consumer-2", "consumer-3"])
    found = results.account(part, Losses(part))
    assert found.sides == ("consumer",)
    assert (found.messages.received, found.messages.requested) == (80, 80)
    assert found.complete and found.latency is None
    assert [row.received for row in found.members] == [27, 27, 26]
    assert sum(row.count for row in found.stages if row.name == "endpoint") == 80
    kept = [messages.read(part / f"consumer-{n}").stage("endpoint") for n in (1, 2, 3)]
    assert [len(each) for each in kept] == [27, 27, 26]


def test_the_clocks_of_two_hosts_are_compared_whatever_the_members(folder):
    for name in ("consumer-1", "consumer-2", "consumer-3"):
        path = folder / name / "side.json"
        about = {**json.loads(path.read_text()), "boot_id": "another"}
        path.write_text(json.dumps(about))
    found = accounted(folder).result
    # Both clocks are one here.
    assert not found.clock.same_host
    assert abs(found.clock.offset_ns) <= found.clock.error_ns
    assert found.closure.within_tolerance == found.closure.matched == 80
    assert [(each.sides, each.cores) for each in found.machines] == [
        (("producer",), 2),
        (("consumer",), 2),
    ]


def test_clocks_of_any_number_of_hosts_are_compared(folder):
    for number, name in enumerate(("producer-1", "producer-2", "consumer-1")):
        path = folder / name / "side.json"
        about = {**json.loads(path.read_text()), "boot_id": f"boot-{number}"}
        path.write_text(json.dumps(about))
    found = accounted(folder).result
    assert [each.members for each in found.clocks] == [
        ("producer-2",),
        ("consumer-1",),
        ("consumer-2", "consumer-3"),
    ]
    # All clocks are one here.
    assert all(abs(each.offset_ns) <= each.error_ns for each in found.clocks)
    assert all(each.triangle_ns <= 2 * each.error_ns for each in found.clocks)
    assert not found.clock.same_host and found.clock.error_ns > 0
    assert found.messages.lost == 0 and found.complete
    assert found.closure.within_tolerance == found.closure.matched == 80


# Several folders


def apart(folder, *groups, run_id="own"):
    """The members of a run in a folder for each group of them, with ids of their own."""
    made = []
    about = json.loads((folder / "run.json").read_text())
    for number, names in enumerate(groups):
        part = folder.parent / f"{run_id}-{number}"
        part.mkdir()
        counts = {f"{s}s": sum(n.startswith(s) for n in names) for s in ("producer", "consumer")}
        sides = [side for side in ("producer", "consumer") if counts[f"{side}s"]]
        own = {**counts, "messages": 40 * counts["producers"] or 80}
        plan = {**about["plan"], **{name: count or 1 for name, count in own.items()}}
        told = {**about, "plan": plan, "sides": sides, "run_id": f"{run_id}-{number}"}
        told["pools"] = dict(about["pools"])
        (part / "run.json").write_text(json.dumps({**told, "began": None}))
        for side in sides:
            mine = [name for name in names if name.startswith(side)]
            for place, name in enumerate(mine, 1):
                new = side if len(mine) == 1 else f"{side}-{place}"
                shutil.copytree(folder / name, part / new)
        made.append(part)
    return made


def test_any_number_of_folders_are_one_run(folder):
    before = accounted(folder).result.to_json()
    parts = apart(
        folder, ["consumer-1"], ["producer-1"], ["consumer-2", "consumer-3"], ["producer-2"]
    )
    merged = merging.merge(parts)
    found = merged.result.to_json()
    for key in SAME:
        assert rounded(found[key]) == rounded(before[key]), key
    assert found["messages"] == before["messages"]
    assert merged.result.complete
    names = [row.name for row in merged.result.members]
    assert names == ["producer-1", "producer-2", "consumer-1", "consumer-2", "consumer-3"]
    assert merged.run.plan.messages == 80
    paths = [each.path for each in merged.result.artefacts]
    assert len(set(paths)) == len(paths) and all((parts[0] / path).exists() for path in paths)
    text = terminal.text(parts, merged.run, merged.result)
    assert "2 producers and 3 consumers" in text


def test_what_the_others_ran_with_that_the_first_did_not_is_said(folder):
    parts = apart(
        folder, ["producer-1", "producer-2"], ["consumer-1"], ["consumer-2", "consumer-3"]
    )
    assert merging.merge(parts).run.apart is None
    path = parts[1] / "run.json"
    about = json.loads(path.read_text())
    about["environment"] |= {"oslo.messaging": "14.0.0", "python": "3.12.1", "host": "elsewhere"}
    about["settings"] = {
        "executor_thread_pool_size": {"value": 3},
        "of_another_driver": {"value": 1},
    }
    path.write_text(json.dumps(about))
    first = json.loads((parts[0] / "run.json").read_text())
    first["settings"] = {"executor_thread_pool_size": {"value": 64}}
    (parts[0] / "run.json").write_text(json.dumps(first))
    merged = merging.merge(parts)
    told = "Python 3.12.1, oslo.messaging 14.0.0, executor_thread_pool_size = 3, host elsewhere"
    assert merged.run.apart == {"consumer-1": told}
    assert f"apart consumer-1: {told}" in " ".join(
        terminal.text(parts, merged.run, merged.result).split()
    )


def test_a_producer_whose_folder_was_not_given_is_said(folder):
    parts = apart(folder, ["producer-1"], ["consumer-1", "consumer-2", "consumer-3"])
    merged = merging.merge(parts)
    missing = [row for row in merged.result.members if not row.complete]
    assert [row.reason for row in missing] == ["its folder was not given"]
    assert merged.result.messages.of_other_producers == 40
    assert "its folder was not given" in terminal.text(parts, merged.run, merged.result)


def test_a_consumer_whose_folder_was_not_given_is_said_and_its_messages_are_not_lost(folder):
    """Nothing tells of the consumer but what the producers met."""
    met = {f"consumer-{n}": {"pid": 199 + n, "boot_id": "b"} for n in (1, 2, 3)}
    for name in ("producer-1", "producer-2", "consumer-1", "consumer-2"):
        path = folder / name / "side.json"
        about = {**json.loads(path.read_text()), "boot_id": "b", "consumers": met}
        path.write_text(json.dumps(about))
    parts = apart(folder, ["producer-1", "producer-2"], ["consumer-1"], ["consumer-2"])
    found = merging.merge(parts).result
    assert found.reason == "the folder of consumer-3 was not given"
    assert (found.messages.received, found.messages.lost) == (54, 0)
    assert [(row.name, row.reason) for row in found.members if not row.complete] == [
        ("consumer-3", "its folder was not given")
    ]
    # Producers alone are of one run where they met the same consumers.
    alone = apart(folder, ["producer-1"], ["producer-2"], run_id="alone")
    found = merging.merge(alone).result
    assert found.sides == ("producer",) and found.messages.sent == 80
    assert found.reason == "the folder of consumer-1 and consumer-2 and consumer-3 was not given"


def test_consumers_that_waited_for_others_tell_how_many_folders_there_are(folder):
    parts = apart(folder, ["producer-1", "producer-2"], ["consumer-1"], ["consumer-2"])
    for part in parts[1:]:
        about = json.loads((part / "run.json").read_text())
        about["plan"]["expect_consumers"] = 3
        (part / "run.json").write_text(json.dumps(about))
    found = merging.merge(parts).result
    assert found.reason == "the folder of consumer-3 was not given"


def test_a_member_of_a_folder_that_left_nothing_is_missing(folder):
    kill(folder, "consumer-3")
    parts = apart(folder, ["producer-1", "producer-2"], ["consumer-1", "consumer-2", "consumer-3"])
    found = merging.merge(parts).result
    assert found.reason == "consumer-3 left no results"


def test_folders_of_different_runs_are_refused_by_name(folder, tmp_path):
    parts = apart(folder, ["producer-1"], ["consumer-1", "consumer-2"])
    other = split.run("call-threading", tmp_path / "other" / "run", 1, 1)
    about = json.loads((other / "producer" / "side.json").read_text())
    about["producer_id"] = "q"
    (other / "producer" / "side.json").write_text(json.dumps(about))
    (alone,) = apart(other, ["producer"], run_id="other")
    with pytest.raises(UsageError) as refused:
        merging.merge([*parts, alone])
    assert str(refused.value) == (
        f"RUN: {parts[0]} and {alone} are of different runs: nobody in one met anybody in the other"
    )
    with pytest.raises(UsageError, match="they are not sides of one run") as refused:
        merging.merge([parts[1], alone])
    assert f"in {parts[1]} " in str(refused.value) and f"in {alone}:" in str(refused.value)


def test_a_folder_that_is_given_twice_is_refused(folder, tmp_path):
    parts = apart(folder, ["producer-1"], ["consumer-1", "consumer-2"])
    with pytest.raises(UsageError, match=f"{parts[0]} is given twice"):
        merging.merge([*parts, parts[0]])
    shutil.copytree(parts[0], tmp_path / "copy")
    with pytest.raises(UsageError, match="hold the same producer"):
        merging.merge([*parts, tmp_path / "copy"])


def spread_of(counts, rates=(100.0, 100.0)):
    """The spread of consumers that got so many messages, and of producers so fast."""
    consumers = [
        MemberRow(name=f"consumer-{n}", side="consumer", complete=True, received=each)
        for n, each in enumerate(counts, 1)
    ]
    producers = [
        MemberRow(name=f"producer-{n}", side="producer", complete=True, messages_per_second=each)
        for n, each in enumerate(rates, 1)
    ]
    return members.spread([*producers, *consumers])


def told(spread, sent=4000):
    """The lines of evidence on the members."""
    known = Facts(processes={"producer": 4, "consumer": 4}, spread=spread)
    result = synthetic_values.result(messages=Counts(sent=sent))
    return [each.text for each in evidence.lines(result, known) if each.kind == "members"]


def test_one_slow_producer_and_an_uneven_consumer_are_evidence():
    uneven = spread_of((2500, 500, 500, 500), (240.0, 250.0, 150.0, 260.0))
    assert told(uneven) == [
        "producer-3 is the slow one: 150 msg/s where the producer in the middle has 245",
        "consumer-1 got 2,500 messages, 2.5 times its even share, and consumer-2 500",
    ]
    assert told(uneven, sent=100) == []
    assert told(spread_of((1010, 1000, 990, 1000), (240.0, 250.0, 245.0, 260.0))) == []
    assert told(None) == []


def test_the_spread_in_a_sentence():
    found = synthetic_values.result(
        spread=spread_of((1204, 822, 974, 1000), (250.0, 300.0)),
    )
    assert list(words.spread(found)) == [
        "the slowest producer is producer-1 with 250.0 msg/s, the fastest producer-2 with 300.0:"
        " max/min 1.20",
        "an even share is 1,000 messages a consumer: consumer-1 got the most, 1,204 (120 % of it),"
        " consumer-2 the least, 822 (82 % of it): max/min 1.46",
    ]
    alike = synthetic_values.result(spread=spread_of((9, 9), (1.0,)))
    assert list(words.spread(alike)) == ["each consumer got 9 messages"]


def test_the_page_has_a_row_a_member(folder):
    results.account(folder, Losses(folder))
    kill(folder, "consumer-2")
    found, run = accounted(folder).result, run_folder.read_run(str(folder))[1]
    text = page.text([folder], run, found, script="plotly.js")
    rows = re.findall(r'<tr data-member="([^"]+)">', text)
    assert rows == ["producer-1", "producer-2", "consumer-1", "consumer-2", "consumer-3"]
    assert "it left no results" in text
    assert "each consumer of which that is known" not in text


def test_the_files_of_a_run_are_of_all_members(folder):
    found = results.account(folder, Losses(folder))
    assert found.latency.count == 80
    log = HdrHistogram.decode(encoded(folder / "latency.hlog"))
    assert log.get_total_count() == 80
    _, run = run_folder.read_run(str(folder))
    trace.write(folder, run)
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert len({each["args"]["seq"] for each in events if each["ph"] == "X"}) == 80
    table = csv.messages([folder])
    assert table["seq"].tolist() == list(range(80))
    assert all(value is not None for value in table["stage.publish"])
    kept = runs.read_messages(runs.StoredRun(folder, run, found))
    assert len(kept.latency_ns) == 80 and set(kept.cpu) == {"producer", "consumer", "broker"}


def encoded(path):
    """The one histogram of a log."""
    return path.read_text().splitlines()[-1].split(",")[-1]
