"""The page of a run: the numbers behind it, and how it is written."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from omrig import cli
from omrig.model.coverage import Coverage, Disturbance
from omrig.model.estimate import Estimate
from omrig.model.facts import Outage
from omrig.model.host_clock import ClockLine, HostClock
from omrig.model.units import MS, NS
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.recordings.messages import Messages
from omrig.report.html import bars, charts, events, messages, profiled, recorded, source, usage
from omrig.report.html import page as html
from tests.unit.refused import limited_files
from tools import synthetic
from tools.synthetic import BEGAN_NS


def made(folder, **arguments):
    """A synthetic run's result, with its recordings open."""
    synthetic.write(folder, arguments.pop("messages", 1000), **arguments)
    result = run_folder.read_result(folder)
    return result, recorded.opened([folder], result)


def recordings(**changes):
    none = numpy.zeros(0, numpy.int64)
    columns = ("ended", "latency", "latency_at", "numbers", "unanswered", "starts")
    return recorded.Recorded(
        **{
            "folders": {},
            "origins": {"producer": 0},
            "stages": Messages(),
            "rows": None,
            **dict.fromkeys(columns, none),
            **changes,
        }
    )


# What was recorded


def test_times_count_from_the_first_send(tmp_path):
    result, opened = made(tmp_path / "run", failed=10)
    with opened as found:
        assert found.origins["producer"] == BEGAN_NS
        assert found.starts.min() == 0
        assert len(found.latency) == result.latency.count == 990
        assert len(found.unanswered) == 10
        assert found.length_ns == pytest.approx(result.throughput.duration_seconds * NS, abs=2)
        assert found.stage_names() == [row.name for row in result.stages]


def test_a_cast_ends_where_it_is_received(tmp_path):
    _, opened = made(tmp_path / "run", pattern="cast")
    received = numpy.load(tmp_path / "run" / "consumer" / "messages.npz")
    (column,) = received.files
    with opened as found:
        assert found.ended.tolist() == sorted(received[column] - BEGAN_NS)


def test_the_clock_of_another_host_is_taken_into_account(tmp_path):
    result, _ = made(tmp_path / "run")
    path = tmp_path / "run" / "consumer" / "side.json"
    writer.write_json(path, {**run_folder.read_json(path), "boot_id": "another"})
    clock = HostClock(
        name="b", against="a", boot_id="another", against_boot_id="same", offset_ns=5 * NS,
        lines=(ClockLine(since_ns=BEGAN_NS, offset_ns=5 * NS),),
    )  # fmt: skip
    with recorded.opened([tmp_path / "run"], result) as found:
        alone = found.origins
    result = dataclasses.replace(result, clocks=(clock,))
    with recorded.opened([tmp_path / "run"], result) as found:
        assert found.origins["producer"] == alone["producer"] == BEGAN_NS
        assert found.origins["consumer"] == BEGAN_NS + 5 * NS


def test_stages_of_undisturbed_messages_only(tmp_path):
    result, _ = made(tmp_path / "run", messages=100)
    about = run_folder.read_json(tmp_path / "run" / "producer" / "side.json")
    about["slices"] = [
        {"first": 0, "end": 40, "profiled": False},
        {"first": 40, "end": 100, "profiled": True},
    ]
    writer.write_json(tmp_path / "run" / "producer" / "side.json", about)
    coverage = Coverage(
        modes={}, slow_only=True, profiled_messages=60, unprofiled_messages=40,
        stages_of="unprofiled",
    )  # fmt: skip
    result = dataclasses.replace(result, coverage=coverage)
    with recorded.opened([tmp_path / "run"], result) as found:
        assert sorted(found.stage_numbers().tolist()) == list(range(40))
        assert len(found.stage("wakeup")) == 40
        assert {slow.number for slow in messages.slowest(found, "call")} <= set(range(40))


def test_stages_of_the_profiled_run_are_of_all_messages_and_the_page_says_so(tmp_path):
    result, _ = made(tmp_path / "run", messages=100)
    _, run = run_folder.read_run(str(tmp_path / "run"))
    modes = {"producer": ("memray",), "consumer": ("memray",)}
    coverage = Coverage(
        modes=modes, slow_only=False, profiled_messages=100, unprofiled_messages=0,
        stages_of="profiled", text="all 100 messages went under memray",
        disturbance=Disturbance(modes=modes, who="memray", reason="it is so"),
    )  # fmt: skip
    result = dataclasses.replace(result, coverage=coverage)
    with recorded.opened([tmp_path / "run"], result) as found:
        assert len(found.stage("wakeup")) == 100
    assert "All 100 messages went under memray." in html.text([tmp_path / "run"], run, result)


