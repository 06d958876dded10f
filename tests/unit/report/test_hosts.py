"""The hosts of a fleet in the reports: what each did, what was lost, and which one is slow."""

import dataclasses
import re
from pathlib import Path

import pytest

from omrig.model.by_host import AmongHosts, BrokerAt, ClockAgainst, HostPart, Slowest
from omrig.model.fleet import Fleet
from omrig.model.latency import Latency
from omrig.model.spread import Range
from omrig.recordings import folder as run_folder
from omrig.report import hosts
from omrig.report.html import page
from omrig.report.terminal import run as terminal
from tools import synthetic, synthetic_values

MS = 1_000_000


def latency(p50_ms):
    return Latency(
        count=1000, mean=p50_ms * MS, p50=p50_ms * MS, p90=2 * p50_ms * MS, p99=4 * p50_ms * MS,
        p999=5 * p50_ms * MS, max=6 * p50_ms * MS,
    )  # fmt: skip


PARTS = (
    HostPart(
        name="rack-a", address="10.0.0.1", cpu_count=8, members=("producer-1", "producer-2"),
        sent=2000, failed=0, messages_per_second=812.5, latency=latency(8), cpu_seconds=1.0,
        cpu_ns_per_message=500_000, began_after_ns=0, began_error_ns=0, engine_cores=0.0021,
    ),
    HostPart(
        name="rack-b", address="10.0.0.2", cpu_count=8, members=("producer-3",),
        sent=1000, failed=0, messages_per_second=512.5, latency=latency(12), cpu_seconds=1.0,
        cpu_ns_per_message=1_000_000, began_after_ns=1_200_000, began_error_ns=400_000,
        clock=ClockAgainst(against="rack-a", by="messages", offset_ns=-500_012_000,
                           error_ns=312_000, drift_ppm=50.13),
        synchronisation="Stratum 3, 12 us slow", engine_cores=0.0034,
    ),
    HostPart(
        name="rack-c", address="10.0.0.3", cpu_count=8, members=("consumer",),
        missing=("consumer",), ended_because="its worker is gone", last_seen_seconds=12.34,
        left_in="/var/cache/omrig/7/consumer",
    ),
)  # fmt: skip

AMONG = AmongHosts(
    rates=Range(least=512.5, least_at="rack-b", median=662.5, most=812.5, most_at="rack-a",
                even=662.5, max_min=1.5854),
    latencies=Range(least=8 * MS, least_at="rack-a", median=10 * MS, most=12 * MS,
                    most_at="rack-b", even=10 * MS, max_min=1.5),
    compared=("producer",),
    slowest=(Slowest(name="rack-b", side="producer", median_ns=12 * MS, others_ns=8 * MS, parts=20,
                     slowest_in=19, by_chance=10.0),),
    begin_skew_ns=1_200_000,
    begin_error_ns=400_000,
    broker=(BrokerAt(address="10.0.0.1:5672", host="rack-a"), BrokerAt(address="10.9.9.9:5672")),
)  # fmt: skip

FLEET = Fleet(
    kind="scheduler",
    engine="dask.distributed 2026.8.0",
    coordinator="desk",
    differences=("kombu is 5.6.0 on rack-b, 5.7.0 elsewhere",),
)


def run():
    return dataclasses.replace(synthetic_values.run(), fleet=FLEET)


def result(**changes):
    made = synthetic_values.measured({"amqp_request": 2, "endpoint": 1}, "cast")
    return dataclasses.replace(made, **{"hosts": PARTS, "among_hosts": AMONG, **changes})


def shown(width=160, **changes):
    return terminal.text(Path("run"), run(), result(**changes), width)


def joined(text):
    return " ".join(text.split())


