"""The page of a run as a browser shows it: its numbers, its looks, and who can read it."""

import itertools
import re

import pytest

from omrig.report import owners as shares
from omrig.report.html import page as html
from tests.browser.conftest import FONTS, HOSTILE, Page, draw, make

PHONE = {"width": 390, "is_mobile": True, "has_touch": True}

UNITS = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}

SECTIONS = [
    "message", "stages", "shares", "latency", "time", "slowest", "usage", "profiles",
    "environment", "trust", "files",
]  # fmt: skip


def nanoseconds(text):
    """A duration as people read it, in ns."""
    number, _, unit = text.strip().partition(" ")
    return float(number.replace(",", "")) * UNITS.get(unit, 1)


def text_of(page, selector):
    return page.locator(selector).first.inner_text()


def opened(page):
    """Open all that can be opened."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")


# The numbers


def test_the_numbers_are_those_of_the_result(call, show):
    page, result = show(call).page, call.result
    assert float(text_of(page, "#throughput data").replace(",", "")) == pytest.approx(
        result["throughput"]["messages_per_second"], abs=0.06
    )
    for name in ("p50", "p99"):
        assert nanoseconds(text_of(page, f"#{name}")) == pytest.approx(
            result["latency"][name], rel=0.005
        )
    for name in ("mean", "p50", "p90", "p99", "p999", "max"):
        shown = text_of(page, f"[data-latency={name}]")
        assert nanoseconds(shown) == pytest.approx(result["latency"][name], rel=0.005)
    messages = result["messages"]
    assert text_of(page, "#replied").split() == [f"{messages['replied']:,}", "of", "1,500"]
    assert text_of(page, "#received") == f"{messages['received']:,}"
    assert text_of(page, "#lost") == "0"
    shown, head = (
        re.sub(r"\W+", " ", text).strip().lower()
        for text in (page.inner_text("h1"), result["verdict"]["head"])
    )
    assert shown.startswith(head)


def test_every_stage_has_its_row(call, show):
    page, stages = show(call).page, call.result["stages"]
    rows = page.locator("table.stages tbody tr")
    assert [rows.nth(n).get_attribute("data-stage") for n in range(rows.count())] == [
        stage["name"] for stage in stages
    ]
    shown = shares.percentages([stage["share"] for stage in stages])
    for number, stage in enumerate(stages):
        cells = rows.nth(number).locator("td").all_inner_texts()
        assert cells[1:3] == [shares.bucket_of(stage["name"], stage["bucket"]), stage["side"]]
        assert cells[3] == f"{shown[number]:.1f} %"
        for cell, key in zip(
            cells[4:9], ("mean_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns"), strict=True
        ):
            assert nanoseconds(cell) == pytest.approx(stage[key], rel=0.005)
    assert page.locator("table.stages tr.named").count() == 1


def test_the_shares_are_those_of_the_buckets(call, show):
    page = show(call).page
    for bucket, share in call.result["buckets"].items():
        shown = text_of(page, f"[data-bucket={bucket}] td.n")
        assert float(shown.removesuffix(" %")) == pytest.approx(100 * share, abs=0.11)
    whole = page.locator("table.shares .leg td").all_inner_texts()
    assert sum(float(text.removesuffix(" %")) for text in whole) == pytest.approx(100)


def test_the_waterfalls_are_to_scale(call, show):
    page = show(call).page
    slow = call.result["waterfall"]["p99"]
    for kind, durations in (("p50", None), ("p99", slow)):
        table = page.locator(f"[data-message={kind}]")
        whole = float(table.locator("caption data").get_attribute("value"))
        rows = table.locator("tbody tr:not(.leg)")
        assert rows.count() >= 5
        end = 0.0
        for number in range(rows.count()):
            row = rows.nth(number)
            took = float(row.locator("data").get_attribute("value"))
            name = row.locator("code").inner_text()
            if durations:
                assert took == durations[name]
            track, bar = row.locator(".track").bounding_box(), row.locator(".bar").bounding_box()
            assert bar["width"] == pytest.approx(max(2, took / whole * track["width"]), abs=0.6), (
                name
            )
            begins = bar["x"] - track["x"]
            # Only what was too short to be drawn lies between neighbours.
            assert end - 0.6 <= begins <= end + 0.03 * track["width"]
            end = begins + took / whole * track["width"]
        assert end == pytest.approx(track["width"], rel=0.01)
    assert sum(slow.values()) == pytest.approx(whole, rel=1e-6)
    p50 = page.locator("[data-message=p50] caption data").get_attribute("value")
    assert float(p50) == pytest.approx(call.result["latency"]["p50"], rel=0.02)


def test_the_curves_hold_the_numbers(call, show):
    page, result = show(call).page, call.result
    curve = page.evaluate("document.getElementById('figure-latency').data")
    assert curve[0]["y"][-1] * 1e6 == pytest.approx(result["latency"]["max"], rel=1e-6)
    marked = dict(zip(curve[1]["text"], curve[1]["y"], strict=True))
    assert marked["p99"] * 1e6 == pytest.approx(result["latency"]["p99"], rel=1e-6)
    # The marks lie on the curve.
    for x, y in zip(curve[1]["x"], curve[1]["y"], strict=True):
        nearest = min(range(len(curve[0]["x"])), key=lambda n: abs(curve[0]["x"][n] / x - 1))
        assert curve[0]["y"][nearest] == pytest.approx(y, rel=0.05)
    time = page.evaluate("document.getElementById('figure-time').data")
    rate = time[0]
    width = result["throughput"]["duration_seconds"] / len(rate["x"])
    ended = sum(step["messages"] for step in result["throughput"]["series"])
    assert sum(rate["y"]) * width == pytest.approx(ended, rel=0.001)
    largest = next(trace for trace in time if trace["name"] == "largest latency")
    assert max(largest["y"]) * 1e6 == pytest.approx(result["latency"]["max"], rel=1e-6)
    names = {trace["name"] for trace in time}
    assert {"errors", "blocked", "connection opened"} <= names
    rows = page.locator("#by-time tbody tr").all_text_contents()
    assert len(rows) == len(rate["x"])
    assert f"{rate['y'][0]:,.1f}" in rows[0]
    usage = page.evaluate("document.getElementById('figure-usage').data")
    assert {trace["name"] for trace in usage} >= {"producer", "consumer", "broker"}
    cpu = next(trace for trace in usage if trace["name"] == "broker")
    assert cpu["y"] == pytest.approx([0.5] * len(cpu["y"]), abs=0.01)


def test_errors_and_broker_events_are_in_words(call, show):
    rows = show(call).page.locator("table.events tbody tr").all_inner_texts()
    blocked = next(row for row in rows if "low on memory" in row)
    assert "producer" in blocked
    failed = [int(count) for row in rows for count in re.findall(r"(\d+) messages? sent that", row)]
    assert sum(failed) == call.result["messages"]["errors"]["MessagingTimeout"] == 7


def test_the_slowest_messages_are_the_slowest(call, show):
    page = show(call).page
    took = [
        int(value.get_attribute("value")) for value in page.locator(".slowest .took data").all()
    ]
    assert len(took) == 20
    assert took == sorted(took, reverse=True)
    assert took[0] == call.result["latency"]["max"]
    first = page.locator(".slowest details").first
    first.evaluate("(each) => each.open = true")
    table = first.locator("table")
    assert nanoseconds(table.locator("caption data").inner_text()) == pytest.approx(
        took[0], rel=0.005
    )
    assert table.is_visible()


def test_the_totals_of_both_sides(call, show):
    page = show(call).page
    for side in ("producer", "consumer"):
        cells = page.locator(f"[data-resources={side}] td").all_inner_texts()
        used = call.result["resources"][side]
        seconds = used["cpu_user_seconds"] + used["cpu_system_seconds"]
        assert float(cells[0].removesuffix(" s")) == pytest.approx(seconds, abs=0.005)
        assert float(cells[1]) == pytest.approx(seconds / used["wall_seconds"], abs=0.006)
        assert cells[3] == "61.0 MiB"
        assert cells[8].replace(",", "") == str(used["involuntary_context_switches"])


def test_what_the_profilers_cost_and_found(full, show):
    page = show(full).page
    opened(page)
    row = page.locator("#distortion [data-mode=stages]").inner_text()
    assert "0.95" in row and "0.93 to 0.97" in row and "1.04" in row and "10" in row.split()
    hot = page.locator("table.functions tbody tr").first.inner_text()
    assert "JSONEncoder.iterencode" in hot and "9.00 ms" in hot and "60.0 %" in hot
    assert "def iterencode" in page.locator("pre.code").first.inner_text()
    lines = page.locator("table.lines").first.inner_text()
    assert "if a < b and c > d:" in lines and "70.0 %" in lines
    assert "12.5 B" in page.locator("#profiles dl").inner_text()


# What it does not do


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_every_section_without_a_complaint_or_a_request(full, show, options):
    shown = show(full, **options)
    page = shown.page
    links = page.locator("nav a")
    assert [link.get_attribute("href") for link in links.all()] == [f"#{id}" for id in SECTIONS]
    for number, section in enumerate(SECTIONS):
        links.nth(number).click()
        assert page.url.endswith(f"#{section}")
        page.wait_for_function(
            "(id) => { const box = document.getElementById(id).getBoundingClientRect();"
            " return box.bottom > 0 && box.top < innerHeight }",
            arg=section,
        )
    for details in page.locator("section > details").all():
        was_open = details.evaluate("(each) => each.open")
        details.locator("summary").first.click()
        assert details.evaluate("(each) => each.open") is not was_open
    page.mouse.move(200, 300)
    page.wait_for_timeout(100)
    assert shown.complaints == []
    assert {url.partition("#")[0] for url in shown.requests} == {full.url}


def test_nothing_hostile_is_taken_for_the_page_s_own(full, show):
    shown = show(full)
    page = shown.page
    opened(page)
    assert page.evaluate("window.taken") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3
    for place in (".run", ".incomplete", "#environment", "#files", "#profiles", "header .caveats"):
        assert HOSTILE in " ".join(page.locator(place).all_inner_texts()), place
    # What plotly shows of it is text, too.
    page.evaluate(
        """() => {
          const place = document.getElementById('figure-time');
          const number = place.data.findIndex((trace) => trace.name === 'blocked');
          Plotly.Fx.hover(place, [{curveNumber: number, pointNumber: 0}], ['xy3']);
        }"""
    )
    label = page.locator("#figure-time .hoverlayer").text_content()
    assert "<script>window.taken" in label and "onerror=" in label
    assert page.locator("img").count() == 0
    assert page.evaluate("window.taken") is None
    assert shown.complaints == []


# Everywhere


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("kind", ["full", "comparison"])
def test_nothing_is_wider_than_the_window_or_the_paper(request, show, kind, font):
    run = request.getfixturevalue(kind)
    desktop = show(run, font=font).page
    fits(desktop, 1280)
    # What every run has is seen whole; a function may have any name.
    cut = desktop.locator(".scroller:has(.stages, .changes, .totals)").evaluate_all(
        "(all) => all.filter((each) => each.scrollWidth > each.clientWidth)"
        ".map((each) => each.getAttribute('aria-label'))"
    )
    assert cut == []
    phone = show(run, font=font, **PHONE).page
    for width in (768, 390, 320):
        fits(phone, width)
    on_paper(desktop)
    fits(desktop, 700)
    off_paper(desktop)


def fits(page, width):
    """Hold a page with all that can be opened to this width."""
    page.set_viewport_size({"width": width, "height": 800})
    opened(page)
    # Both figures and text have taken the new width.
    page.wait_for_function("(width) => document.documentElement.clientWidth === width", arg=width)
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= width, page.evaluate(
        """(width) => {
          const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const range = document.createRange(), parent = walker.currentNode.parentElement;
            range.selectNodeContents(walker.currentNode);
            const right = range.getBoundingClientRect().right;
            if (right > width && !parent.closest("svg, pre, .scroller"))
              found.push(parent.outerHTML.slice(0, 120));
          }
          return found.slice(0, 5);
        }""",
        width,
    )


def on_paper(page):
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


def off_paper(page):
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")


CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const channels = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((c, n) => c * top[3] + under[n] * (1 - top[3]));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest('script, style, .hidden, .skip')) {
      continue;
    }
    const style = getComputedStyle(element);
    const backgrounds = [];
    for (let each = element; each; each = each.parentElement) {
      backgrounds.push(channels(getComputedStyle(each).backgroundColor));
    }
    let under = [255, 255, 255];
    for (const each of backgrounds.reverse()) under = over(each, under);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(over(channels(color), under)), light(under)].sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), text.slice(0, 40), color]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(full, show, scheme):
    """WCAG 2.2, 1.4.3 (AA): 4.5 to 1."""
    page = show(full, scheme).page
    opened(page)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 500
    assert any(text == "p99" for _, text, _ in found)
    assert [each for each in found if each[0] < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bars_stand_out(full, show, scheme):
    """WCAG 2.2, 1.4.11 (AA): 3 to 1 for what is drawn."""
    page = show(full, scheme).page
    colors = page.evaluate(
        "['amqp', 'driver', 'process', 'endpoint', 'remote', 'paper'].map((name) =>"
        " getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim())"
    )
    *owners, paper = (_luminance(color) for color in colors)
    for owner in owners:
        lighter, darker = sorted((owner, paper), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3
    # And each has a pattern of its own where colours are not told apart.
    patterns = page.evaluate(
        "['amqp', 'driver', 'process', 'endpoint'].map((name) => { const bar ="
        " document.querySelector('.swatch.o-' + name);"
        " return getComputedStyle(bar).backgroundImage.replace(/rgba?\\([^)]*\\)/g, '') })"
    )
    assert len(set(patterns)) == 4


def _luminance(color):
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_screen_reader_finds_its_way(full, show):
    page = show(full).page
    opened(page)
    for landmark in ("header", "nav", "main", "footer"):
        assert page.locator(f"body > {landmark}").count() == 1
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))"
    )
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    nameless = page.evaluate(
        """[
          ...[...document.querySelectorAll('table')].filter((each) =>
            !each.caption || !each.caption.textContent.trim()),
          ...[...document.querySelectorAll('th')].filter((each) => !each.scope),
          ...[...document.querySelectorAll('section')].filter((each) =>
            !document.getElementById(each.getAttribute('aria-labelledby'))),
          ...[...document.querySelectorAll('td svg, [role=img], [role=region]')].filter((each) =>
            !each.getAttribute('aria-label')),
        ].map((each) => each.outerHTML.slice(0, 100))"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("navigation", name="Sections").count() == 1
    assert page.get_by_role("heading", level=2).count() == len(SECTIONS)
    assert page.get_by_role("img", name=re.compile("Latency by percentile")).count() == 1


