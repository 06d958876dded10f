"""A recording of services as a scenario: what it asks for, and what its comments own up to."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from omrig.cli import scenario, scenarios
from omrig.cli.main import main, parsed
from omrig.cli.run import make_plan
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES
from omrig.model.service import REMOTE, Pool
from omrig.report.files.scenario import render
from tests.unit import services


def values(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def comments(text: str) -> str:
    lines = (line[2:] for line in text.splitlines() if line.startswith("# "))
    return " ".join(" ".join(lines).split())


def plan_of(text: str, folder: Path, *arguments: str):
    """What ``omrig run --scenario`` makes of it."""
    file = folder / "mine.toml"
    file.write_text(text)
    _, options = parsed("run", ["--scenario", str(file), *arguments])
    return make_plan(options, SIDES)


def test_rate_pattern_and_endpoint_are_the_recordings(tmp_path: Path) -> None:
    text = render(services.result(services.method(count=400, mean_ms=10, endpoint_ms=8)), "rec-1")
    plan = plan_of(text, tmp_path)
    assert plan.pace.rate == 20
    assert plan.pace.arrivals == "poisson"
    assert plan.pace.duration_s == 20
    assert plan.load.pattern == "call"
    assert plan.load.executor == "threading"
    assert plan.load.executor_pool_size == 64
    assert (plan.load.producers, plan.load.consumers) == (1, 1)
    assert plan.load.endpoint == ("cpu:2.000ms", "sleep:6.000ms")
    # 400 calls of 10 ms in 20 s: 0.2 at a time.
    assert "0.2 calls were under way in the mean" in comments(text)
    assert plan.load.workers == 2
    assert plan.load.size_bytes == 10240
    assert "Sizes are not recorded" in comments(text)
    assert values(text)["title"] == "rec-1: 400 messages of 1 method in 20.0 s"


def test_several_patterns_are_a_mix_and_their_endpoints_a_mean(tmp_path: Path) -> None:
    text = render(
        services.result(
            services.method("a", "call", 300, mean_ms=20, endpoint_ms=10, computing=1.0),
            services.method("b", "cast", 100, mean_ms=2, endpoint_ms=2, computing=0.0),
            services.method("c", "notify", 1, stages=None),
        ),
        "rec",
    )
    plan = plan_of(text, tmp_path)
    assert plan.load.mix.weights == {"call": 748, "cast": 249, "notify": 2}
    assert plan.load.endpoint == ("cpu:7.500ms", "sleep:500.0us")
    assert "The endpoints of 1 methods were not recorded." in comments(text)
    lines = [line for line in text.splitlines() if line.endswith(("ping", " a", " b", " c"))]
    assert [line.split()[1] for line in lines] == ["15", "5", "0.05"]


def test_nested_messages_are_waited_for_and_are_in_the_mix_themselves(tmp_path: Path) -> None:
    outer = services.method(
        "outer", count=100, mean_ms=10, endpoint_ms=10, endpoint_own=0.4, endpoint_nested=0.6,
        computing=0.5,
    )  # fmt: skip
    text = render(services.result(outer), "rec")
    assert plan_of(text, tmp_path).load.endpoint == ("cpu:2.000ms", "sleep:8.000ms")
    assert "6.00 ms of it were for messages that endpoints sent" in comments(text)


def test_a_sample_is_multiplied_and_copies_are_one_message(tmp_path: Path) -> None:
    fanout = services.method(
        "sync", "fanout", 0, sent=0, served=300, servers=("a", "b", "c"), senders=(REMOTE,)
    )
    text = render(services.result(fanout, sample=16, seconds=16), "rec")
    assert plan_of(text, tmp_path).pace.rate == 100
    assert "One message in 16 was recorded" in comments(text)


def test_errors_are_a_share_and_timeouts_are_told() -> None:
    text = render(
        services.result(services.method(count=200, raised={"NotFound": 3}, timed_out=2)), "rec"
    )
    assert values(text)["endpoint"][-1] == "error:1.5%"
    assert text.splitlines()[-1].split()[6:9] == ["2", "3", "call"]


def test_many_processes_are_fewer_here_and_executors_may_differ(tmp_path: Path) -> None:
    names = tuple(f"conductor-{number}" for number in range(12))
    processes = [services.process(name) for name in names]
    processes.append(
        services.process("old", executor="eventlet", executor_pool=Pool(size=1000), sent=0)
    )
    processes.append(services.process("api", served=0, executor_pool=None))
    text = render(
        services.result(
            services.method(servers=names, senders=("api",)), processes=tuple(processes)
        ),
        "rec",
    )
    plan = plan_of(text, tmp_path)
    assert plan.load.consumers == 8
    assert plan.load.executor == "threading"
    assert plan.load.executor_pool_size is None
    said = comments(text)
    assert "12 processes served; 8 do it here." in said
    assert "Executors differ: 12 of threading, 1 of eventlet." in said
    assert "Pools of executors differ: 64, 1000." in said


def test_what_is_not_known_is_said() -> None:
    text = render(
        services.result(
            services.method(
                pattern="", computing=None, owners={}, stages=None, endpoint_own=None,
                endpoint_nested=None,
            ),
            processes=(),
            complete=False,
            reason="the recorder was killed",
        ),
        "rec",
    )  # fmt: skip
    said = comments(text)
    assert "How these were sent is not known, they are calls here: conductor ping." in said
    assert "No endpoint was recorded: it only answers here." in said
    assert "The recording is incomplete: the recorder was killed." in said
    assert set(values(text)) == {
        "title", "rate", "arrivals", "duration", "pattern", "worker_count",
    }  # fmt: skip
    green = render(services.result(services.method(computing=None)), "rec")
    assert "it is not known what they computed: they sleep" in comments(green)


def test_one_message_is_a_load_too(tmp_path: Path) -> None:
    text = render(services.result(services.method(count=1), seconds=39.6), "rec")
    assert plan_of(text, tmp_path).load.messages == 1


def test_nothing_recorded_is_nothing_to_replay() -> None:
    with pytest.raises(UsageError, match="no message is in it"):
        render(services.result(services.method(count=0)), "rec")


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = services.written(tmp_path / "rec-1", services.result())
    assert main(["scenario", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out == render(services.result(), "rec-1")
    (tmp_path / "mine.toml").write_text(out)
    assert scenarios.read(str(tmp_path / "mine.toml")).values["rate"] == 5
    assert "rec-1" in scenario.ABOUT


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "holds no result of a recording"),
        ("{", "cannot be read"),
        ('{"schema": 1}', "no result of a recording"),
        ('{"kind": "services", "schema": 99}', "schema 99 is not known"),
    ],
)
def test_what_is_no_recording_is_a_line(tmp_path: Path, capsys, content, text) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    assert main(["scenario", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1
