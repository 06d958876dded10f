"""Two recordings of services beside each other, with known differences planted."""

import json
from pathlib import Path

import numpy
import pytest

from omrig.accounting.services import result as accounting
from omrig.accounting.services import series
from omrig.cli.main import main
from omrig.compare.services import comparison, conditions
from omrig.compare.services.comparison import Recorded
from omrig.compare.services.methods import LEAST_MESSAGES, Messages
from omrig.model.service import Method
from omrig.model.units import MS
from omrig.report.terminal import services_comparison
from tests import recorded as fleets
from tests.unit import services


def recording(
    folder: Path, seed: int, count: int = 400, slower_ns: int = 0, extra: str = "", version="18.3.1"
) -> Path:
    """Calls of two methods, whose endpoints take a random time; those of one ``slower_ns`` more."""
    rng = numpy.random.default_rng(seed)
    fleet = fleets.Fleet()
    about = {"about": {"versions": {"oslo.messaging": version}}}
    api, conductor = fleet.process("api", **about), fleet.process("conductor", **about)
    for number in range(count):
        at = number * 20 * MS
        took = int(rng.gamma(8, 0.5) * MS)
        fleet.call(api, conductor, "build", at=at, endpoint_ns=took + slower_ns)
        fleet.cast(api, conductor, "report", at=at + MS, endpoint_ns=int(rng.gamma(8, 0.1) * MS))
        if number % 20 == 0:
            fleet.call(api, conductor, "seldom", at=at + 2 * MS, endpoint_ns=slower_ns + MS)
    if extra:
        fleet.cast(api, conductor, extra, at=5 * MS)
    made = fleet.write(folder, seconds=count / 50)
    result = accounting.account(made)
    (made / "result.json").write_text(json.dumps(result.to_json()))
    return made


