"""A recording of services as a scenario: the TOML with which ``omrig run`` sends a load like it."""

import dataclasses
import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from omrig.model import units
from omrig.model.errors import UsageError
from omrig.model.load import EXECUTORS
from omrig.model.patterns import PATTERNS
from omrig.model.service import REMOTE, Method, Process, ServiceResult
from omrig.model.units import NS
from omrig.report.services.words import counted

MOST_PROCESSES = 8
"""More processes of a side are not asked for: a test broker's machine has to run them all."""

PARTS = 1000
"""The weights of a mix add up to about so much."""

_LEAST_NS = 1_000
"""What an endpoint does for less is left out: it only answers."""

Counted: TypeAlias = Sequence[tuple[Method, int]]
"""Methods, and how many messages of each were sent."""

_MAJORITY = "call"
"""The pattern of what is not known to be another."""


@dataclasses.dataclass(frozen=True)
class _Endpoint:
    """What endpoints did for a message in the mean: ``computing_ns`` and ``waiting_ns``, of which
    ``nested_ns`` were for messages of their own; and of how many messages that is."""

    computing_ns: float
    waiting_ns: float
    nested_ns: float
    messages: float
    is_split: bool


def render(result: ServiceResult, name: str) -> str:
    """The scenario of the recording called ``name``, with comments on what it leaves out.

    Raises ``UsageError`` where nothing was recorded.
    """
    counts = [(method, _count(method) * result.sample) for method in result.methods]
    counts = [(method, count) for method, count in counts if count]
    if not counts or not result.duration_ns:
        raise UsageError(f"RECORDING: {name}: no message is in it; there is nothing to replay")
    whole = sum(count for _, count in counts)
    lines = [
        f"title = {json.dumps(_title(result, name, whole), ensure_ascii=False)}",
        *_comments(_recorded(result)),
        *_rate(result, whole),
        *_patterns(counts),
        *_concurrency(result, counts),
        *_executor(result.processes),
        *_endpoint(result, counts),
        *_table(result, counts),
    ]
    return "\n".join(lines) + "\n"


def _count(method: Method) -> int:
    """How many messages were sent: by those that sent, or what was served of it.

    Of a fanout each server has one.
    """
    if method.sent:
        return method.sent
    copies = 1
    if method.name.pattern in PATTERNS and PATTERNS[method.name.pattern].copies:
        copies = max(1, len(method.servers))
    return math.ceil(method.served / copies)


def _title(result: ServiceResult, name: str, count: int) -> str:
    return (
        f"{name}: {counted(count, 'message')} of {counted(len(result.methods), 'method')} in"
        f" {units.duration(result.duration_ns)}"
    )


def _recorded(result: ServiceResult) -> Iterator[str]:
    yield f"Recorded {result.started_at or 'at a time that is not known'}."
    if result.sample > 1:
        yield f"One message in {result.sample} was recorded: counts are multiplied by that."
    if not result.complete:
        yield f"The recording is incomplete: {result.reason}."
    yield (
        "Sizes are not recorded: payloads have omrig's default of 10 KiB. Set message_size where"
        " you know them."
    )


def _rate(result: ServiceResult, count: int) -> list[str]:
    seconds = result.duration_ns / NS
    return [
        *_comments(["Who sends does not wait for others: an open loop, at random."]),
        f"rate = {_rounded_up(count / seconds)}",
        'arrivals = "poisson"',
        f"duration = {math.ceil(seconds)}",
    ]


def _rounded_up(value: float) -> float:
    """A number with four digits, none below what it was."""
    digits = max(0, 3 - math.floor(math.log10(value)))
    scale = 10.0**digits
    return math.ceil(value * scale) / scale


def _patterns(counts: Counted) -> Iterator[str]:
    by_pattern: Counter[str] = Counter()
    unknown = []
    for method, count in counts:
        pattern = method.name.pattern
        if pattern not in PATTERNS:
            unknown.append(method.name.label or "a method without a name")
            pattern = _MAJORITY
        by_pattern[pattern] += round(count)
    whole = sum(by_pattern.values())
    if unknown:
        yield from _comments(
            [f"How these were sent is not known, they are {_MAJORITY}s here: {', '.join(unknown)}."]
        )
    if len(by_pattern) == 1:
        yield f'pattern = "{next(iter(by_pattern))}"'
        return
    weights = {each: max(1, round(PARTS * n / whole)) for each, n in by_pattern.most_common()}
    yield f'mix = "{",".join(f"{each}={weight}" for each, weight in weights.items())}"'


def _concurrency(result: ServiceResult, counts: Counted) -> Iterator[str]:
    """How many messages were under way, and processes that sent and served."""
    under_way = sum(
        method.total_ns * result.sample
        for method, _ in counts
        if method.name.pattern in PATTERNS and PATTERNS[method.name.pattern].replies
    )
    mean = under_way / result.duration_ns
    senders = _processes(result, "senders", counts)
    # Arrivals at random exceed this in one moment of some thirty thousand.
    workers = max(1, math.ceil((mean + 4 * math.sqrt(mean)) / senders[1]))
    yield from _comments(
        [
            f"{mean:.3g} calls were under way in the mean: workers for that and for its peaks"
            + (", of each producer." if senders[1] > 1 else ".")
        ]
    )
    yield f"worker_count = {workers}"
    for what, key, (recorded, asked) in (
        ("sent", "producers", senders),
        ("served", "consumers", _processes(result, "servers", counts)),
    ):
        if recorded > asked:
            yield from _comments([f"{recorded} processes {what}; {MOST_PROCESSES} do it here."])
        if asked > 1:
            yield f"{key} = {asked}"


