"""The sentence of a ping: who did not answer, and since when."""

from collections.abc import Sequence

from omrig.model.ping import BASE_API, SERVER_PING, Ping, Pinged

_ENABLE = f"[DEFAULT] rpc_ping_enabled = true in its configuration, and --method {SERVER_PING}"


def verdict(ping: Ping, servers: Sequence[Pinged]) -> str:
    """Who did not answer since when, then who answered otherwise than asked, in sentences."""
    silent = [_sentence(each, ping) for each in servers if not each.is_heard]
    others = [_sentence(each, ping) for each in servers if each.state in ("refuses", "fails")]
    well = [each for each in servers if each.state == "answers"]
    told = [*silent, *others]
    if well:
        told.append(_answering(well, len(servers)))
    return " ".join(told)


def _answering(well: Sequence[Pinged], count: int) -> str:
    if len(well) < count:
        rest = ", ".join(each.server.label for each in well)
        return f"{rest} answered every call." if len(well) <= 3 else f"{len(well)} others answer."
    if count == 1:
        return f"{well[0].server.label} answered every call."
    return f"All {count} answered every call."


def _sentence(each: Pinged, ping: Ping) -> str:
    label, waits = each.server.label, f"within {ping.timeout_s:g} s"
    match each.state:
        case "absent":
            return f"{label} is not there: {_absence(each)}."
        case "unasked":
            return f"{label} was not asked: no call to it ended before the ping did."
        case "unsent":
            return f"{label}: the broker took none of {each.failed} calls ({each.said})."
        case "deaf":
            return (
                f"{label} is deaf: none of {each.silent} calls was answered {waits}, since"
                f" {_time(each.silent_since)}; {_takers(each)}, and what it takes it does not"
                " answer."
            )
        case "loses":
            return _losing(each, waits)
        case "refuses":
            return f"{label} is alive, and has no {ping.method}: {_enable(ping)}."
        case _:
            errors = ", ".join(f"{count} {name}" for name, count in each.errors.items())
            return f"{label} is alive, and answered with errors: {errors} ({each.said})."


def _losing(each: Pinged, waits: str) -> str:
    label, lost = each.server.label, each.silent + each.unrouted + each.failed
    consumers = each.server.consumers or 1
    if consumers > 1:
        return (
            f"{label}: {lost} of {each.ended} calls were not answered {waits}; {consumers} take"
            f" from its queue in turn, so that one deaf of them loses one call in {consumers}."
        )
    if each.silent_since:
        return (
            f"{label} does not answer since {_time(each.silent_since)}: its last reply came"
            f" {_time(each.heard_at)}, {lost} of {each.ended} calls were not answered {waits}."
        )
    return f"{label} did not answer {lost} of {each.ended} calls {waits}, and answers again."


def _takers(each: Pinged) -> str:
    count = each.server.consumers or 0
    return f"{count} take from its queue" if count != 1 else "one takes from its queue"


def _absence(each: Pinged) -> str:
    if each.unrouted:
        return "the exchange has no queue for it, give --exchange if it has another one"
    if each.server.consumers is None:
        return "it has no queue"
    return "nobody takes from its queue, it was not asked"


def _enable(ping: Ping) -> str:
    if ping.method == BASE_API:
        return f"services of nova have; of others a ping wants {_ENABLE}"
    return f"a ping wants {_ENABLE}".replace(f", and --method {SERVER_PING}", "")


def _time(at: str | None) -> str:
    """The time of day in UTC."""
    return f"{at[11:19]} UTC" if at else "the beginning"
