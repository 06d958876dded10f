"""What omrig makes of the recordings in ``tests/data/golden``, and what it made of them before.

A case is a folder there: ``recorded`` holds run folders as the processes of a run left them,
without anything that omrig derives from that, ``expected`` what it derives. ``run`` is a run,
``producer`` and ``consumer`` are the sides of one run, ``base`` and ``new`` are to be compared.
``tools/record_golden.py`` records them. This module alone knows how omrig is asked.
"""

import base64
import contextlib
import difflib
import io
import json
import lzma
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from unittest import mock

import numpy
from plotly import offline

import omrig
from omrig import cli
from omrig.model.result import Result
from omrig.recordings import folder as run_folder
from omrig.report.files import listed

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "golden"

HOME = "/srv/bench"
"""Where everything lay when it was recorded, by what the files say."""

RUNS = f"{HOME}/runs"
CHECKOUT = f"{HOME}/checkout"
"""What is a file of this repository to whoever reads the recordings."""

PLOTLY = offline.get_plotlyjs()

Texts = dict[str, str]
"""What omrig wrote or printed, by name."""

GATES = (
    "throughput>=-90%",
    "p99<=+2%",
    "stage.deserialize.p50<=+100%",
    "stage.publish.p50<=+900%",
    "errors<=0",
)

_DERIVED = ("run.json", "result.json", "latency.hlog", "stages.speedscope.json", "trace.json")
_READABLE = (".txt", ".xml", "result.json", "stages.csv", "comparison.json")
"""Ends of names of what is stored as it is; all else is compressed."""

_MUCH = 12_000
"""From so many bytes on everything is."""

_ONE_RUN, _SIDES, _COMPARED = {"run"}, {"producer", "consumer"}, {"base", "new"}


def outcome(case: Path) -> Texts:
    """What omrig derives from the recordings of ``case``, made anew in a folder of its own."""
    # Where lines are broken depends on the length of its name, which is always the same.
    with tempfile.TemporaryDirectory(prefix="omrig-golden-", dir="/tmp") as work:
        return _outcome(case, Path(work).resolve())


def _outcome(case: Path, work: Path) -> Texts:
    runs = _copied(case / "recorded", work)
    names = {path.name for path in work.iterdir()}
    with _pinned(work):
        for run in runs:
            finish(run)
        if names == _COMPARED:
            texts = compare(GATES)
        else:
            texts = {}
            for run in runs:
                prefix = "" if names == _ONE_RUN else f"{run}."
                texts |= {prefix + name: text for name, text in of_run(run).items()}
        if names == _SIDES:
            texts |= {f"merged.{name}": text for name, text in merged().items()}
    return {name: _neutral(text, work) for name, text in texts.items()}


def finish(run: str) -> None:
    """Have the result made of the recordings in the folder ``run``, and its page and trace."""
    printed = command("report", run, "--json")
    assert json.loads(printed) == json.loads(Path(run, "result.json").read_text())
    _spare_plotly(Path(run))
    folder, about = run_folder.read_run(run)
    result = Result.from_json(json.loads(printed))
    _, losses = listed.draw(folder, about, result, shared_assets=True)
    assert not losses, losses


def of_run(run: str) -> Texts:
    """What is in the folder ``run`` beside the recordings, and what omrig prints of it."""
    folder = Path(run)
    texts = {name: (folder / name).read_text() for name in _DERIVED if (folder / name).exists()}
    for path in sorted(folder.glob("*/messages.npz")):
        texts[f"{path.parent.name}.messages.json"] = _columns(path)
    return {
        **texts,
        "report.html": (folder / "report.html").read_text(),
        "report.txt": command("report", run),
        "stages.csv": command("report", run, "--csv", "stages"),
        "messages.csv": command("report", run, "--csv", "messages"),
    }


def merged() -> Texts:
    """What omrig shows of the folders ``producer`` and ``consumer`` as one run."""
    sides = ("producer", "consumer")
    _spare_plotly(Path())
    command("report", *sides, "--html", "merged.html", "--shared-assets")
    return {
        "result.json": command("report", *sides, "--json"),
        "report.html": Path("merged.html").read_text(),
        "report.txt": command("report", *sides),
        "stages.csv": command("report", *sides, "--csv", "stages"),
        "messages.csv": command("report", *sides, "--csv", "messages"),
    }


def compare(gates: tuple[str, ...]) -> Texts:
    """What omrig shows and writes of ``base`` and ``new`` beside each other."""
    wanted = [part for gate in gates for part in ("--gate", gate)]
    files = {"--json": "comparison.json", "--html": "comparison.html", "--junit": "gates.xml"}
    options = [part for option in files.items() for part in option]
    printed = command("compare", "base", "new", *wanted, *options)
    texts = {name: Path(name).read_text() for name in files.values()}
    return {**texts, "comparison.txt": printed}


