"""A ping on the terminal: who answers is in a row, and what is not known is said."""

import io
from pathlib import Path

import pytest

from omrig.model.latency import Latency
from omrig.model.ping import Pinged, PingResult, Server
from omrig.model.result import StageRow
from omrig.model.units import MS
from omrig.report.terminal import ping

LATENCY = Latency(count=3, mean=4 * MS, p50=4 * MS, p90=9 * MS, p99=9 * MS, p999=9 * MS, max=9 * MS)


def stage(name: str, bucket: str, share: float) -> StageRow:
    mean = int(4 * MS * share)
    return StageRow(
        name=name, side="wire", bucket=bucket, count=3, mean_ns=mean, p50_ns=mean, p90_ns=mean,
        p99_ns=mean, max_ns=mean, total_ns=3 * mean, share=share,
    )  # fmt: skip


STAGES = (
    stage("remote", "amqp", 0.75),
    stage("wakeup", "scheduler", 0.25),
    stage("connect", "driver", 0),
)

RESULT = PingResult(
    transport="rabbit://u:***@h/",
    exchange="nova",
    method="baseapi.ping",
    rate=2,
    workers=2,
    timeout_s=5,
    duration_ns=10_000 * MS,
    sent=6,
    answered=3,
    servers=(
        Pinged(
            server=Server(topic="conductor", name="well", consumers=1), state="answers", sent=3,
            answered=3, latency=LATENCY, stages=STAGES,
        ),
        Pinged(
            server=Server(topic="conductor", name="deaf", consumers=1), state="deaf", sent=3,
            silent=3,
        ),
        Pinged(server=Server(topic="conductor", name="gone", consumers=0), state="absent"),
    ),
    stages=STAGES,
    stamped=3,
    within_tolerance=3,
    found=("the management API told the queues of conductor",),
    not_seen=("what cannot be known",),
    verdict="conductor.deaf is deaf: since ever.",
)  # fmt: skip


def shown(result: PingResult, width: int = 100) -> str:
    file = io.StringIO()
    ping.show(Path("/pings/1"), result, file, width)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_row_a_server(width: int) -> None:
    lines = shown(RESULT, width).splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith(" conductor.")}
    assert rows["conductor.well"].split() == [
        "conductor.well", "answers", "3", "0", "%", "4.00", "ms", "9.00", "ms", "3.00", "ms",
    ]  # fmt: skip
    assert rows["conductor.deaf"].split() == [
        "conductor.deaf", "DEAF", "3", "100", "%", "-", "-", "-",
    ]  # fmt: skip
    assert "not there" in rows["conductor.gone"]
    assert max(map(len, lines)) <= width


def test_the_callers_half_and_the_verdict() -> None:
    text = shown(RESULT)
    assert "3 of 6 calls answered in 10.0 s" in text
    remote = next(line for line in text.splitlines() if line.startswith(" remote "))
    # Nobody's alone: the network, the broker and the server.
    assert remote.split()[:4] == ["remote", "remote", "75.0", "%"]
    assert " connect " not in text
    for words in (
        RESULT.verdict, "2 a second at most", "up to 2 at a time", "what cannot be known",
        "the stages of 3 of 3 calls add up", "/pings/1",
    ):  # fmt: skip
        assert words in text


def test_without_a_reply_there_are_no_stages() -> None:
    text = shown(PingResult(servers=RESULT.servers[1:], verdict="deaf"))
    assert "caller's half" not in text
    assert "books" not in text