def test_the_page_tells_what_the_stages_cost_by_their_own_count(tmp_path):
    result, _ = made(tmp_path / "run", messages=100)
    _, run = run_folder.read_run(str(tmp_path / "run"))
    assert "estimated" not in html.text([tmp_path / "run"], run, result)
    estimate = Estimate(
        stamps_per_message=39.1, hot_ns=148.3, cold_ns=583.9, cpu_share_hot=0.009,
        cpu_share_cold=0.021,
    )  # fmt: skip
    cost = dataclasses.replace(result.overhead["stages"], estimate=estimate)
    result = dataclasses.replace(result, overhead={"stages": cost})
    page = html.text([tmp_path / "run"], run, result)
    assert "Stages: an estimated 0.9 to 2.1 % of the CPU of a message" in page


def test_merged_stages_come_from_outside(tmp_path):
    result, _ = made(tmp_path / "run")
    stages = Messages({"seq": numpy.array([3, 1]), "stage.api": numpy.array([5, 7])})
    with recorded.opened([tmp_path / "run"], result, stages) as found:
        assert found.stage_names() == ["api"]
        assert [slow.number for slow in messages.slowest(found, "call")] == [1, 3]


# Numbers


def test_the_curve_is_of_nearest_ranks():
    inverse, values = messages.latency_curve(numpy.arange(1, 1001) * MS)
    assert inverse[0] == 1 and inverse[-1] == pytest.approx(1000)
    assert values[0] == MS and values[-1] == 1000 * MS
    assert values == sorted(values)
    nearest = min(range(len(inverse)), key=lambda n: abs(inverse[n] - 100))
    assert values[nearest] == pytest.approx(990 * MS, rel=0.002)


def test_a_series_counts_every_message_once():
    at = numpy.array([0, 1, 2, 3, 95, 96, 97, 100]) * NS // 10
    latency = numpy.array([1, 2, 3, 4, 10, 20, 30, 40]) * MS
    many = numpy.repeat(at, 20)
    found = messages.series(
        recordings(ended=many, latency=numpy.repeat(latency, 20), latency_at=many)
    )
    assert len(found.at) == 4
    assert [rate * 2.5 for rate in found.rate] == pytest.approx([80, 0, 0, 80])
    assert found.percentiles["p50"] == [2 * MS, None, None, 20 * MS]
    assert found.percentiles["max"] == [4 * MS, None, None, 40 * MS]
    assert messages.series(recordings()) is None


def test_distributions_hold_every_message_that_is_long_enough():
    stages = {
        "stage.api": numpy.array([0, 999, 1_000, 5_000, 2_000_000]),
        "stage.return": numpy.zeros(5, numpy.int64),
    }
    counts, end_ns = messages.distributions(recordings(stages=Messages(stages)))
    assert end_ns == 10_000_000
    assert sum(counts["api"]) == 3 and sum(counts["return"]) == 0
    assert counts["api"][0] == 1
    place = messages.on_log_scale(2_000_000, end_ns) * len(counts["api"])
    assert counts["api"][int(place)] == 1


def test_a_typical_message_is_the_mean_of_those_around_the_median():
    api = numpy.arange(1, 1001) * MS
    found = messages.typical(
        recordings(stages=Messages({"stage.api": api, "stage.return": api * 0}))
    )
    assert found == {"api": pytest.approx(500 * MS, rel=0.003), "return": 0}
    assert messages.typical(recordings()) is None


def test_the_two_ends_of_a_cast_do_not_add_up():
    stages = {
        "seq": numpy.array([0, 1]),
        "stage.api": numpy.array([1, 1]),
        "stage.amqp_request": numpy.array([10, 10]),
        "stage.endpoint": numpy.array([5, 5]),
        "stage.wakeup": numpy.array([3, 90]),
    }
    slow = messages.slowest(recordings(stages=Messages(stages), starts=numpy.array([0, 7])), "cast")
    assert [(each.number, each.took_ns, each.began_ns) for each in slow] == [(1, 91, 7), (0, 16, 0)]


