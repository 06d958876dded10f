"""What the endpoint does with a message before it answers, as ``--endpoint`` says it."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

from omrig.model import payload
from omrig.model.errors import UsageError
from omrig.model.patterns import NOTIFICATIONS, RPC, Pattern
from omrig.model.units import MS, NS

KINDS = ("cpu", "sleep", "call", "error", "reply", "requeue")
"""What an endpoint can be told to do."""


MOST_CALLS = 100
"""So many calls an endpoint makes for a message, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the endpoint does with a message; without arguments it only answers.

    It burns ``cpu_ns`` of processor time, sleeps ``sleep_ns`` and makes ``calls`` calls to another
    server, one after the other, each with the message's payload. Of all messages the share
    ``error`` (0 to 1) ends with an expected exception, and the share ``requeue`` of notifications
    is given back to the broker once. A reply has ``reply_bytes``, None where it is the message's
    number alone.
    """

    cpu_ns: int = 0
    sleep_ns: int = 0
    calls: int = 0
    error: Fraction = Fraction(0)
    requeue: Fraction = Fraction(0)
    reply_bytes: int | None = None


PLAIN = Behaviour()
"""An endpoint that only answers."""


def parse(texts: Sequence[str]) -> Behaviour:
    """The behaviour that these texts make together, each one ``KIND:VALUE`` or more after commas.

    Raises ``UsageError`` for what is none, or is there twice.
    """
    said: dict[str, str] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        kind, colon, value = part.partition(":")
        if not colon or kind not in KINDS:
            raise UsageError(
                f"--endpoint: {part!r} is nothing that an endpoint does; give KIND:VALUE, the kind"
                f" one of {', '.join(KINDS)}"
            )
        if kind in said:
            raise UsageError(f"--endpoint: {kind} is given twice; give it once")
        said[kind] = value
    return Behaviour(
        cpu_ns=_read(said, "cpu", _time_ns, _TIME) or 0,
        sleep_ns=_read(said, "sleep", _time_ns, _TIME) or 0,
        calls=_read(said, "call", _count, _COUNT) or 0,
        error=_read(said, "error", _share, _SHARE) or Fraction(0),
        requeue=_read(said, "requeue", _share, _SHARE) or Fraction(0),
        reply_bytes=_read(said, "reply", _size_bytes, _SIZE),
    )


def check(asked: Behaviour, pattern: Pattern) -> None:
    """Raise ``UsageError`` for what cannot be done with messages of this pattern."""
    if asked.requeue and pattern.traffic != NOTIFICATIONS:
        raise UsageError(
            f"--endpoint: requeue: a {pattern.noun} cannot be given back to the broker; leave it"
            " out, or use --pattern notify"
        )
    if asked.calls and pattern.traffic != RPC:
        raise UsageError(
            f"--endpoint: call: who takes {pattern.noun}s has no client for RPC here; leave it out,"
            " or use --pattern call"
        )
    if asked.reply_bytes is None:
        return
    if not pattern.replies:
        raise UsageError(
            f"--endpoint: reply: nobody replies to a {pattern.noun}; leave it out, or use"
            " --pattern call"
        )
    payload.sized_reply(asked.reply_bytes)


def table(share: Fraction) -> bytes:
    """By the number of a message in the run, modulo the table's length: 1 for those of the share.

    They are evenly spread and the same ones in each run; of N messages there are N times the share,
    rounded.
    """
    up, down = share.numerator, share.denominator
    half = down // 2
    return bytes((each * up + half) % down + up >= down for each in range(down))


_TIME = "a time above 0, as 2ms, 500us or 1s"
_SHARE = "a share above 0 %, in thousandths of a percent at most, as 1% or 0.5%"
_COUNT = f"a number of calls from 1 to {MOST_CALLS}"
_SIZE = "a size above 0, as 50KB, 500B or 1MB"

_TIMES: Mapping[str, int] = MappingProxyType({"us": 1_000, "µs": 1_000, "ms": MS, "s": NS})
_SIZES: Mapping[str, int] = MappingProxyType({"B": 1, "KB": 1 << 10, "MB": 1 << 20})

_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(\D+)")

_Amount = TypeVar("_Amount", int, Fraction)


def _read(
    said: Mapping[str, str], kind: str, read: Callable[[str], _Amount | None], form: str
) -> _Amount | None:
    """The value of a kind; None where nothing is said of it."""
    if kind not in said:
        return None
    value = read(said[kind])
    if not value:
        raise UsageError(f"--endpoint: {kind}:{said[kind]} is not {form}")
    return value


def _time_ns(text: str) -> int | None:
    return _whole(text, _TIMES)


def _size_bytes(text: str) -> int | None:
    return _whole(text, _SIZES)


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,3}", text) and int(text) <= MOST_CALLS else None


def _whole(text: str, units: Mapping[str, int]) -> int | None:
    amount, unit = _split(text)
    return round(amount * units[unit]) if unit in units else None


def _share(text: str) -> Fraction | None:
    amount, unit = _split(text)
    return amount / 100 if unit == "%" and amount <= 100 else None


def _split(text: str) -> tuple[Fraction, str]:
    """A number and its unit; no unit where it is none."""
    found = _AMOUNT.fullmatch(text)
    return (Fraction(found[1]), found[2]) if found else (Fraction(0), "")