def _processes(result: ServiceResult, side: str, counts: Counted) -> tuple[int, int]:
    """How many processes were on a side, and how many are to be."""
    names = {name for method, _ in counts for name in getattr(method, side)} - {REMOTE}
    there = len({each.name for each in result.processes} & names) or 1
    return there, min(there, MOST_PROCESSES)


def _executor(processes: Sequence[Process]) -> Iterator[str]:
    serving = [each for each in processes if each.served] or list(processes)
    kinds = Counter(each.executor for each in serving if each.executor in EXECUTORS)
    if not kinds:
        return
    if len(kinds) > 1:
        yield from _comments(
            [f"Executors differ: {', '.join(f'{n} of {each}' for each, n in kinds.items())}."]
        )
    yield f'executor = "{kinds.most_common(1)[0][0]}"'
    sizes = {each.executor_pool.size for each in serving if each.executor_pool} - {None}
    if len(sizes) == 1:
        yield f"executor_pool_size = {sizes.pop()}"
    elif sizes:
        yield from _comments(
            [f"Pools of executors differ: {', '.join(map(str, sorted(filter(None, sizes))))}."]
        )


def _endpoint(result: ServiceResult, counts: Counted) -> Iterator[str]:
    found = [each for method, _ in counts if (each := _endpoint_of(method))]
    if not found:
        yield from _comments(["No endpoint was recorded: it only answers here."])
        return
    whole = sum(each.messages for each in found)
    computing, waiting, nested = (
        sum(getattr(each, name) * each.messages for each in found) / whole
        for name in ("computing_ns", "waiting_ns", "nested_ns")
    )
    texts = ["All methods have one endpoint here, with the mean of theirs; the table has each."]
    if nested >= _LEAST_NS:
        texts.append(
            f"{units.duration(nested)} of it were for messages that endpoints sent: those are in"
            " the mix by themselves, and the endpoint sleeps as long as it waited for them."
        )
    if not all(each.is_split for each in found):
        texts.append("Where green threads served it is not known what they computed: they sleep.")
    left = len(counts) - len(found)
    if left:
        texts.append(f"The endpoints of {left} methods were not recorded.")
    yield from _comments(texts)
    said = [
        f"{kind}:{_time(value)}"
        for kind, value in (("cpu", computing), ("sleep", waiting))
        if value >= _LEAST_NS
    ]
    errors = sum(sum(method.raised.values()) for method, _ in counts)
    share = 100 * errors * result.sample / sum(count for _, count in counts)
    if round(share, 3) > 0:
        said.append(f"error:{min(100.0, round(share, 3)):g}%")
    if said:
        yield f"endpoint = {json.dumps(said)}"


def _endpoint_of(method: Method) -> _Endpoint | None:
    """What the endpoint of a method did; None where nobody saw it."""
    row = next((row for row in method.stages or () if row.name == "endpoint"), None)
    if row is None or not row.count:
        return None
    own, nested = method.endpoint_own, method.endpoint_nested
    inside = row.mean_ns * nested / (own + nested) if own and nested else 0.0
    alone = row.mean_ns - inside
    computing = alone * (method.computing or 0.0)
    return _Endpoint(
        computing_ns=computing,
        waiting_ns=row.mean_ns - computing,
        nested_ns=inside,
        messages=float(row.count),
        is_split=method.computing is not None,
    )


def _table(result: ServiceResult, counts: Counted) -> Iterator[str]:
    """What each method was, in comments."""
    seconds = result.duration_ns / NS
    rows = [("a second", "endpoint", "of it computing", "timed out", "raised", "method")]
    for method, count in sorted(counts, key=lambda each: -each[1]):
        seen = _endpoint_of(method)
        total = seen.computing_ns + seen.waiting_ns if seen else None
        rows.append(
            (
                f"{count / seconds:.3g}",
                units.duration(total) if total is not None else "-",
                f"{100 * method.computing:.0f} %" if method.computing is not None else "-",
                f"{method.timed_out:,}",
                f"{sum(method.raised.values()):,}",
                method.name.label or "(not known)",
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    yield "#"
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
        yield f"# {'  '.join([*cells, row[-1]])}"


def _time(nanoseconds: float) -> str:
    """A time as ``--endpoint`` takes it."""
    return f"{nanoseconds / 1000:.1f}us" if nanoseconds < 1e6 else f"{nanoseconds / 1e6:.3f}ms"


_WIDTH = 98


def _comments(texts: Sequence[str] | Iterator[str]) -> Iterator[str]:
    """Sentences as comment lines."""
    text = " ".join(" ".join(each.split()) for each in texts)
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
