"""One method of a recording, for the terminal: verdict, waterfall, stages, books."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from omrig.model.service import Method
from omrig.report.services import words
from omrig.report.terminal import stages, verdict, waterfall
from omrig.report.terminal.console import labelled
from omrig.report.terminal.services.columns import Column, table

_PERCENTILES = {
    "mean": "mean",
    "p50": "p50",
    "p90": "p90",
    "p99": "p99",
    "p999": "p99.9",
    "max": "max",
}


def render(method: Method, width: int, ascii_only: bool, sampled: bool) -> Iterator[RenderableType]:
    """All that is known of ``method``; shares have errors where messages were ``sampled``."""
    yield Text(f"\n{method.name.label}: {words.headline(method)}", "bold")
    if method.verdict:
        yield verdict.render(method.verdict)
    else:
        yield Text(f"\n{words.no_verdict(method)}")
    yield Text()
    yield labelled(words.facts(method))
    yield from _latency(method, width)
    if method.stages is None:
        yield Text("\nno stages: no message of it was seen from end to end", "yellow")
        return
    yield Text()
    if method.waterfall:
        yield from waterfall.render(method.waterfall, words.pattern(method), width, ascii_only)
    named = method.verdict.stage if method.verdict else None
    yield stages.table(method.stages, width, sampled=sampled, named=named)
    yield stages.buckets(method.stages, width, ascii_only)


def _latency(method: Method, width: int) -> Iterator[Text]:
    if method.latency is None:
        return
    yield Text()
    figures = [Column(title, [words.latency(method, name)]) for name, title in _PERCENTILES.items()]
    heading = Column("latency", [words.counted(method.latency.count, "message")], named=True)
    yield from table([heading, *figures], width)
