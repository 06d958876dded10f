"""What the operating system refuses is one line that names the place, and loses nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from omrig import cli
from omrig.cli import results, streams
from omrig.cli.configurations import configuration
from omrig.measured import process
from omrig.measured.measurement import Measurement
from omrig.model import errors, events
from omrig.model.errors import Losses
from omrig.model.plan import Output, Plan
from omrig.model.run import Run
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.supervisor.child import Child
from tests.unit.accounting.test_results import consumer, make_run, producer
from tests.unit.refused import closed, limited_files
from tools import synthetic

OMRIG = [sys.executable, "-m", "omrig"]
IN_MEMORY = ["run", "--transport-url", "kombu+memory://", "-m", "60", "-w", "4"]


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused") / "run"
    synthetic.write(folder, 2000)
    return folder


def omrig(*arguments, redirected="", **environment):
    """Run omrig by a shell that redirects, or closes, what it is to write to."""
    command = [*OMRIG, *map(str, arguments)]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *command],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


# Standard output and standard error


@pytest.mark.parametrize(
    ("arguments", "redirected", "said"),
    [
        (["report", "RUN"], ">/dev/full", "standard output: No space left on device"),
        (["report", "RUN"], ">&-", "standard output: it is closed"),
        (["report", "RUN", "--csv", "messages"], ">/dev/full", "standard output: No space left"),
        (["report", "RUN", "--html"], ">&-", "standard output: it is closed"),
        (["compare", "RUN", "RUN", "--json"], ">/dev/full", "standard output: No space left"),
        (["compare", "RUN", "RUN"], ">&- <&-", "standard output: it is closed"),
        (["targets"], ">&-", "standard output: it is closed"),
        (["--help"], ">/dev/full", "standard output: No space left on device"),
        (["--version"], ">&-", "standard output: it is closed"),
        (["report", "/absent"], ">&- 2>/dev/full", ""),
        (["report", "/absent"], ">&- 2>&- <&-", ""),
    ],
)
def test_output_that_takes_nothing(run, arguments, redirected, said):
    named = [run if each == "RUN" else each for each in arguments]
    done = omrig(*named, redirected=redirected)
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    assert lines == [lines[0]] if said else lines == []
    assert not said or lines[0].startswith(f"omrig: {said}")


@pytest.mark.parametrize("arguments", [["report", "RUN"], ["report", "RUN", "--csv", "messages"]])
def test_a_reader_that_has_gone_is_no_failure(run, arguments):
    read, write = os.pipe()
    os.close(read)
    command = [*OMRIG, *(str(run) if each == "RUN" else each for each in arguments)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_run_outlives_its_output_and_says_where_the_results_are(tmp_path):
    done = omrig(*IN_MEMORY, "--quiet", "--output", tmp_path / "run", redirected=">/dev/full")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line == (
        f"omrig: the load is over, the results are in {tmp_path / 'run'}; report not shown:"
        " standard output: No space left on device;"
        f" omrig report {tmp_path / 'run'} shows it"
    )
    assert json.loads((tmp_path / "run" / "result.json").read_text())["complete"]


def test_a_run_outlives_whoever_heard_of_its_progress(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*OMRIG, *IN_MEMORY, "--json", "--output", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=write,
        check=False,
    )
    os.close(write)
    assert done.returncode == 0
    assert json.loads(done.stdout)["messages"]["received"] == 60


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
    ],
    ids=["ascii", "latin-1", "C"],
)
@pytest.mark.parametrize("arguments", [["report", "RUN"], ["targets"]], ids=["report", "targets"])
def test_a_terminal_that_lacks_letters(run, arguments, environment):
    done = omrig(*(run if each == "RUN" else each for each in arguments), **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    if environment.get("PYTHONIOENCODING") == "latin-1":
        assert done.stdout.decode("latin-1").isprintable() is False
        assert "µs".encode("latin-1") in done.stdout or arguments == ["targets"]
    else:
        assert done.stdout.isascii()
        assert b" us" in done.stdout or arguments == ["targets"]
    assert b"?" not in done.stdout


def test_names_that_are_not_utf8_can_be_copied_from_what_is_said(tmp_path):
    folder = os.fsencode(tmp_path) + b"/r\xffn"
    done = subprocess.run([*OMRIG, b"report", folder], capture_output=True, check=False)
    assert done.returncode == 2
    assert folder in done.stderr and done.stderr.count(b"\n") == 1
    synthetic.write(Path(os.fsdecode(folder)), 50)
    done = subprocess.run([*OMRIG, b"report", folder, b"--html"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, folder + b"/report.html\n")


def test_letters_are_replaced_by_what_they_look_like():
    streams.prepare()
    assert "12 µs ± 3 █ 漢".encode("ascii", "omrig.plain") == b"12 us +- 3 # ?"


# Paths


LONG = "/" + "x" * 300


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "--output", "<file>/x"], "--output: <file>/x/producer: Not a directory; "),
        (["-p", "--output", "/proc/x/y"], "--output: /proc/x: No such file or directory; "),
        (["-p", "--output", LONG], "File name too long; name a shorter path"),
        (["-p", "--output", "a\0b"], "'a\\x00b': no path and no name has a NUL in it"),
        (["run", "--profile", "lines", "--target", "<file>/x.py"], "--target: "),
        (["targets", "--target", "<folder>"], "--target: <folder>: Is a directory; name a file"),
        (["report", "<file>"], "RUN: <file>/run.json: Not a directory; "),
        (["report", LONG], "RUN: /xxx"),
        (
            ["report", "<run>", "--html", "<file>/page.html"],
            "--html: <file>/page.html: Not a directory",
        ),
        (
            ["report", "<run>", "--html", "<folder>"],
            "--html: <folder>: Is a directory; name a file",
        ),
        (["compare", "<run>", "<run>", "--json", "<file>/x"], "--json: <file>/x: Not a directory"),
        (["compare", "<run>", "<run>", "--html", LONG], "name a shorter path"),
        (["compare", "<run>", "<run>", "--junit", "/proc/x"], "--junit: /proc/x: No such file"),
        (["compare", LONG, "<run>"], "BASE: /xxx"),
        (["ab", "--junit", "/absent/x", "--", "--"], "--junit: /absent: No such file"),
        (["ab", "--html", "<folder>", "--", "--"], "--html: <folder>: Is a directory"),
        (
            ["run", "--transport-url", "kafka://localhost"],
            "--transport-url: the driver knows no port",
        ),
    ],
)
def test_paths_that_cannot_be(run, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    names = {"<run>": run, "<file>": tmp_path / "file", "<folder>": tmp_path}

    def named(text):
        for name, path in names.items():
            text = text.replace(name, str(path))
        return text

    assert cli.main([named(each) for each in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert named(said) in told.err and "defect" not in told.err and "Errno" not in told.err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "<here>/run"], "RUN: <here>/run/run.json: Permission denied; change its perm"),
        (["compare", "<here>/run", "<here>/run"], "BASE: <here>/run"),
        (["-p", "--output", "<here>/x"], "--output: <here>/x/run.json: Permission denied; "),
        (["targets", "--target", "<here>/x.toml"], "--target: <here>/x.toml: Permission denied; "),
    ],
)
def test_folders_that_may_not_be_used(run, tmp_path, capsys, arguments, said):
    # Loaded while everything may be read.
    cli.main(["report", str(run), "--html", str(tmp_path / "page.html")])
    cli.main(["targets"])
    cli.main(["compare", str(run), str(run)])
    capsys.readouterr()
    (tmp_path / "here").mkdir()
    place = str(tmp_path / "here")

    with closed(tmp_path / "here"):
        assert cli.main([each.replace("<here>", place) for each in arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and said.replace("<here>", place) in told


def test_what_is_no_file_is_written_as_it_is(run, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert cli.main(["compare", str(run), str(run), "--json", str(pipe)]) == 0
        assert json.loads(reader.communicate()[0])["call"]
    assert pipe.is_fifo()


# A full disk


def test_a_file_is_whole_or_what_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with limited_files(1000):
        with pytest.raises(OSError) as refused:
            writer.write_json(path, "x" * 2000)
        with pytest.raises(OSError) as not_added:
            writer.append(path, b"x" * 2000)
    assert errors.in_words(refused.value).startswith(f"{path}: File too large; raise the limit")
    assert str(not_added.value.filename) == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to("file")
    writer.write_json(tmp_path / "link", 1)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "1\n"


def test_no_room_is_found_before_the_load(tmp_path, capsys):
    arguments = [*IN_MEMORY, "--quiet", "--output", str(tmp_path / "run")]
    with limited_files(100_000):
        assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"omrig: --output: {tmp_path / 'run'}: File too large; raise the limit")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_room_that_was_kept_is_there_when_it_is_needed(tmp_path):
    writer.reserve(tmp_path, 100_000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 100_000
    writer.release(tmp_path)
    writer.release(tmp_path)
    assert list(tmp_path.iterdir()) == []


class Saved:
    """A side, and a profiler; what has too much to save fails."""

    def __init__(self, name, size=10):
        self.name = name
        self.size = size

    def save(self, folder, *_):
        writer.write_json(folder / f"{self.name}.json", "x" * self.size)
        return []

    def declared(self):
        return {"queues": []}


def test_what_finds_room_is_saved_and_what_does_not_is_said(tmp_path):
    (tmp_path / "producer").mkdir()
    told = []
    plan = Plan(sides=("producer",), run_id="r", output=Output(folder=str(tmp_path)))
    measurement = Measurement([Saved("large", 5000), Saved("small")])
    with limited_files(1000):
        process._save(plan, told.append, [Saved("producer", 5000)], measurement)
    unwritten, saved = told
    (paths,) = unwritten.paths.values()
    assert paths == ["producer/producer.json", "producer/large.json"]
    assert saved == events.Saved(["producer"])
    assert sorted(path.name for path in (tmp_path / "producer").iterdir()) == [
        "artefacts.json",
        "small.json",
    ]


def test_a_result_is_given_where_it_cannot_be_written(tmp_path):
    folder = make_run(tmp_path, ("producer", "consumer"))
    producer(folder, [(1, 2), (3, 5), (4, 9)])
    consumer(folder, [1, 2, 3])
    ended = Run.from_json(run_folder.read_json(folder / "run.json"))
    losses = Losses(folder)
    with limited_files(400):
        result = results.account(folder, losses, ended).to_json()
    assert not result["complete"]
    assert "not written: " in result["reason"] and "result.json" in result["reason"]
    assert result["reason"].count("File too large") == 1
    assert result["messages"]["sent"] == 3 and result["latency"]["max"] == 5
    assert not list(folder.rglob("*.part"))
    # Shown again with room, nothing is missing.
    again = results.account(folder, Losses(folder)).to_json()
    assert again["complete"] and again["latency"] == result["latency"]


def test_a_child_is_heard_though_its_log_finds_no_room(tmp_path, capsys):
    (tmp_path / "consumer").mkdir()
    child = Child.__new__(Child)
    child.name = "consumer"
    child._log = tmp_path / "consumer" / "log.txt"
    child._plan = configuration("a", []).plan
    child._process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "print('x' * 99, flush=True)\nfor _ in range(3000): print('y' * 99)",
        ],
        stdout=subprocess.PIPE,
    )
    with limited_files(1000):
        child._pump_log()
    assert child._process.wait(10) == 0
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "consumer: lines are missing in its log.txt: " in told
    assert child._log.read_text().startswith("x" * 99 + "\n")


# Drivers