def test_slowest_without_stages_are_those_of_the_load():
    latency = numpy.arange(1, 31)
    found = messages.slowest(
        recordings(
            latency=latency,
            latency_at=latency,
            numbers=numpy.arange(30) + 100,
            starts=numpy.arange(130),
        ),
        "call",
    )
    assert [each.took_ns for each in found] == list(range(30, 10, -1))
    assert found[0].number == 129 and found[0].began_ns == 129 and found[0].stages is None


# Bars


def test_legs_are_the_way_of_a_message():
    stages = {
        "publish": 10,
        "amqp_request": 20,
        "receive_lag": 30,
        "amqp_reply": 25,
        "wakeup": 15,
    }
    (message,) = bars.draw([stages], "call")
    assert [leg.title for leg in message.legs] == [
        "producer",
        "network and broker",
        "consumer",
        "network and broker, with the reply",
        "producer, with the reply",
    ]
    drawn = [bar for leg in message.legs for bar in leg.bars]
    assert [(bar.left, bar.width) for bar in drawn] == [
        (0, 10), (10, 20), (30, 30), (60, 25), (85, 15),
    ]  # fmt: skip
    assert [tick.text for tick in message.ticks] == [
        "0",
        "20 ns",
        "40 ns",
        "60 ns",
        "80 ns",
        "100 ns",
    ]


def test_the_own_end_of_a_cast_lies_beside_its_way():
    (message,) = bars.draw([{"api": 10, "amqp_request": 80, "endpoint": 10, "wakeup": 50}], "cast")
    assert message.length_ns == 100
    assert message.legs[-1].title == "producer, while the message is under way"
    (wakeup,) = message.legs[-1].bars
    assert (wakeup.left, wakeup.width, wakeup.aside) == (10, 50, True)


def test_what_takes_no_time_has_no_bar(tmp_path):
    synthetic.write(tmp_path / "run", 200)
    _, run = run_folder.read_run(str(tmp_path / "run"))
    result = run_folder.read_result(tmp_path / "run")
    # Drawn for the slow message's sake.
    slow = {**result.waterfall.p99, "connect": 50 * MS}
    result = dataclasses.replace(result, waterfall=dataclasses.replace(result.waterfall, p99=slow))
    page = html.text([tmp_path / "run"], run, result)
    typical, slow = page.split('data-message="')[1:3]
    for table, bars_drawn in ((typical, 0), (slow, 1)):
        row = table.partition("<code>connect</code>")[2].partition("</tr>")[0]
        assert row.count('class="bar ') == bars_drawn


@pytest.mark.parametrize("whole", [0, 1, 999, 12_345, 7 * MS, 3 * NS, 3600 * NS])
def test_ticks_are_few_and_within(whole):
    (message,) = bars.draw([{"api": whole}], "call")
    assert len(message.ticks) <= 6
    assert all(0 <= tick.left <= 100 for tick in message.ticks)


# Events and usage


def test_what_happened_when(tmp_path):
    result, opened = made(tmp_path / "run", messages=4000, failed=3)
    length = result.throughput.duration_seconds * NS
    with opened as found:
        happened = events.found(found)
    kinds = [(event.kind, event.side) for event in happened]
    assert kinds.count(("blocked", "producer")) == 1
    assert kinds.count(("opened", "producer")) == kinds.count(("opened", "consumer")) == 1
    assert sum(event.count for event in happened if event.kind == "unanswered") == 3
    assert [event.at_ns for event in happened] == sorted(event.at_ns for event in happened)
    (blocked,) = (event for event in happened if event.kind == "blocked")
    assert blocked.until_ns - blocked.at_ns == pytest.approx(length / 12, rel=0.001)
    assert "low on memory" in blocked.words


def test_a_million_failures_are_few_events():
    found = events.found(recordings(unanswered=numpy.arange(1_000_000), ended=numpy.array([10**6])))
    assert len(found) <= 101
    assert sum(event.count for event in found) == 1_000_000


