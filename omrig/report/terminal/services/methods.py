"""The methods of a recording, a row each, for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from omrig.model.service import Method, ServiceResult
from omrig.report import owners
from omrig.report.services import names, words
from omrig.report.terminal.services.columns import Column, table

MOST_METHODS = 20
"""So many methods have a row; the others are counted."""

_SHORTENED = 40
"""A method's name that is shortened more than to this is on a line of its own."""

_BETWEEN = "  "
_SHORTEST_ENDS = 16
"""Sender and server are named where so much room is left beside the name of the method."""

_OWNERS = {"amqp": "AMQP", "driver": "driver", "process": "process", "endpoint": "endpoint"}

_SPARED = ("computing", "nested", "own", "remote")


def render(result: ServiceResult, width: int) -> Iterator[RenderableType]:
    """The table of methods, those with most time first, and what its columns mean."""
    shown = result.methods[:MOST_METHODS]
    if not shown:
        yield Text("\nno message was recorded")
        return
    yield Text("\nmethods", "bold")
    figures = _figures(shown)
    labels = Column("method", [each.name.label for each in shown], named=True)
    ends = Column("sender -> server", [names.ends(each) for each in shown], named=True)
    taken = sum(each.width + 1 for each in (*figures, ends))
    if taken + min(labels.width, _SHORTENED) <= width:
        yield from table([labels, *figures, ends], width, styles=[_style(each) for each in shown])
    else:
        yield from _on_two_lines(shown, figures, width)
    for line in _notes(result, shown):
        yield Text(line, "dim")


def _figures(methods: Sequence[Method]) -> list[Column]:
    by_owner = [
        Column(title, [_whose(each, owner) for each in methods]) for owner, title in _OWNERS.items()
    ]
    if any(each.owners.get("remote") for each in methods):
        by_owner.append(Column("remote", [_whose(each, "remote") for each in methods]))
    return [
        Column("n", [f"{words.count(each):,}" for each in methods]),
        Column("mean", [words.latency(each, "mean") for each in methods]),
        Column("p99", [words.latency(each, "p99") for each in methods]),
        Column("of all", [f"{100 * each.share:.1f} %" for each in methods]),
        *by_owner,
        Column("own", [words.share(each.endpoint_own) for each in methods]),
        Column("nested", [words.share(each.endpoint_nested) for each in methods]),
        Column("computing", [words.share(each.computing) for each in methods]),
    ]


def _whose(method: Method, owner: str) -> Text:
    """An owner's share; that of who has the most stands out."""
    if not method.owners:
        return Text("-")
    value = method.owners.get(owner, 0.0)
    most = value == max(method.owners.values())
    return Text(words.share(value), f"bold {owners.style(owner)}" if most else "")


def _style(method: Method) -> str:
    return "" if method.share >= words.WORTH_A_VERDICT else "dim"


def _on_two_lines(
    methods: Sequence[Method], figures: Sequence[Column], width: int
) -> Iterator[Text]:
    """The name of each method on a line of its own, its figures below."""
    heading, *rows = table(figures, width, spared=_SPARED)
    yield heading
    for method, row in zip(methods, rows, strict=True):
        label = names.shortened(method.name.label, width)
        room = width - len(label) - len(_BETWEEN)
        ends = names.shortened(names.ends(method), room) if room >= _SHORTEST_ENDS else ""
        yield Text.assemble((label, "bold"), (f"{_BETWEEN}{ends}" if ends else "", "dim"))
        yield row


def _notes(result: ServiceResult, shown: Sequence[Method]) -> Iterator[str]:
    hidden = result.methods[len(shown) :]
    if hidden:
        rest = sum(each.share for each in hidden)
        yield (
            f"{words.counted(len(hidden), 'more method')} of {100 * rest:.1f} % of the time"
            " together: omrig report --method NAME shows one, --json all"
        )
    yield (
        "of all: of the time of all messages, what is nested counted once; then whose time a"
        " message's is; own and nested are parts of the endpoint, computing of what is its own"
    )
