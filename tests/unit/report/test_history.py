"""A history as it is shown: on the terminal, as a page, and in other tools' files."""

import csv
import io
import json
import re
import shutil
import subprocess

import pytest

from omrig.history import events, reading
from omrig.report import history_text
from omrig.report.files import asv, otava
from omrig.report.html import history as html
from omrig.report.terminal import history as terminal
from tests.unit import histories, synthetic

BEGIN_S = 1_790_000_000.0


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    slow = {"14.8.0": {"wakeup": 500e6}, "17.0.0": {"wakeup": 0.0}}
    histories.save(folder, changes=slow, executor="threading", begin_s=BEGIN_S)
    kept = [each for each in histories.VERSIONS if each != "16.0.0"]
    histories.save(
        folder, changes={"15.0.0": {"decode": 300e3}}, executor="eventlet", begin_s=BEGIN_S + 5,
        name="{version}-b", seed=3, versions=kept,
    )  # fmt: skip
    skipped = [
        {"name": "13.0.0", "version": "13.0.0", "reason": "--with: <b>it</b> does not build"},
        {"name": "16.0.0-b", "version": "16.0.0", "reason": "the consumer ended"},
    ]
    about = {"kind": "history", "package": "oslo.messaging", "skipped": skipped}
    (folder / "experiment.json").write_text(json.dumps(about))
    return reading.read(str(folder))


@pytest.fixture(scope="module")
def happened(history):
    return events.of_history(history)


def test_the_terminal_says_a_change_a_line(history, happened):
    file = io.StringIO()
    terminal.show(history, happened, file, 100)
    lines = file.getvalue().splitlines()
    told = [line for line in lines if line.startswith(">")]
    assert re.fullmatch(
        r"> 14\.8\.0: p50 x 3\d\d \(3\d\d to 3\d\d\), `wakeup` \+500 ms; threading", told[0]
    )
    assert re.fullmatch(r"> 17\.0\.0: p50 / 3\d\d \(.*\), `wakeup` -500 ms; threading", told[1])
    assert told[2].startswith("> 15.0.0: p50 +2")
    assert "`decode` +2" in told[2]
    slow = next(line for line in lines if "451 ms" in line)
    assert slow.split()[0] == "14.8.0"
    assert "<" in slow
    text = " ".join(file.getvalue().split())
    assert "13.0.0 (threading): --with: <b>it</b> does not build" in text
    assert "16.0.0 (eventlet): the consumer ended" in text
    assert all(len(line) <= 100 for line in lines)


def test_the_page_is_self_contained_and_escaped(history, happened):
    page = html.render(history, happened)
    assert "<b>it</b>" not in page
    assert "&lt;b&gt;it&lt;/b&gt; does not build" in page
    assert not re.search(
        r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", page
    )
    assert "default-src 'none'" in page


def test_the_page_draws_metrics_and_stages_with_their_changes(history, happened):
    page = html.render(history, happened)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    names = {"metric-throughput", "metric-p50", "metric-p99", "metric-cpu", "metric-memory"}
    assert names | {"stages-0", "stages-1"} <= set(figures)
    median = figures["metric-p50"]
    lines = [trace for trace in median["data"] if trace["mode"] == "lines"]
    assert [trace["name"] for trace in lines] == ["eventlet", "threading"]
    assert lines[0]["x"] == [*history.versions]
    assert lines[0]["y"][history.versions.index("16.0.0")] is None
    marks = [each["x0"] for each in median["layout"]["shapes"] if each["type"] == "line"]
    begins = ["14.8.0", "17.0.0", "15.0.0"]
    assert sorted(marks) == sorted(history.versions.index(each) - 0.5 for each in begins)
    words = [each["text"] for each in median["layout"]["annotations"]]
    assert "not measured" in words
    assert any(re.fullmatch(r"14\.8\.0: x 3\d\d", each) for each in words)
    assert median["layout"]["yaxis"]["type"] == "log"
    wakeup = next(each for each in figures["stages-1"]["data"] if each["name"][:6] == "wakeup")
    assert max(wakeup["y"]) == pytest.approx(500, rel=0.01)


def test_a_history_of_one_version_is_an_answer(tmp_path):
    histories.put(tmp_path / "01", "18.1.0", synthetic.result())
    found = reading.read(str(tmp_path))
    assert events.of_history(found) == []
    assert history_text.head(found, []) == ("1 version of oslo.messaging: one alone has no history")
    file = io.StringIO()
    terminal.show(found, [], file, 80)
    assert "one alone has no history" in file.getvalue()
    assert "18.1.0" in html.render(found, [])


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(352.0, "x 352"), (2.5, "x 2.5"), (1.218, "+21.8 %"), (0.9, "-10.0 %"), (0.01, "/ 100")],
)
def test_a_ratio_is_a_factor_where_it_is_a_large_one(ratio, text):
    assert history_text.times(ratio) == text


def test_otava_gets_a_row_a_run_with_each_metric_in_a_column(history):
    rows = list(csv.DictReader(io.StringIO(otava.table(history))))
    assert len(rows) == 3 * (2 * len(histories.VERSIONS) - 1)
    assert [row["branch"] for row in rows[:1]] == ["eventlet"]
    assert rows[0]["version"] == "14.6.0"
    assert rows[0]["time"].startswith("2026-09-21T")
    assert float(rows[0]["p50"]) > 1e6
    settings = json.loads(otava.settings(history))["tests"]["omrig"]
    assert settings["file"] == otava.CSV
    assert {each["column"] for each in settings["metrics"].values()} <= rows[0].keys()
    assert settings["metrics"]["throughput"]["direction"] == 1
    assert settings["metrics"]["p50"]["direction"] == -1


def test_asv_gets_results_and_a_repository_of_the_versions(history, tmp_path):
    asv.write(tmp_path, history)
    settings = json.loads((tmp_path / "asv.conf.json").read_text())
    repository = tmp_path / settings["repo"]

    def git(*arguments):
        command = [shutil.which("git"), "--git-dir", str(repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    git("fsck", "--strict")
    assert git("log", "--reverse", "--format=%s", "main") == [*history.versions]
    commit = git("rev-parse", "14.8.0")[0]
    benchmarks = json.loads((tmp_path / "results" / "benchmarks.json").read_text())
    assert benchmarks["version"] == 2
    files = sorted(tmp_path.glob(f"results/*/{commit[:8]}-*.json"))
    assert [path.stem.rpartition("-")[2] for path in files] == ["eventlet", "threading"]
    found = json.loads(files[1].read_text())
    assert (found["version"], found["commit_hash"]) == (2, commit)
    assert found["env_name"] == files[1].stem.partition("-")[2]
    row = dict(zip(found["result_columns"], found["results"]["p50"], strict=True))
    assert row["result"][0] == pytest.approx(0.451, rel=0.02)
    assert len(row["samples"][0]) == 3
    assert row["version"] == benchmarks["p50"]["version"]
    machine = json.loads((files[1].parent / "machine.json").read_text())
    assert machine["machine"] == found["params"]["machine"] == files[1].parent.name
    asv.write(tmp_path, history)
    assert git("rev-parse", "14.8.0") == [commit]
