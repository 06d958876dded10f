"""The accounts: the table of stages, what they add up to, and how far to trust them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from omrig.model import units
from omrig.report import owners

_WITH_BUCKETS = 72
"""Width in columns from which the table has room for sides and buckets."""

_WITH_MEDIANS = 58
"""Width from which it has room for medians."""

_UNSEEN = 0.0005
"""A stage below this share is shown as 0.0 %, and need not be looked at."""

_SHADES = "█▓▒░"
_ASCII_SHADES = "#=+-"


def stage_table(result: Mapping[str, Any], width: int, sampled: bool) -> Table:
    """The stages in order: whose they are, their share, mean and spread.

    With ``sampled`` shares come with their standard error.
    """
    rows: Sequence[Mapping[str, Any]] = result["stages"]
    buckets, medians = width >= _WITH_BUCKETS, width >= _WITH_MEDIANS
    gap = 2 if width >= _WITH_BUCKETS + 10 else 1
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, gap, 0, 0), show_footer=True)
    percentages = owners.percentages([row["share"] for row in rows])
    table.add_column("stage", "all", no_wrap=True)
    if buckets:
        table.add_column("side", no_wrap=True)
        table.add_column("bucket", no_wrap=True)
    table.add_column("share", f"{sum(percentages):.1f} %", justify="right", no_wrap=True)
    mean = units.duration(sum(row["mean_ns"] for row in rows))
    table.add_column("mean", mean, justify="right", no_wrap=True)
    if medians:
        table.add_column("p50", justify="right", no_wrap=True)
    table.add_column("p99", justify="right", no_wrap=True)
    named = (result["verdict"] or {}).get("stage")
    for row, percentage in zip(rows, percentages, strict=True):
        bucket = owners.bucket_of(row["name"], row["bucket"])
        table.add_row(
            Text(row["name"], owners.style(owners.owner_of(bucket))),
            *([row["side"], bucket] if buckets else []),
            _share(row, percentage, sampled),
            _duration(row["mean_ns"]),
            *([_duration(row["p50_ns"])] if medians else []),
            _duration(row["p99_ns"]),
            style=_emphasis(row, named),
        )
    return table


def _duration(nanoseconds: int) -> str:
    return units.duration(nanoseconds) if nanoseconds else "0"


def _share(row: Mapping[str, Any], percentage: float, sampled: bool) -> str:
    error = f" ± {100 * row['share_error']:.1f}" if sampled else ""
    return f"{percentage:.1f}{error} %"


def _emphasis(row: Mapping[str, Any], named: str | None) -> str:
    if row["name"] == named:
        return "bold"
    return "dim" if abs(row["share"]) < _UNSEEN else ""


def bucket_bar(result: Mapping[str, Any], width: int, ascii_only: bool) -> Text:
    """The buckets as one bar of 100 %, ``width`` characters wide, grouped by owner."""
    text = Text()
    at = drawn = 0.0
    for owner, _, percentage, shade in _segments(result, ascii_only):
        at += percentage
        end = round(width * at / 100)
        text.append(shade * int(max(0, end - drawn)), owners.style(owner))
        drawn = max(drawn, end)
    return text


def bucket_lines(result: Mapping[str, Any], ascii_only: bool) -> list[Text]:
    """What the parts of the bar are: a line an owner, with those of its buckets that are seen."""
    lines: dict[str, Text] = {}
    for owner, buckets in owners.of_buckets(result["stages"]).items():
        lines[owner] = Text(f"{owners.title(owner)} {sum(buckets.values()):.1f} %")
    seen = dict.fromkeys(lines, 0)
    for owner, bucket, percentage, shade in _segments(result, ascii_only):
        if percentage:
            part = f"{', ' if seen[owner] else ': '}{shade} {bucket} {percentage:.1f} %"
            lines[owner].append(part, owners.style(owner))
            seen[owner] += 1
    return list(lines.values())


def _segments(result: Mapping[str, Any], ascii_only: bool) -> Iterator[tuple[str, str, float, str]]:
    """Owner, bucket, percentage and shade of each bucket; neighbours differ in shade."""
    shades = _ASCII_SHADES if ascii_only else _SHADES
    number = 0
    for owner, buckets in owners.of_buckets(result["stages"]).items():
        for bucket, percentage in buckets.items():
            yield owner, bucket, percentage, shades[number % len(shades)]
            number += 1


def notes(run: Mapping[str, Any], result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How far to trust the stages: lines of a label and a text."""
    lines = [
        ("books", _books(result["closure"])),
        ("little", _little(run, result)),
        ("clock", _clock(result)),
        ("arrivals", _watcher(result.get("instrument") or {})),
        # Modes that were compared together share a line.
        *(("cost", line) for line in dict.fromkeys(costs(result))),
        ("sample", _sample(run)),
    ]
    return [(label, line) for label, line in lines if line]


