"""A recording of services, replayed by the scenario that is made of it."""

import pytest

from tests.functional.conftest import result_of
from tests.unit import services


def test_a_scenario_of_a_recording_is_a_load(run, broker, tmp_path):
    made = services.result(
        services.method("build", "call", 600, mean_ms=6, endpoint_ms=4),
        services.method("report", "cast", 200, mean_ms=2, endpoint_ms=1),
        seconds=20,
    )
    folder = services.written(tmp_path / "rec-1", made)
    status, text, err = run("scenario", folder)
    assert status == 0, err
    (tmp_path / "mine.toml").write_text(text)
    status, _, err = run(
        "run", "--scenario", "mine.toml", "--duration", 3, "--output", "r", "--quiet",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    assert result["messages"]["sent"] == 120
    assert result["messages"]["lost"] == 0
    assert result["patterns"].keys() == {"call", "cast"}
    assert result["patterns"]["call"]["messages"]["sent"] == 90
    endpoint = next(row for row in result["stages"] if row["name"] == "endpoint")
    # 3.25 ms in the mean, some of which is computed on a busy machine.
    assert 3_200_000 <= endpoint["p50_ns"] <= 6_000_000
    assert result["pacing"]["sent_per_second"] == pytest.approx(40, rel=0.3)