def compared(capsys, *arguments: object):
    status = main(["compare", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    return status, {each["name"]["method"]: each for each in found["methods"]}, found, err


def rows(method: dict) -> dict:
    return {row["metric"]: row for row in method["rows"]}


def test_the_series_are_what_the_result_sums_up(tmp_path: Path) -> None:
    made = fleets.example(tmp_path)
    result = accounting.account(made)
    found = series.of(made)
    timed = {each.name: each for each in result.methods if each.latency}
    assert timed.keys() == found.keys()
    for name, method in timed.items():
        latency, stages = found[name].latency_ns, found[name].stages
        assert method.latency is not None
        assert (len(latency), int(latency.mean())) == (method.latency.count, method.latency.mean)
        assert {row.name: row.mean_ns for row in method.stages or ()} == {
            name: int(values.mean()) for name, values in stages.items()
        }


def test_a_method_that_is_slower_is_found_with_its_stage(tmp_path: Path, capsys) -> None:
    base = recording(tmp_path / "a", 1)
    new = recording(tmp_path / "b", 2, slower_ns=2 * MS)
    status, methods, found, _ = compared(capsys, base, new)
    assert status == 0
    build = rows(methods["build"])
    assert build["mean"]["significant"]
    assert build["mean"]["ratio"]["low"] > 1.1
    assert build["stage.endpoint"]["significant"]
    change = build["stage.endpoint"]["new"] - build["stage.endpoint"]["base"]
    assert change == pytest.approx(2 * MS, rel=0.2)
    assert not any(row["significant"] for row in methods["report"]["rows"])
    # 400 messages: what four of them took is an accident, whatever it is.
    assert build["p99"]["significant"] is None
    assert methods["seldom"]["untested"].startswith("20 messages are too few")
    assert all(row["significant"] is None for row in methods["seldom"]["rows"])
    assert found["text"].startswith("1 of 2 methods that were tested changed; 1 more could not be")
    assert "call topic build: latency mean +" in found["text"]
    assert "above all endpoint +1.98 ms" in found["text"]


def test_a_stage_that_changed_is_told_where_the_whole_varies_too_much() -> None:
    def side(seed: int, endpoint_ns: int) -> Recorded:
        rng = numpy.random.default_rng(seed)
        noise = (rng.gamma(0.5, 8.0, 400) * MS).astype(numpy.int64)
        endpoint = numpy.full(400, endpoint_ns) + rng.integers(0, MS // 10, 400)
        took = noise + endpoint
        stages = {"receive_lag": noise, "endpoint": endpoint}
        rows = tuple(
            services.row(
                name, float(values.mean()), 400, "scheduler" if name != "endpoint" else name
            )
            for name, values in stages.items()
        )
        made = services.method(count=400, mean_ms=float(took.mean()) / MS, stages=rows)
        return Recorded(Path("x"), services.result(made), {made.name: Messages(took, stages)})

    found = comparison.compare(side(1, 4 * MS), side(2, 5 * MS))
    (method,) = found.methods
    assert not method.changed
    assert [row.metric.stage for row in method.changed_stages] == ["endpoint"]
    assert found.text == (
        "No significant change of latency, 1 method tested, but of stages: call conductor ping:"
        " endpoint +998 µs."
    )


def test_two_of_the_same_do_not_differ(tmp_path: Path, capsys) -> None:
    base, new = recording(tmp_path / "a", 3), recording(tmp_path / "b", 4)
    _, methods, found, _ = compared(capsys, base, new)
    assert not any(row["significant"] for each in methods.values() for row in each["rows"])
    assert found["text"].startswith("No significant change, 2 methods tested")
    assert found["differences"] == []


def test_what_one_has_alone_and_what_differs_is_listed(tmp_path: Path, capsys) -> None:
    base = recording(tmp_path / "a", 5, extra="gone")
    new = recording(tmp_path / "b", 6, count=800, extra="come", version="19.0.0")
    main(["compare", str(base), str(new)])
    out = " ".join(capsys.readouterr().out.split())
    assert "only in BASE cast topic gone (1)" in out
    assert "only in NEW cast topic come (1)" in out
    assert "oslo.messaging: BASE 18.3.1, NEW 19.0.0" in out
    assert "not tested call topic seldom: 20 messages are too few, 100 in each would do" in out
    assert "fewer than 1,000 messages in one of the recordings" in out


@pytest.mark.parametrize(
    ("gate", "status"),
    [
        ("build:mean<=+5%", 3),
        ("build:mean<=+500%", 0),
        ("call topic build:stage.endpoint<=1s", 0),
        ("build:errors<=0", 0),
        ("build:p99<=10s", 0),
    ],
)
def test_a_gate_is_of_a_method(tmp_path: Path, capsys, gate: str, status: int) -> None:
    base = recording(tmp_path / "a", 7)
    new = recording(tmp_path / "b", 8, slower_ns=2 * MS)
    found_status, _, found, err = compared(capsys, base, new, "--gate", gate)
    assert found_status == status
    assert found["gates"][0]["gate"] == gate
    assert found["gates"][0]["outcome"] == ("failed" if status else "met")
    assert (f"gate failed: {gate}" in err) == bool(status)


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        ("p99<=+5%", "names no method"),
        ("other:p99<=+5%", "no method of both recordings is called 'other'"),
        ("build:speed<=+5%", "there is no metric 'speed'"),
        ("seldom:mean<=+5%", "nothing is known of chance in call topic seldom: 6 messages"),
    ],
)
def test_a_gate_that_cannot_be_answered_is_a_line(tmp_path: Path, capsys, gate, text) -> None:
    base, new = recording(tmp_path / "a", 9, count=120), recording(tmp_path / "b", 10, count=120)
    assert main(["compare", str(base), str(new), "--gate", gate]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert len(err.splitlines()) == 1


def test_a_result_whose_rows_are_gone_is_shown_and_not_tested(tmp_path: Path, capsys) -> None:
    base = recording(tmp_path / "a", 11)
    new = recording(tmp_path / "b", 12, slower_ns=2 * MS)
    (new / "recording.json").unlink()
    _, methods, found, _ = compared(capsys, base, new)
    assert methods["build"]["untested"] == "the rows of its messages could not be read"
    assert rows(methods["build"])["mean"]["new"] > rows(methods["build"])["mean"]["base"]
    assert found["text"].startswith("Nothing was tested")
    main(["compare", str(base), str(new)])
    assert "NEW: " in capsys.readouterr().out


def test_a_run_and_a_recording_are_not_compared(tmp_path: Path, capsys) -> None:
    made = services.written(tmp_path / "rec-1", services.result())
    (tmp_path / "run").mkdir()
    for arguments in ((made, tmp_path / "run"), (tmp_path / "run", made)):
        assert main(["compare", *map(str, arguments)]) == 2
        err = capsys.readouterr().err
        assert "is a recording of services, and" in err
        assert len(err.splitlines()) == 1
    assert main(["compare", str(made), str(made), "--html", "x.html"]) == 2
    assert "--html: recordings are compared on the terminal" in capsys.readouterr().err


def beside(base, new, folder: Path = Path("x")) -> comparison.Comparison:
    return comparison.compare(Recorded(folder, base, {}), Recorded(folder, new, {}))


def test_another_load_sample_or_executor_is_named() -> None:
    base = services.result()
    new = services.result(
        services.method(count=400),
        sample=4,
        processes=(services.process("api"), services.process("conductor", executor="eventlet")),
        complete=False,
        reason="the recorder was killed",
    )
    found = {each.what for each in conditions.differences(base, new)}
    assert found == {"one message recorded in", "executor"}
    kinds = [each.kind for each in conditions.instabilities(base, new)]
    assert kinds == ["conditions", "incomplete", "load"]
    assert conditions.instabilities(base, base) == []
    overwritten = services.result(processes=(services.process("api", overwritten=7),))
    assert [each.kind for each in conditions.instabilities(base, overwritten)] == ["rows"]


def test_the_pid_that_tells_processes_apart_is_no_difference() -> None:
    base, new = (
        services.result(processes=tuple(services.process(f"conductor {pid}") for pid in pids))
        for pids in ((101, 102), (201, 202))
    )
    assert conditions.differences(base, new) == []


def test_nothing_in_common() -> None:
    other = services.result(services.method("other"))
    found = beside(services.result(), other)
    assert found.text.startswith("The recordings have no method in common")
    services_comparison.show(found, width=80)


def test_methods_are_tested_together(tmp_path: Path) -> None:
    """Of many methods that do not differ none is called."""
    names = [f"m{number}" for number in range(30)]

    def side(seed: int) -> tuple[tuple[Method, ...], dict]:
        rng = numpy.random.default_rng(seed)
        methods, messages = [], {}
        for name in names:
            took = rng.gamma(8, 1.0, 2 * LEAST_MESSAGES).astype(numpy.int64) + 8 * MS
            took += (rng.gamma(8, 0.5, len(took)) * MS).astype(numpy.int64)
            mean = float(took.mean()) / MS
            made = services.method(name, count=len(took), mean_ms=mean, stages=None)
            methods.append(made)
            messages[made.name] = Messages(took, {})
        return tuple(methods), messages

    calls = 0
    for seed in range(10):
        (ours, base), (theirs, new) = side(2 * seed), side(2 * seed + 1)
        found = comparison.compare(
            Recorded(tmp_path, services.result(*ours, seconds=9), base),
            Recorded(tmp_path, services.result(*theirs, seconds=9), new),
        )
        calls += any(each.changed for each in found.methods)
    assert calls <= 1