def test_a_lost_connection_is_told_from_one_that_lasted(tmp_path):
    _, opened = made(tmp_path / "run", messages=20_000)
    with opened as found:
        assert found.length_ns > 8 * NS
        lost = [event for event in events.found(found) if event.kind == "lost"]
    assert [(event.side, event.count) for event in lost] == [("producer", 1), ("consumer", 1)]
    assert lost[0].at_ns == pytest.approx(found.length_ns / 2, rel=0.01)


def test_a_node_that_was_lost_and_where_connections_were(tmp_path):
    _, opened = made(tmp_path / "run", messages=4000)
    lost = Outage(node="h:1", at_ns=10, ended=True, still_from_ns=5, still_ns=100)
    instrument = tmp_path / "run" / "producer" / run_folder.INSTRUMENT
    about = json.loads(instrument.read_text())
    with opened as found:
        at = found.origins["producer"] + found.length_ns // 2
        about["connections"] = [(at, 1, "lost", "h:1"), (at + 1, 2, "lost", "h:1")]
        about["connections"] += [(at + 2, 3, "opened", "h:2"), (at + 3, 3, "closed", "h:2")]
        instrument.write_text(json.dumps(about))
        happened = [each for each in events.found(found, [lost]) if each.side != "consumer"]
    words = [each.words for each in happened if each.kind in ("node", "lost", "opened")]
    assert words == [
        "node h:1 of the broker lost, nothing moved",
        "2 connections to the broker at h:1 lost",
        "1 connection to the broker at h:2 opened",
    ]
    (node,) = (each for each in happened if each.kind == "node")
    assert (node.at_ns, node.until_ns) == (10, 105)
    drawn = charts.over_time(messages.series(found), happened, 1.0)
    assert "node of the broker lost" in [each["name"] for each in drawn["data"]]


def test_usage_is_a_difference_of_samples(tmp_path):
    _, opened = made(tmp_path / "run", messages=40_000)
    with opened as found:
        usages = usage.found(found, (tmp_path / "run",))
    assert [each.name for each in usages] == ["producer", "broker", "consumer"]
    for each in usages:
        assert len(each.at) <= usage.MOST_POINTS
        assert each.cpu == pytest.approx([0.5] * len(each.cpu), abs=0.005)
        assert max(each.rss_bytes) == 62 << 20


def test_empty_cells_are_gaps(tmp_path):
    (tmp_path / "producer").mkdir()
    (tmp_path / "producer" / "resources.csv").write_text(
        "monotonic_ns,cpu_user_seconds,cpu_system_seconds,rss_bytes\n"
        "0,0,0,5\n1000000000,,0.5,\n2000000000,1,0.5,7\n3000000000,1.25,0.5,9\n"
    )
    found = recordings(
        folders={"producer": tmp_path / "producer"},
        origins={"producer": 0, "broker": 0},
        ended=numpy.array([3 * NS]),
    )
    (used,) = usage.found(found, (tmp_path,))
    assert used.cpu == [None, None, 0.25]
    assert used.rss_bytes[-1] == 9 and 7 in used.rss_bytes


# Profiles


def test_source_is_shown_where_it_is_that_of_the_function():
    file = json.encoder.__file__
    lines = Path(file).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "def iterencode" in text)
    excerpt = source.of_function(file, line, "JSONEncoder.iterencode")
    assert excerpt[0][0] == line and "def iterencode" in excerpt[0][1]
    assert source.of_function(file, line, "JSONEncoder.other") is None
    assert source.of_function(file, 10**6, "iterencode") is None