def test_a_keyboard_is_enough(full, show):
    page = show(full, fresh=True).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    seen = []
    for _ in range(400):
        page.keyboard.press("Tab")
        active = page.evaluate(
            """(() => { const each = document.activeElement, style = getComputedStyle(each);
              return [each.tagName, each.className, each.textContent.trim().slice(0, 30),
                style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0] })()"""
        )
        if active[0] == "BODY":
            break
        seen.append(active)
        if active[0] == "SUMMARY" and not any(each[0] == "OPEN" for each in seen):
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open")
            seen.append(["OPEN", "", "", True])
    assert all(outlined for *_, outlined in seen)
    tags = [tag for tag, *_ in seen]
    assert tags.count("A") == len(SECTIONS)
    assert tags.count("SUMMARY") == page.locator("summary").count()
    assert sum("scroller" in name for _, name, *_ in seen) >= 5


def test_it_is_read_without_a_script(call, show):
    page = show(call, java_script_enabled=False).page
    assert nanoseconds(text_of(page, "#p99")) == pytest.approx(
        call.result["latency"]["p99"], rel=0.005
    )
    assert page.locator("[data-message=p50] .bar").first.is_visible()
    assert page.locator("noscript p").first.is_visible()


def test_on_paper(full, show):
    page = show(full, "dark").page
    on_paper(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    drawn = page.evaluate(
        "getComputedStyle(document.querySelector('#figure-latency .xtick text')).fill"
    )
    assert drawn == "rgb(87, 95, 104)"
    off_paper(page)
    drawn = page.evaluate(
        "getComputedStyle(document.querySelector('#figure-latency .xtick text')).fill"
    )
    assert drawn == "rgb(163, 172, 182)"


# Runs of every kind

MEASURED = {
    "message",
    "stages",
    "shares",
    "latency",
    "time",
    "slowest",
    "profiles",
    "trust",
}


def in_memory(run, result):
    run["transport"] |= {"in_memory": True, "url": "kombu+memory://", "driver": "kombu+memory"}
    run["environment"] |= {"broker": None, "broker_version": None}
    result["is_measurement"] = False


def broker_died(run, result):
    result |= {"complete": False, "reason": "the embedded broker died"}


def killed(run, result):
    result |= {"complete": False, "reason": "the consumer left no results"}


@pytest.mark.parametrize(
    ("arguments", "change", "absent", "said", "drawn"),
    [
        ({"pattern": "cast"}, None, {"profiles"}, "a message has two ends", False),
        ({"sides": ["producer"]}, None, {"profiles"}, "omrig report P C", False),
        ({"sides": ["consumer"]}, None, {"profiles", "latency"}, "A consumer alone", True),
        ({"staged": False}, None, {"profiles", "message", "stages", "shares", "trust"},
         "--profile none leaves them out", False),
        ({"staged": False}, in_memory, {"profiles", "message", "stages", "shares", "trust"},
         "an in-memory transport has no broker", False),
        ({"failed": 40}, killed, {"profiles"}, "run. the consumer left no results", False),
        ({"messages": 3, "failed": 3}, broker_died, MEASURED, "Nothing was measured", True),
        ({"messages": 1}, None, {"profiles"}, "1 of 1", True),
    ],
)  # fmt: skip
def test_every_kind_of_run_has_its_page(tmp_path, show, arguments, change, absent, said, drawn):
    # Its curves are drawn where something is missing in them.
    shown = show(make(tmp_path / "run", change, **arguments), java_script_enabled=drawn)
    page = shown.page
    text = " ".join(page.inner_text("body").split())
    assert said in text
    found = {link.get_attribute("href").removeprefix("#") for link in page.locator("nav a").all()}
    assert found == set(SECTIONS) - absent
    for place in page.locator("[data-figure]").all() if drawn else ():
        assert place.locator("svg").count() > 0
    assert shown.complaints == []
    assert "None" not in text.replace("NoneType", "")


def test_a_mean_message_stands_in_where_messages_were_not_kept(tmp_path, show):
    run = make(tmp_path / "run")
    (run.folder / "producer" / "messages.npz").unlink()
    (run.folder / "consumer" / "messages.npz").unlink()
    draw(run.folder)
    shown = show(run, java_script_enabled=False)
    assert shown.page.locator("[data-message=mean]").count() == 1
    assert nanoseconds(text_of(shown.page, "#p99")) > 0
    assert shown.complaints == []


def test_pages_of_a_folder_share_the_script(tmp_path, show, call):
    for name in ("one.html", "two.html"):
        draw(call.folder, tmp_path / name, shared_assets=True)
    (script,) = tmp_path.glob("*.js")
    assert (tmp_path / "one.html").stat().st_size < 500_000
    one = Page((tmp_path / "one.html").as_uri())
    shown = show(one)
    assert shown.page.locator("#figure-latency svg").count() > 0
    assert shown.complaints == []
    assert set(shown.requests) == {one.url, script.as_uri()}
    script.unlink()
    shown = show(one, fresh=True)
    assert "needs the file plotly-" in shown.page.inner_text("#figure-latency")
    assert nanoseconds(text_of(shown.page, "#p99")) > 0


def test_it_fits_into_a_mail(full):
    assert (full.folder / html.PAGE).stat().st_size <= 6_000_000
