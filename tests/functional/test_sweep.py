"""An option at two levels, in rounds on one broker, as a user sweeps it."""

import json


def test_both_levels_are_measured_and_the_better_is_told(run, broker, tmp_path):
    status, out, err = run(
        "sweep", "--set", "executor_thread_pool_size=1,4", "-n", 2, "--output", "s",
        "--", "-m", 30, "-w", 4, "--warmup", 4, "--endpoint", "sleep:20ms",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    found = json.loads((tmp_path / "s/sweep.json").read_text())
    one, four = found["points"]
    assert [point["rounds"] for point in (one, four)] == [2, 2]
    # One thread answers fifty messages a second at most.
    assert one["figures"]["throughput"]["value"] < 50
    assert four["figures"]["throughput"]["value"] > 75
    assert found["recommended"] == "executor_thread_pool_size=4"
    queues = [
        {stage["name"]: stage["share"] for stage in point["stages"]}["executor_queue"]
        for point in (one, four)
    ]
    assert queues[0] > 0.5 > queues[1]
    text = " ".join(out.split())
    assert "executor_thread_pool_size=4, the largest level, is recommended" in text
    assert "`executor_queue` falls" in text
    assert "at most 4 messages are under way" in text
    runs = sorted(str(path.parent.relative_to(tmp_path / "s")) for path in
                  (tmp_path / "s").glob("*/*/result.json"))  # fmt: skip
    assert runs == [f"executor_thread_pool_size={level}/0{at}" for level in (1, 4) for at in (1, 2)]
    assert (tmp_path / "s/sweep.html").exists()
    about = json.loads((tmp_path / "s/experiment.json").read_text())
    assert (about["kind"], about["complete"]) == ("sweep", True)
    password = broker.url.partition("@")[0].rpartition(":")[2]
    written = "".join((tmp_path / "s" / name).read_text() for name in
                      ("sweep.json", "sweep.html", "experiment.json"))  # fmt: skip
    assert password not in out + err + written
