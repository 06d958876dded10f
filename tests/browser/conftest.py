"""A headless Chromium, and the pages of runs of every kind as it shows them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from omrig.compare import comparison as compare
from omrig.compare import gates, runs
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.report.html import comparison as compare_html
from omrig.report.html import page as html
from tools import synthetic

FONTS = {
    "narrow": 0.47,
    "wide": 0.55,
    "DejaVu Sans": None,
}
"""Fonts to show a page with, on purpose: how wide a letter of :data:`_LETTERS` is in ems, so that
what the machine has is spaced like Arial or like Verdana; None for a font of that name."""

_LETTERS = "The quick brown fox jumps over the lazy dog, 0123456789 ms"

_LETTER_EMS = """([letters, font]) => {
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.font = '100px ' + (font || getComputedStyle(document.body).fontFamily);
  return canvas.measureText(letters).width / letters.length / 100;
}"""

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


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that is not in its run's folder."""

    url: str


def make(folder: Path, change=None, **arguments) -> Run:
    """Write a synthetic run, changed by ``change(run, result)``, and its page."""
    synthetic.write(folder, arguments.pop("messages", 1500), **arguments)
    run = run_folder.read_json(folder / run_folder.RUN)
    result = run_folder.read_json(folder / run_folder.RESULT)
    if change:
        change(run, result)
        writer.write_json(folder / run_folder.RUN, run)
        writer.write_json(folder / run_folder.RESULT, result)
    draw(folder)
    return Run(folder, result)


def draw(folder: Path, page: Path | None = None, **options) -> None:
    """Write the page of the run in ``folder`` there, or as ``page``."""
    _, run = run_folder.read_run(str(folder))
    result = run_folder.read_result(folder)
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


def elsewhere(run, result):
    """As on another host, with a name that is not to be broken."""
    run["environment"]["host"] = "another-host-of-this-cloud.region-one.example.org"


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
    writer.write_json(run.folder / "producer" / "stages.json", meta)
    draw(run.folder)
    return run


@pytest.fixture(scope="session")
def comparison(tmp_path_factory):
    """The page of a comparison of two runs."""
    folder = tmp_path_factory.mktemp("comparison")
    base, new = (
        runs.read(str(make(folder / name, change, seed=seed).folder), name)
        for name, change, seed in (("BASE", None, 1), ("NEW", elsewhere, 2))
    )
    both = runs.read_messages(base.runs[0]), runs.read_messages(new.runs[0])
    found = compare.compare(base, new, [gates.parse("p99<=+5%")], both)
    page = folder / "comparison.html"
    page.write_text(compare_html.render(found, ([both[0]], [both[1]])), encoding="utf-8")
    return Page(page.as_uri())


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

    ``font`` is one of :data:`FONTS`, None for the machine's. A page that was opened before is given
    again, as the last test left it, unless ``fresh``.
    """
    known = {}

    def show(run, scheme="light", width=1280, fresh=False, font=None, **options):
        key = (run.url, scheme, width, font, *sorted(options.items()))
        if fresh or key not in known:
            known[key] = _opened(chromium, run, scheme, width, options)
            if font:
                set_font(known[key].page, font)
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


def set_font(page, font):
    """Show the page, figures too, with a font of :data:`FONTS`."""
    ems = FONTS[font]
    if ems is None:
        name = f'"{font}"'
        # What is not there would be replaced without a word.
        widths = {
            page.evaluate(_LETTER_EMS, [_LETTERS, f"{name}, {other}"])
            for other in ("monospace", "serif")
        }
        assert len(widths) == 1, (
            f"no {font} here: apt-get install fonts-dejavu-core (tools/setup test does)"
        )
        page.add_style_tag(content=f":root {{ --font: {name} !important; }}")
    else:
        more = ems - page.evaluate(_LETTER_EMS, [_LETTERS, None])
        page.add_style_tag(
            content=f"body :not(code, pre) {{ letter-spacing: {more:.4f}em !important; }}"
        )
    # After which figures are drawn anew.
    page.evaluate("dispatchEvent(new Event('afterprint'))")