def _books(closure: Mapping[str, Any] | None) -> str:
    if not closure:
        return ""
    messages, matched = closure["messages"], closure["matched"]
    parts = [
        f"{messages:,} messages of one side"
        if matched is None
        else f"{matched:,} of {messages:,} messages matched"
    ]
    if closure["within_tolerance"] is not None:
        parts.append(f"{closure['within_tolerance']:,} add up within {closure['tolerance']}")
    if closure["unexplained_share"] is not None:
        parts.append(f"unexplained {100 * closure['unexplained_share']:.2f} %")
    parts.append(f"{closure['negative_stages']:,} negative")
    parts.append(f"{closure['flagged_arrivals']:,} without arrival")
    return ", ".join(parts)


def _little(run: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    little = result.get("little")
    if not little:
        return ""
    rate = result["throughput"]["messages_per_second"]
    workers = min(run["plan"]["workers"], result["latency"]["count"])
    noun, make = ("worker", "makes") if workers == 1 else ("workers", "make")
    return (
        f"{workers:,} {noun} at {rate:,.0f} msg/s {make}"
        f" {units.duration(little['expected_mean_ns'])} a message,"
        f" {units.duration(little['measured_mean_ns'])} were measured: ratio {little['ratio']:.2f}"
        + (f"; {little['explanation']}" if little.get("explanation") else "")
    )


def _clock(result: Mapping[str, Any]) -> str:
    clock = result["clock"]
    if clock is None:
        if len(result["sides"]) < 2:
            return ""
        return "the two hosts' clocks cannot be compared: what is on the wire is left out"
    if clock["same_host"]:
        return ""
    side = "ahead of" if clock["offset_ns"] >= 0 else "behind"
    return (
        f"the consumer's is {units.duration(abs(clock['offset_ns']))} {side} the producer's,"
        f" ± {units.duration(clock['error_ns'])}: so far may amqp_request and amqp_reply be wrong,"
        " their sum is not"
    )


def _watcher(instrument: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(f"{side}: {_watched(found)}" for side, found in instrument.items())


def _watched(found: Mapping[str, Any]) -> str:
    scheduled = found["watcher_scheduling"]
    clock = f"a watcher ({scheduled})" if scheduled else "nobody"
    if found.get("arrival_clock") == "capture":
        clock = "the kernel"
    parts = [
        f"noted by {clock}",
        f"{found['watcher_cpu_seconds']:.2f} s CPU beside it",
        f"receive buffer {units.size(found['receive_buffer_bytes'])}",
    ]
    return ", ".join(parts)


def costs(result: Mapping[str, Any]) -> list[str]:
    """What each profiler mode cost, or why that is not known."""
    return [_cost(mode, found or {}) for mode, found in (result["distortion"] or {}).items()]


def _cost(mode: str, found: Mapping[str, Any]) -> str:
    ratio = found.get("throughput_ratio")
    if ratio is None:
        return f"{mode}: not measured: {found.get('reason') or 'no reason given'}"
    if "text" not in found:
        return f"{mode}: {ratio:.2f} of the throughput without it"
    return f"{found['text']}. Measured in {found['method']}"


def _sample(run: Mapping[str, Any]) -> str:
    sample = run["plan"].get("sample", 1)
    return f"stages of 1 message in {sample:,}; ± is one standard error" if sample > 1 else ""


def warnings(run: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """What is not in the stages and why."""
    lines = list(result["not_measured"] or ())
    lines += [
        f"the {side}'s arrival watcher died: time in its socket may count as AMQP's"
        for side, found in (result.get("instrument") or {}).items()
        if not found["watcher_alive"]
    ]
    lines += [
        f"the kernel had no room to note {dropped:,} segments of the {side}: some messages arrived"
        " earlier than the stages say, and the rest of that time counts as AMQP's"
        for side, found in (result.get("instrument") or {}).items()
        if (dropped := found.get("segments_dropped", 0))
    ]
    if not result["stages"]:
        return [*lines, f"no stages: {why_no_stages(run, result)}"]
    remedy = "the other side is needed, omrig report P C"
    said = "omrig report P C" in (result["verdict"] or {}).get("text", "")
    if any(row["name"] == "remote" for row in result["stages"]):
        lines += [] if said else [f"remote is broker, network and the whole consumer: {remedy}"]
    elif len(result["sides"]) == 1 and not said:
        lines.append(f"the {result['sides'][0]}'s part only: {remedy}")
    return lines


def why_no_stages(run: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Why the result of a run has no stages."""
    if run["transport"]["in_memory"]:
        return "an in-memory transport has no broker and no network whose part could be told"
    if "stages" not in run["plan"]["profile"]:
        modes = ",".join(run["plan"]["profile"])
        return f"not asked for with --profile {modes}; add stages"
    if not result["throughput"]:
        return "nothing was measured"
    return "no message ended well with stamps on every side of the run"
