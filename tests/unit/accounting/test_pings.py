"""How a server is by what became of the calls to it, and the sentence that says so."""

import json
from pathlib import Path

import numpy
import pytest

from omrig.accounting import pings
from omrig.accounting.verdict import deaf
from omrig.model.errors import UsageError
from omrig.model.ping import BASE_API, OUTCOMES, SERVER_PING, Ping, Pinged, PingResult, Server
from omrig.model.run import Environment
from omrig.model.units import MS, NS

HERE = Environment(host="here", kernel="", cpu_count=1, python="")
ONE = Server(topic="conductor", name="host-1", consumers=1)
TWO = Server(topic="conductor", name="host-2", consumers=1)
GONE = Server(topic="conductor", name="host-3", consumers=0)


def recorded(folder: Path, *called: tuple[int, str]) -> None:
    """Calls of a ping, one a second: the number of the server and what became of each; a call that
    is under way has no outcome."""
    start = numpy.arange(1, len(called) + 1, dtype="<u8") * NS
    took = numpy.array([0 if not outcome else 5 * MS for _, outcome in called], dtype="<u8")
    numpy.savez(
        folder / "messages.npz",
        server=numpy.array([number for number, _ in called], dtype="<u8"),
        start_ns=start,
        end_ns=numpy.where(took > 0, start + took, 0).astype("<u8"),
        outcome=numpy.array([OUTCOMES.index(each or "answered") for _, each in called], "<u8"),
    )
    failures = [
        (seq, {"error": "DBError", "refused": "NoSuchMethod"}.get(outcome, "Timeout"), "in words")
        for seq, (_, outcome) in enumerate(called)
        if outcome not in ("answered", "")
    ]
    (folder / "side.json").write_text(json.dumps({"failures": failures}))


def pinged(folder: Path, *called: tuple[int, str], servers: tuple[Server, ...] = (ONE, TWO)):
    recorded(folder, *called)
    ping = Ping(targets=("conductor",), servers=servers)
    found = pings.account(folder, ping, HERE, offset_ns=0)
    return found.servers, deaf.verdict(ping, found.servers)


def test_a_server_that_answered_nothing_is_deaf_and_named(tmp_path: Path) -> None:
    servers, verdict = pinged(
        tmp_path, (0, "answered"), (1, "silent"), (0, "answered"), (1, "silent")
    )
    assert [each.state for each in servers] == ["answers", "deaf"]
    assert servers[1].silent == servers[1].sent == 2
    assert servers[1].silent_since == "1970-01-01T00:00:02.000+00:00"
    assert servers[0].latency is not None
    assert (servers[0].latency.count, servers[0].latency.p50) == (2, 5 * MS)
    assert servers[1].latency is None
    assert "conductor.host-2 is deaf: none of 2 calls was answered within 5 s, since 00:00:02" in (
        verdict
    )
    assert verdict.endswith("conductor.host-1 answered every call.")


def test_a_server_falls_silent_or_answers_again(tmp_path: Path) -> None:
    servers, verdict = pinged(
        tmp_path, (0, "answered"), (1, "silent"), (0, "silent"), (1, "answered"), (0, "silent")
    )
    assert [each.state for each in servers] == ["loses", "loses"]
    assert servers[0].silent_since == "1970-01-01T00:00:03.000+00:00"
    assert servers[0].heard_at == "1970-01-01T00:00:01.005+00:00"
    assert servers[1].silent_since is None
    assert "host-1 does not answer since 00:00:03 UTC: its last reply came 00:00:01 UTC" in verdict
    assert "host-2 did not answer 1 of 2 calls within 5 s, and answers again." in verdict


def test_of_several_that_take_from_one_queue_none_is_named(tmp_path: Path) -> None:
    whole = Server(topic="conductor", consumers=3)
    (server,), verdict = pinged(
        tmp_path, (0, "answered"), (0, "answered"), (0, "silent"), servers=(whole,)
    )
    assert server.state == "loses"
    assert "conductor (any of 3): 1 of 3 calls were not answered" in verdict
    assert "one deaf of them loses one call in 3" in verdict


def test_an_error_is_no_silence(tmp_path: Path) -> None:
    servers, verdict = pinged(tmp_path, (0, "refused"), (1, "error"), (1, "error"))
    assert [each.state for each in servers] == ["refuses", "fails"]
    assert servers[1].errors == {"DBError": 2}
    assert all(each.is_heard for each in servers)
    assert "conductor.host-1 is alive, and has no baseapi.ping" in verdict
    assert "rpc_ping_enabled = true" in verdict
    assert "conductor.host-2 is alive, and answered with errors: 2 DBError (in words)" in verdict


def test_who_is_not_there_is_not_called(tmp_path: Path) -> None:
    servers, verdict = pinged(tmp_path, (0, "answered"), (1, "unrouted"), servers=(ONE, GONE, TWO))
    assert [each.state for each in servers] == ["answers", "absent", "absent"]
    assert "host-3 is not there: nobody takes from its queue, it was not asked." in verdict
    assert "host-2 is not there: the exchange has no queue for it" in verdict


def test_calls_under_way_at_the_end_are_no_losses(tmp_path: Path) -> None:
    servers, verdict = pinged(tmp_path, (0, "answered"), (1, ""), (0, ""))
    assert [each.state for each in servers] == ["answers", "unasked"]
    assert (servers[0].sent, servers[0].ended) == (2, 1)
    assert "host-2 was not asked: no call to it ended" in verdict


def test_all_answered(tmp_path: Path) -> None:
    servers, verdict = pinged(tmp_path, (0, "answered"), (1, "answered"))
    assert verdict == "All 2 answered every call."
    result = PingResult(servers=servers, verdict=verdict)
    assert result.all_answered
    assert PingResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert not PingResult().all_answered


@pytest.mark.parametrize("data", [{}, {"kind": "services", "schema": 1}, {"kind": "ping"}, []])
def test_what_is_no_result_of_a_ping_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"no result of a ping|is not known"):
        PingResult.from_json(data)  # type: ignore[arg-type]


def test_the_measured_process_left_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrote nothing"):
        pings.account(tmp_path, Ping(targets=("conductor",)), HERE, 0)


def test_a_ping_lasts_until_each_server_had_its_turns() -> None:
    ping = Ping(targets=("t",), servers=(ONE, TWO, GONE))
    assert ping.asked == (ONE, TWO)
    assert ping.lasts_s == 10
    many = tuple(Server(topic="t", name=str(number), consumers=1) for number in range(30))
    assert Ping(targets=("t",), servers=many).lasts_s == 90
    assert Ping(targets=("t",), servers=many, rate=30).lasts_s == 10
    assert Ping(targets=("t",), servers=many, duration_s=2).lasts_s == 2


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"method": "delete_everything"}, "--method: 'delete_everything' is none"),
        ({"rate": 0.0}, "--rate: 0 is not above 0"),
        ({"timeout_s": 0.0}, "--timeout: 0 is not above 0"),
        ({"duration_s": 0.0}, "--duration: 0 is not above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Ping(targets=("t",), **values)


def test_the_sentence_says_how_to_enable_it() -> None:
    refused = Pinged(server=ONE, state="refuses", sent=1, refused=1)
    for method, words in (
        (BASE_API, f"and --method {SERVER_PING}"),
        (SERVER_PING, "[DEFAULT] rpc_ping_enabled = true in its configuration."),
    ):
        assert words in deaf.verdict(Ping(targets=("t",), method=method), [refused])
