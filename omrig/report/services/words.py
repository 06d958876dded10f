"""What every renderer says of a recording of services in words."""

import dataclasses
from collections.abc import Iterator, Sequence

from omrig.model import units
from omrig.model.patterns import CALL, PATTERNS
from omrig.model.result import Closure
from omrig.model.service import LAST_SEEN, Method, Node, Pool, Process, Request, ServiceResult
from omrig.report import notes
from omrig.report.parts import MIN_FOR_P99
from omrig.report.services import names

WORTH_A_VERDICT = 0.05
"""The share of all messages' time from which a method's verdict is told beside the table."""

_LEAST = 0.005
"""What is less is no 1 %, and not 0 either."""

_REQUESTS_NAMED = 3
"""So many ids of requests are named of messages that were not answered."""

_METHODS_NAMED = 3
"""So many methods of a request are named, those with most messages."""

_FEWEST = {"p99": MIN_FOR_P99, "p999": 10 * MIN_FOR_P99}
"""Messages without which a percentile is none."""


def totals(result: ServiceResult) -> str:
    """The recording in one line."""
    closure, requests = result.closure, result.requests
    parts = [
        counted(len(result.processes), "process", "processes"),
        f"{counted(closure.messages, 'message')} in {units.duration(result.duration_ns)}",
    ]
    if requests.count:
        parts.append(
            f"{counted(requests.count, 'request')} ({requests.mean_messages:.1f} messages each)"
        )
    checks = [matched(closure), closes(closure)] if closure.messages else []
    return ", ".join([*parts, *checks])


