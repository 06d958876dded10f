"""The page of a sweep as a browser shows it."""

import numpy
import pytest

from omrig.experiment import factors, sweeping
from omrig.experiment.standing import Rule
from omrig.experiment.sweeping import Measured
from omrig.report.html import sweep as sweep_html
from tests.browser.conftest import Page
from tests.unit.experiment import swept


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a factor and of a grid."""
    folder = tmp_path_factory.mktemp("sweep")
    rng = numpy.random.default_rng(0)
    both = [factors.factor(name, "--set", levels) for name, levels in
            (("threads", ["4", "8"]), ("pool", ["2", "30"]))]  # fmt: skip
    points = factors.grid(both)
    runs = [
        Measured(name, levels, {at: swept.figures(rng, int(levels[0])) for at in range(4)})
        for name, levels in zip(factors.names(both, points), points, strict=True)
    ]
    made = {
        "factor": swept.sweep(swept.measured(rng)),
        "grid": sweeping.found(
            both, runs, swept.BUCKETS, Rule("throughput", 0.05, (4,)), swept.LOAD
        ),
    }
    for name, sweep in made.items():
        (folder / f"{name}.html").write_text(sweep_html.render(sweep, "x"), encoding="utf-8")
    return {name: Page((folder / f"{name}.html").as_uri()) for name in made}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["factor", "grid"])
def test_it_is_drawn_without_a_network_and_fits(pages, show, name, width):
    shown = show(pages[name], width=width)
    page = shown.page
    assert shown.complaints == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in shown.requests)
    drawn = page.locator("[data-figure]")
    assert drawn.count() == {"factor": 4, "grid": 5}[name]
    for at in range(drawn.count()):
        assert drawn.nth(at).locator("svg.main-svg").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "is recommended" in page.inner_text("h1")
    rows = page.locator("#point-rows tbody tr")
    assert rows.count() == {"factor": 6, "grid": 4}[name]
    assert page.locator("tr.point-recommended").count() == 1