def command(*arguments: str) -> str:
    """What a command prints; after it what it says on standard error and its status, if any."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(arguments)
    told = err.getvalue() + (f"status {status}\n" if status else "")
    return out.getvalue() + told


def expected(case: Path) -> Texts:
    """What omrig derived when it was last held right."""
    texts = {}
    for path in sorted((case / "expected").glob("*")):
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        texts[path.name.removesuffix(".xz")] = content.decode()
    return texts


def expect(case: Path, texts: Mapping[str, str]) -> None:
    """Make ``texts`` what is expected; files that say so already are left alone."""
    folder = case / "expected"
    folder.mkdir(exist_ok=True)
    before = expected(case)
    for name in before.keys() | texts.keys():
        if texts.get(name) == before.get(name):
            continue
        for path in folder.glob(f"{name}*"):
            if path.name.removesuffix(".xz") == name:
                path.unlink()
        if name in texts:
            content = texts[name].encode()
            if name.endswith(_READABLE) and len(content) < _MUCH:
                (folder / name).write_bytes(content)
            else:
                (folder / f"{name}.xz").write_bytes(lzma.compress(content))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The first lines of each text that differ, for a person; empty where none does."""
    shown = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before or name not in now:
            shown.append(f"{name} is {'missing' if name in before else 'new'}")
        elif before[name] != now[name]:
            shown.append(_difference(name, before[name], now[name]))
    return "\n".join(shown)


_MOST_LINES = 20
_LONG_LINE = 160


def _difference(name: str, before: str, now: str) -> str:
    told = (f"{name} as expected", f"{name} as made now")
    lines = list(difflib.unified_diff(_lines(before), _lines(now), *told, n=1, lineterm=""))
    rest = len(lines) - _MOST_LINES
    shown = [f"{line[:_LONG_LINE]}..." if len(line) > _LONG_LINE else line for line in lines]
    return "\n".join(shown[:_MOST_LINES] + ([f"... {rest} lines more"] if rest > 0 else []))


def _lines(text: str) -> list[str]:
    """The lines, long ones (JSON in one line) a piece a line."""
    return [
        piece
        for line in text.splitlines()
        for piece in (line.replace(",", ",\n").split("\n") if len(line) > _LONG_LINE else [line])
    ]


def _copied(recorded: Path, work: Path) -> list[str]:
    """Copy the recordings; the run folders by path in ``work``."""
    shutil.copytree(recorded, work, dirs_exist_ok=True)
    for path in work.rglob("*.json"):
        text = path.read_text()
        if CHECKOUT in text:
            path.write_text(text.replace(CHECKOUT, str(ROOT)))
    return sorted(str(path.parent.relative_to(work)) for path in work.rglob("run.json"))


@contextlib.contextmanager
def _pinned(folder: Path) -> Iterator[None]:
    """In ``folder``, without anything that differs from one machine to the next."""
    of_a_terminal = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TERM")
    with (
        # No viewer is found: commands are shown as they are.
        mock.patch.dict(os.environ, {"PATH": ""}),
        mock.patch.object(sys, "executable", "/nonexistent/python"),
        # Source is read of what is installed, which is our own example alone.
        mock.patch.object(sysconfig, "get_path", return_value=str(DATA)),
        mock.patch.object(omrig, "__version__", "0"),
        contextlib.chdir(folder),
    ):
        for name in of_a_terminal:
            os.environ.pop(name, None)
        yield


def _spare_plotly(folder: Path) -> None:
    """Where its script lies beside a page already it is not written again."""
    (folder / f"plotly-{metadata.version('plotly')}.min.js").touch()


def _neutral(text: str, work: Path) -> str:
    """The text without what the machine and its libraries have put into it."""
    if len(text) > len(PLOTLY):
        text = text.replace(PLOTLY, "plotly's script")
    text = re.sub(r"plotly-[\w.]+\.min\.js", "plotly.min.js", text)
    text = text.replace(str(work), RUNS).replace(str(ROOT), CHECKOUT)
    text = re.sub(r"HISTF[\w+/=]+", lambda found: _histogram(found[0]), text)
    # The last digits of a logarithm are the processor's.
    return re.sub(r"(?<![\w.])-?\d+\.\d{10,}(?:e[-+]?\d+)?", lambda f: f"{float(f[0]):.12g}", text)


def _histogram(encoded: str) -> str:
    """A histogram of an HdrHistogram log, not as this zlib compresses it."""
    return zlib.decompress(base64.b64decode(encoded)[8:]).hex()


def _columns(path: Path) -> str:
    with numpy.load(path) as file:
        columns = {f"{name} {file[name].dtype}": file[name].tolist() for name in file.files}
    return "".join(f"{name}: {json.dumps(values)}\n" for name, values in columns.items())