def counted(count: int, noun: str, several: str = "") -> str:
    """A count and its noun: ``1 message``, ``1,300 messages``."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def matched(closure: Closure) -> str:
    """How many messages were seen at both their ends."""
    found, messages = closure.matched, closure.messages
    if found is None:
        return "all seen at one end alone"
    if not found:
        return "none matched"
    if found == messages:
        return "all matched"
    # What is not all is not 100.0 %.
    return f"{min(99.9, 100 * found / max(1, messages)):.1f} % matched"


def closes(closure: Closure) -> str:
    """Whether the stages of what was matched add up."""
    within, found = closure.within_tolerance, closure.matched
    if within is None or not found:
        return "books not checked"
    if closure.negative_stages:
        return f"books do not close: {counted(closure.negative_stages, 'negative stage')}"
    if within == found:
        return "books close"
    return f"books close for {min(99.9, 100 * within / found):.1f} % of them"


def warnings(result: ServiceResult) -> list[str]:
    """What to know before the figures are believed."""
    lines = [] if result.complete else [f"incomplete: {result.reason or 'why is not known'}"]
    if result.sample > 1:
        lines.append(f"1 message in {result.sample:,} was recorded: counts are of these")
    for process in result.processes:
        if process.ended:
            lines.append(f"{process.name}: its recording ended before the others': {process.ended}")
        if process.overwritten:
            lines.append(
                f"{process.name}: {counted(process.overwritten, 'row')} overwritten for want of"
                " room; what is shown is of the newest"
            )
        lines += [f"{process.name}: the instrument: {failure}" for failure in process.failures]
    return lines


def arrivals(processes: Sequence[Process]) -> list[tuple[str, str]]:
    """How the arrival of messages was timed: who by, and how; ``all`` where that is one way."""
    ways: dict[str, list[str]] = {}
    for process in processes:
        if process.arrivals:
            ways.setdefault(process.arrivals, []).append(process.name)
    if len(ways) == 1 and len(processes) > 1:
        return [("all", next(iter(ways)))]
    return [(", ".join(who), how) for how, who in ways.items()]


@dataclasses.dataclass(frozen=True)
class Used:
    """A pool of a process: of what it is, and how far it was in use."""

    process: str
    what: str
    pool: Pool


def pools(processes: Sequence[Process]) -> list[Used]:
    """The pools that were used: executors' threads first, then connections that send.

    Of a kind the one that was used the most comes first.
    """
    threads = [
        Used(each.name, "executor threads", each.executor_pool)
        for each in processes
        if each.executor_pool
    ]
    senders = [
        Used(each.name, "send connections", each.send_pool) for each in processes if each.send_pool
    ]
    return [
        each
        for kind in (threads, senders)
        for each in sorted(kind, key=_in_use, reverse=True)
        if each.pool.most or each.pool.advice
    ]


def _in_use(used: Used) -> tuple[float, float]:
    pool = used.pool
    return (pool.mean / pool.size if pool.size else 0.0, pool.mean)


def took_to_turn_on(process: Process) -> str:
    """How long the stamps took to be put in; a dash where they never were."""
    return units.duration(process.turning_on_ns) if process.turning_on_ns else "-"


def outcomes(method: Method) -> str:
    """How many did not end well, by what came of them; empty for none."""
    raised = dict(method.raised)
    parts = [f"{method.timed_out:,} timed out"] if method.timed_out else []
    parts += [f"{count:,} raised {name}" for name, count in raised.items()]
    return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class Lost:
    """Messages of a method that did not end well: how many, where they were last seen."""

    count: int
    label: str
    where: str


def trust(result: ServiceResult) -> list[tuple[str, str]]:
    """What the figures rest on, and what could not be seen: lines of a label and a text."""
    lines = [("books", notes.books(result.closure) if result.closure.messages else "")]
    if result.broker_messages is not None:
        counts = f"{result.broker_messages:,} by the broker's own count"
        lines.append(
            ("broker", f"{counts}; {result.sent:,} sent and {result.served:,} served here")
        )
    said = {f"{each.name}: {each.ended}" for each in result.processes if each.ended}
    lines += [
        ("not seen", line)
        for line in result.not_seen
        if line not in said and line not in (result.reason or "")
    ]
    return [(label, line) for label, line in lines if line]


def unanswered(methods: Sequence[Method]) -> list[Lost]:
    """What was not answered well, the most first."""
    found = []
    for method in methods:
        for each in method.unanswered:
            parts = [LAST_SEEN.get(each.last_seen, each.last_seen)]
            if each.outcome:
                parts.append(each.outcome)
            if each.requests:
                more = len(each.requests) - _REQUESTS_NAMED
                named = ", ".join(each.requests[:_REQUESTS_NAMED])
                rest = f" and {more:,} more" if more > 0 else ""
                parts.append(
                    f"{'request' if len(each.requests) == 1 else 'requests'} {named}{rest}"
                )
            found.append(Lost(each.count, method.name.label, "; ".join(parts)))
    return sorted(found, key=lambda each: -each.count)


@dataclasses.dataclass(frozen=True)
class Branch:
    """A message of a request: ``above`` says of each ancestor below the first, and of the message
    itself, whether another one follows it under the same."""

    node: Node
    above: tuple[bool, ...]


def tree(request: Request) -> Iterator[Branch]:
    """The messages of a request, each before those that its endpoint sent."""
    for node in request.tree:
        yield from _below(node, ())


def _below(node: Node, above: tuple[bool, ...]) -> Iterator[Branch]:
    yield Branch(node, above)
    for place, child in enumerate(node.children, 1):
        yield from _below(child, (*above, place < len(node.children)))


def called(node: Node) -> str:
    """What a message of a request is called, and how many alike there were."""
    return f"{node.count:,} {node.label}" if node.count > 1 else node.label


def made_of(request: Request) -> str:
    """The methods of a request with most messages, by their own names."""
    own: dict[str, int] = {}
    for label, count in request.methods.items():
        name = label.rpartition(" ")[2]
        own[name] = own.get(name, 0) + count
    ordered = sorted(own.items(), key=lambda each: -each[1])
    parts = [f"{count:,} {name}" for name, count in ordered[:_METHODS_NAMED]]
    more = sum(count for _, count in ordered[_METHODS_NAMED:])
    return ", ".join([*parts, *([f"{more:,} more"] if more else [])])


def requests(result: ServiceResult) -> str:
    """How many requests there were, of how many messages."""
    found = result.requests
    text = (
        f"{counted(found.count, 'request')} of {found.mean_messages:.1f} messages in the mean,"
        f" {found.most_messages:,} at most"
    )
    return (
        f"{text}; {counted(found.without, 'message')} without a request" if found.without else text
    )


@dataclasses.dataclass(frozen=True)
class Told:
    """What is said of a method: whose time it is, in words."""

    label: str
    share: float
    owner: str
    text: str


def verdicts(result: ServiceResult) -> list[Told]:
    """What is said of each method that matters, the most important first."""
    return [
        Told(
            method.name.label,
            method.share,
            method.verdict.owner if method.verdict else "unknown",
            method.verdict.text if method.verdict else no_verdict(method),
        )
        for method in sorted(result.methods, key=lambda each: -each.share)
        if method.share >= WORTH_A_VERDICT
    ]


def no_verdict(method: Method) -> str:
    """That there is no verdict on a method, and on how many messages it would rest."""
    return f"no verdict on {counted(method.matched, 'matched message')}"


def endpoint(method: Method) -> str:
    """Of what the endpoint's time is made; empty where that is not known."""
    whole = method.owners.get("endpoint")
    if whole is None or method.endpoint_own is None:
        return ""
    text = f"{share(whole)} of the time: its own {share(method.endpoint_own)}"
    if method.endpoint_nested is not None:
        text += f", nested messages {share(method.endpoint_nested)}"
    if method.computing is not None:
        text += f"; its thread computed {share(method.computing)} of its own, and waited the rest"
    return text