def test_source_of_what_is_not_installed_is_left_alone(tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("def token():\n    return 'secret'\n")
    assert source.of_function(str(secret), 1, "token") is None
    assert source.of_function("/etc/passwd", 1, "root") is None


def test_profiles_are_shown_with_what_they_have():
    bare = {"producer": {"yappi": {"functions": [{"function": "f"}]}, "lines": {"lines": []}}}
    (calls,) = profiled.calls(bare)
    assert calls.functions[0].name == "f" and calls.roles == [] and calls.how == ""
    assert list(profiled.lines(bare)) == []
    assert list(profiled.calls({"producer": {}})) == []
    sampled = {"consumer": {"pyspy": {
        "samples": 10, "threads": [{"thread": "MainThread", "share": 1.0}],
        "functions": [{"function": "g", "file": "/x/lib/python3.11/json/g.py", "share": 0.5}],
    }}}  # fmt: skip
    (calls,) = profiled.calls(sampled)
    assert calls.functions[0].where == "json/g.py" and calls.roles == [("MainThread", 1.0)]


def test_modes_without_tables_tell_their_figures():
    summary = {"growth_bytes_per_message": 2048.0, "wall_seconds": 1.5, "failed": None, "n": 1234}
    (found,) = profiled.facts({"consumer": {"memory": summary, "yappi": {"functions": []}}})
    assert (found.side, found.mode) == ("consumer", "memory")
    assert found.facts == [("growth per message", "2.00 KiB"), ("wall", "1.50 s"), ("n", "1,234")]
    assert found.text == ""
    grown = {"growth_bytes_per_message": 900.0, "standard_error_bytes": 30.0, "grows": True,
             "own_bytes_per_message": 0, "fitted_from_message": 1, "messages": 20_000}  # fmt: skip
    (found,) = profiled.facts({"consumer": {"memory": grown}})
    assert found.text.startswith("grows by 900 ± 30 bytes a message")
    (found,) = profiled.facts({"consumer": {"pyspy": {"failed": "no permission"}}})
    assert found.facts == [("failed", "no permission")]


# The file


def test_the_page_is_whole_or_not_there(tmp_path):
    run = tmp_path / "run"
    synthetic.write(run, 200)
    assert cli.main(["report", str(run), "--html"]) == 0
    before = (run / html.PAGE).read_text()
    assert before.startswith("<!doctype html>") and before.rstrip().endswith("</html>")

    with limited_files(100_000):
        assert cli.main(["report", str(run), "--html"]) == 2
    assert (run / html.PAGE).read_text() == before
    assert not list(run.rglob("*.part"))


@pytest.mark.parametrize(
    ("recorded", "row"),
    [
        ({"options": {"rpc_conn_pool_size": 5}}, "5 not recorded"),
        (
            {
                "options": {},
                "settings": {"rpc_conn_pool_size": {"value": 6, "source": "nova.conf"}},
            },
            "6 nova.conf",
        ),
    ],
)
def test_settings_of_any_omrig_are_shown(tmp_path, recorded, row):
    synthetic.write(tmp_path / "run", 50)
    path = tmp_path / "run" / "run.json"
    run = {n: v for n, v in json.loads(path.read_text()).items() if n != "settings"} | recorded
    path.write_text(json.dumps(run))
    page = tmp_path / "page.html"
    assert cli.main(["report", str(path.parent), "--html", str(page), "--shared-assets"]) == 0
    assert f"rpc_conn_pool_size {row}" in " ".join(re.sub("<[^>]*>", " ", page.read_text()).split())


def test_report_html(tmp_path, capsys):
    run, page = tmp_path / "run", tmp_path / "page.html"
    synthetic.write(run, 200)
    assert cli.main(["report", str(run), "--html", str(page), "--shared-assets"]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.stat().st_size < 500_000
    (script,) = tmp_path.glob("plotly-*.min.js")
    assert script.stat().st_size > 1_000_000
    assert f'src="{script.name}"' in page.read_text()
    assert cli.main(["report", str(run), "--html"]) == 0
    assert (run / html.PAGE).stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["RUN", "RUN", "--html"], "name the file"),
        (
            ["RUN", "--html", "/absent/page.html"],
            "--html: /absent/page.html: No such",
        ),
        (["RUN", "--html", "--json"], "one of them"),
        (["RUN", "--shared-assets"], "give --html"),
    ],
)
def test_report_html_says_what_is_wrong(tmp_path, capsys, arguments, said):
    synthetic.write(tmp_path / "run", 50)
    named = [str(tmp_path / "run") if each == "RUN" else each for each in arguments]
    assert cli.main(["report", *named]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


ABSENT = """
import sys
for name in ("oslo_messaging", "oslo_config", "kombu", "amqp", "eventlet", "greenlet"):
    sys.modules[name] = None
from omrig import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("option", [(), ("--html",), ("--json",)])
def test_a_laptop_without_a_messaging_library_is_enough(tmp_path, option):
    synthetic.write(tmp_path / "run", 100)
    command = [sys.executable, "-c", ABSENT, "report", str(tmp_path / "run"), *option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
