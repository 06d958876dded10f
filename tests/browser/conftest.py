"""A headless Chromium, and the pages of runs of every kind as it shows them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from omrig.report import html
from omrig.results import folder as run_folder
from tools import synthetic

HOSTILE = (
    "\"><script>window.taken = 1</script><img src=x onerror='window.taken = 2'>&amp;{{ 7 * 7 }}"
)
"""What somebody may have named a host, a queue or an exception."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder with its page."""

    folder: Path
    result: dict[str, Any]

    @property
    def url(self) -> str:
        return (self.folder / html.PAGE).as_uri()


def make(folder: Path, change=None, **arguments) -> Run:
    """Write a synthetic run, changed by ``change(run, result)``, and its page."""
    synthetic.write(folder, arguments.pop("messages", 1500), **arguments)
    run = run_folder.read_json(folder / run_folder.RUN)
    result = run_folder.read_json(folder / run_folder.RESULT)
    if change:
        change(run, result)
        run_folder.write_json(folder / run_folder.RUN, run)
        run_folder.write_json(folder / run_folder.RESULT, result)
    draw(folder)
    return Run(folder, result)


def draw(folder: Path, page: Path | None = None, **options) -> None:
    """Write the page of the run in ``folder`` there, or as ``page``."""
    run = run_folder.read_json(folder / run_folder.RUN)
    result = run_folder.read_json(folder / run_folder.RESULT)
    html.write(page or folder / html.PAGE, [folder], run, result, **options)


def profiled(run, result):
    """As after ``--profile yappi,lines,memory``, from a hostile place."""
    import json.encoder

    file = json.encoder.__file__
    source = Path(file).read_text().splitlines()
    line = next(n for n, text in enumerate(source, 1) if "def iterencode" in text)
    functions = [
        {"role": "worker", "function": "JSONEncoder.iterencode", "file": file, "line": line,
         "package": "json", "calls": 3000, "self_ns": 9_000_000, "cumulative_ns": 12_000_000,
         "share": 0.6},
        {"role": "worker", "function": HOSTILE, "file": None, "line": None,
         "package": "builtins", "calls": 10, "self_ns": 1_000_000, "share": 0.1},
    ]  # fmt: skip
    lines = [
        {"file": file, "line": line, "function": "iterencode", "hits": 5, "time_ns": 700,
         "share": 0.7, "source": "if a < b and c > d:"},
        {"file": file, "line": line + 1, "function": "iterencode", "hits": 5, "time_ns": 300,
         "share": 0.3, "source": HOSTILE, "switched_out_ns": 100},
    ]  # fmt: skip
    result["profiles"] = {
        "producer": {
            "yappi": {
                "clock": "cpu",
                "total_ns": 15_000_000,
                "roles": [{"role": "worker", "contexts": 10, "self_ns": 15_000_000, "share": 1.0}],
                "packages": [{"package": "json", "self_ns": 9_000_000, "share": 0.6}],
                "functions": functions,
            },
            "lines": {"targets": ["json"], "lines": lines},
            "memory": {"growth_bytes_per_message": 12.5, "peak_rss_bytes": 64 << 20},
        }
    }
    run["environment"]["host"] = HOSTILE
    run["options"] = {HOSTILE: HOSTILE}
    result["messages"]["errors"] = {HOSTILE: 3}
    result["reason"] = f"3 of 1500 messages failed: {HOSTILE}"
    result["artefacts"].append(
        {"path": HOSTILE, "kind": HOSTILE, "side": "producer", "open_with": "snakeviz {path}"}
    )


@pytest.fixture(scope="session")
def call(tmp_path_factory):
    """Both sides of calls, some of which failed, on a broker that blocked for a while."""
    return make(tmp_path_factory.mktemp("call") / "run", failed=7)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """A run in which every section has something to show, and much of it is hostile."""
    run = make(tmp_path_factory.mktemp("full") / "run", profiled, failed=3)
    meta = run_folder.read_json(run.folder / "producer" / "stages.json")
    meta["blocked"][0][1] = HOSTILE
    run_folder.write_json(run.folder / "producer" / "stages.json", meta)
    draw(run.folder)
    return run


@pytest.fixture(scope="package")
def chromium():
    """A headless browser; its event loop is not to be that of other packages' tests."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no chromium here: apt-get install chromium (tools/setup test does)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@dataclasses.dataclass
class Shown:
    """A page, and what it did that was not asked for."""

    page: Any
    complaints: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture(scope="package")
def show(chromium):
    """Open a page; whatever it complains about or asks the network for is noted.

    A page that was opened before is given again, as the last test left it, unless ``fresh``.
    """
    known = {}

    def show(run, scheme="light", width=1280, fresh=False, **options):
        key = (run.url, scheme, width, *sorted(options.items()))
        if fresh or key not in known:
            known[key] = _opened(chromium, run, scheme, width, options)
        return known[key]

    return show


def _opened(chromium, run, scheme, width, options):
    context = chromium.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(20_000)
    shown = Shown(context.new_page())
    shown.page.on("console", lambda message: shown.complaints.append(message.text))
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("request", lambda request: shown.requests.append(request.url))
    shown.page.goto(run.url)
    return shown