SENTENCES = (
    "The slowest host is rack-b: the messages that it sent took 12.0 ms at the median, those of the"
    " others 8.00 ms; it was the slowest in 19 of 20 parts of the load's time, where chance would"
    " have it in 10.",
    "Hosts with producers had from 512.5 msg/s (rack-b) to 812.5 (rack-a): max/min 1.59.",
    "Their p50 is from 8.00 ms (rack-a) to 12.0 ms (rack-b): max/min 1.50.",
    "The producers' hosts began within 1.20 ms of each other (± 400 µs).",
    "Clocks are ahead (+) or behind that of rack-a when the load began, by the messages.",
    "The broker at 10.0.0.1:5672 is on rack-a, beside the members there.",
    "The broker is at 10.9.9.9:5672, which is the address of no host here.",
    "The engine, dask.distributed 2026.8.0, used 0.34 % of a core at most, on rack-b, while the"
    " load ran.",
    "rack-b keeps time by: Stratum 3, 12 us slow",
    "! rack-c: lost, heard of last 12.3 s after the load began: its worker is gone; none of its"
    " members left results here; what was not collected is there in /var/cache/omrig/7/consumer",
    "! the hosts differ: kombu is 5.6.0 on rack-b, 5.7.0 elsewhere",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_terminal_says_how_the_hosts_differ(sentence):
    assert sentence in joined(shown())


def test_each_host_has_a_row_on_the_terminal():
    text = joined(shown())
    assert "rack-a 2 producers 2,000 - 812.5 500 µs 8.00 ms 32.0 ms 48.0 ms reference" in text
    clock = "-500 ms ± 312 µs, +50.1 ppm"
    assert f"rack-b 1 producer 1,000 - 512.5 1.00 ms 12.0 ms 48.0 ms 72.0 ms {clock}" in text
    assert "rack-c 1 consumer - - - - - - - -" in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_has_fewer_figures_and_whole_ones(width):
    lines = shown(width).splitlines()
    assert max(map(len, lines[: lines.index("hosts") + 8])) <= width
    row = next(line for line in lines if line.strip().startswith("rack-b"))
    assert "512.5" in row and "48.0 ms" in row


def test_where_nothing_stands_out_that_is_said():
    among = dataclasses.replace(AMONG, slowest=(), compared=("producer", "consumer"))
    sides = "by its producers' messages or its consumers' calls."
    text = joined(shown(among_hosts=among))
    assert f"No host is slower than chance explains, {sides}" in text
    silent = dataclasses.replace(AMONG, slowest=(), compared=())
    assert "slower" not in shown(among_hosts=silent) and "slowest" not in shown(among_hosts=silent)


def test_latencies_of_consumers_are_named_as_such():
    served = dataclasses.replace(PARTS[2], received=7, served=latency(9), missing=())
    text = joined(shown(hosts=(*PARTS[:2], served)))
    assert "rack-c 1 consumer - 7 - - 9.00 ms 36.0 ms 54.0 ms -" in text
    assert "Latencies of a host without producers are those of the calls that it served." in text


def test_a_broker_at_a_loopback_address_is_each_hosts_own():
    among = dataclasses.replace(AMONG, broker=(BrokerAt(address="127.0.0.1:5672"),))
    text = joined(shown(among_hosts=among))
    assert "The broker is at 127.0.0.1:5672, which is each host itself." in text


def test_a_host_that_was_lost_before_the_load_is_said_to_be():
    early = dataclasses.replace(PARTS[2], last_seen_seconds=-0.5, left_in=None)
    assert dict(hosts.lost(result(hosts=(early,))))["rack-c"].startswith(
        "lost, heard of last 0.5 s before the load began: its worker is gone; none"
    )
    partly = dataclasses.replace(PARTS[0], missing=("producer-2",))
    assert dict(hosts.lost(result(hosts=(partly,)))) == {"rack-a": "no results of producer-2"}


def test_a_run_of_no_fleet_has_no_block():
    text = terminal.text(
        Path("run"), synthetic_values.run(), result(hosts=None, among_hosts=None), 100
    )
    assert not re.search(r"^hosts$", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The page of a run with these hosts, without its tags."""
    folder = tmp_path_factory.mktemp("fleet") / "run"
    synthetic.write(folder, 50)
    _, found = run_folder.read_run(str(folder))
    about = dataclasses.replace(found, fleet=FLEET)
    outcome = dataclasses.replace(run_folder.read_result(folder), hosts=PARTS, among_hosts=AMONG)
    return page.text([folder], about, outcome)


@pytest.mark.parametrize("sentence", SENTENCES[:9])
def test_the_page_says_how_the_hosts_differ(html, sentence):
    assert sentence.replace("'", "&#39;") in joined(html)


def test_the_page_has_a_row_a_host(html):
    rows = dict(re.findall(r'<tr data-host="([^"]*)">(.*?)</tr>', html, flags=re.DOTALL))
    assert list(rows) == ["rack-a", "rack-b", "rack-c"]
    cells = [joined(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows["rack-b"], re.DOTALL)]
    assert cells[:5] == ["1 producer", "1,000", "-", "512.5", "1.00 ms"]
    assert "<b>rack-c</b>: lost, heard of last 12.3 s after the load began: its worker" in html
    assert '<a href="#hosts">Hosts</a>' in html


def test_the_page_of_a_run_of_no_fleet_has_no_section(tmp_path):
    folder = tmp_path / "run"
    synthetic.write(folder, 50)
    _, found = run_folder.read_run(str(folder))
    assert 'id="hosts"' not in page.text([folder], found, run_folder.read_result(folder))