def share(value: float | None) -> str:
    """A share in whole percent; a dash for what is not known."""
    if value is None:
        return "-"
    if not value:
        return "0"
    return "<1 %" if 0 < value < _LEAST else f"{100 * value:.0f} %"


def count(method: Method) -> int:
    """How many messages of it there were, seen by either end."""
    return max(method.sent, method.served)


def latency(method: Method, statistic: str) -> str:
    """A statistic of its latency; a dash where there are too few messages for one."""
    found = method.latency
    if found is None or found.count < _FEWEST.get(statistic, 1):
        return "-"
    return units.duration(found.named(statistic))


def headline(method: Method) -> str:
    """How many there were of a method, and how long they took."""
    parts = [counted(count(method), "message")]
    parts += [
        f"{name} {took}" for name in ("mean", "p99") if (took := latency(method, name)) != "-"
    ]
    return ", ".join([*parts, f"{100 * method.share:.1f} % of the time of all"])


def facts(method: Method) -> list[tuple[str, str]]:
    """What is known of a method beside its stages: lines of a label and a text."""
    lines = [
        ("messages", _seen(method)),
        ("outcomes", outcomes(method)),
        *(("not answered", f"{each.count:,} {each.where}") for each in unanswered([method])),
        ("endpoint", endpoint(method)),
        *(("steps", line) for line in steps(method)),
        ("books", notes.books(method.closure)),
    ]
    return [(label, line) for label, line in lines if line]


def _seen(method: Method) -> str:
    parts = [f"{method.sent:,} sent", f"{method.served:,} served", f"{method.matched:,} matched"]
    return f"{', '.join(parts)}; {names.ends(method)}"


def pattern(method: Method) -> str:
    """By which pattern its messages go; that of a call where it is not known."""
    return method.name.pattern if method.name.pattern in PATTERNS else CALL.name


def percentiles(method: Method) -> list[tuple[float, int]]:
    """The distribution in order: a percentile and ns."""
    return sorted((float(name), value) for name, value in method.distribution.items())


def steps(method: Method) -> list[str]:
    """Which stages come in steps."""
    return [
        f"{stage}: {share(comb.share)} of them in steps of {units.duration(comb.period_ns)}"
        f" ({comb.kind})"
        for stage, comb in (method.quantised or {}).items()
    ]
