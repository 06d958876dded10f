"""Gates: limits that a comparison has to keep, as text and as an outcome."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from omrig.compare import metrics
from omrig.compare.metrics import Unit
from omrig.compare.resample import Estimate
from omrig.compare.table import Row, by_name
from omrig.model import units
from omrig.model.errors import UsageError
from omrig.model.values import Json

Outcome = Literal["met", "failed", "undecided"]

_GATE = re.compile(
    r"\s*(?P<metric>[A-Za-z0-9_.-]+)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*(?P<unit>%|[A-Za-zµμ/]*)\s*"
)

_UNITS: Mapping[Unit, Mapping[str, float]] = MappingProxyType(
    {
        "rate": {"": 1.0, "msg/s": 1.0},
        "duration": {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9},
        "size": {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3},
        "count": {"": 1.0},
        "number": {"": 1.0},
    }
)


@dataclasses.dataclass(frozen=True)
class Gate:
    """A limit: ``text`` as it was given, ``limit`` in the metric's unit or as a ratio to BASE.

    With ``at_most`` it is an upper limit, else a lower one. With ``difference`` it is of NEW less
    BASE, in the metric's unit.
    """

    text: str
    metric: str
    at_most: bool
    relative: bool
    limit: float
    difference: bool = False

    @property
    def no_change(self) -> float | None:
        """What NEW that is as BASE would have; None where the limit is not of BASE."""
        if self.relative:
            return 1.0
        return 0.0 if self.difference else None


@dataclasses.dataclass(frozen=True)
class Ruling:
    """What became of a gate; ``value`` is a ratio where the gate is relative, and a difference
    where that is what it limits. One without an interval is by exact counts, or of nothing."""

    gate: Gate
    outcome: Outcome
    value: float
    low: float | None
    high: float | None


def parse(text: str, option: str = "--gate") -> Gate:
    """The gate that ``text`` asks for, for example ``p99<=+5%`` or ``stage.publish<=300us``.

    A number with a sign and no ``%`` is by how much NEW may differ from BASE: ``p99<=+5ms``. ``<``
    and ``<=`` are the same: no figure is exactly its limit but by chance, or an exact count, of
    which ``<`` is not needed. Raises ``UsageError``, which names the ``option``, when it asks for
    none.
    """
    found = _GATE.fullmatch(text)
    if not found:
        raise UsageError(
            f"{option}: {text!r} is no gate; write METRIC<=LIMIT or METRIC>=LIMIT, for example"
            f" 'p99<=+5%', 'p99<=+5ms' or 'throughput>=900'; METRIC is one of {metrics.NAMES}"
        )
    metric = metrics.find(found["metric"])
    if metric is None:
        raise UsageError(
            f"{option}: {text!r}: there is no metric {found['metric']!r}; use {metrics.NAMES}"
        )
    number, at_most = float(found["number"]), found["operator"].startswith("<")
    if found["unit"] == "%":
        if metric.unit == "count":
            raise UsageError(f"{option}: {text!r}: a count has no percentage; give a number")
        return Gate(text, metric.name, at_most, True, 1 + number / 100)
    is_signed = found["number"][0] in "+-"
    if is_signed and metric.unit == "count":
        raise UsageError(
            f"{option}: {text!r}: errors are those of NEW alone; give a number without a sign"
        )
    units = _UNITS[metric.unit]
    if found["unit"] not in units:
        known = ", ".join(repr(unit) for unit in ("%", *units) if unit.isascii() and unit)
        raise UsageError(f"{option}: {text!r}: give the limit in one of {known}")
    limit = number * units[found["unit"]]
    return Gate(text, metric.name, at_most, False, limit, difference=is_signed)


def rule(gate: Gate, rows: Sequence[Row], errors: int) -> Ruling:
    """Whether a comparison keeps the limit; ``errors`` are of all of NEW's runs.

    Failed is a figure that is beyond the limit and not by chance. One that may be beyond it by
    chance is undecided: the runs are too few or too noisy to tell.

    Raises ``UsageError`` when the runs cannot say: they do not have the metric
    or no interval of it.
    """
    if gate.metric == metrics.ERRORS:
        return Ruling(gate, "failed" if beyond(gate, errors) else "met", errors, None, None)
    row = by_name(rows).get(gate.metric)
    if row is None:
        raise UsageError(
            f"--gate: {gate.text!r}: these runs have no {gate.metric} in common; they have"
            f" {', '.join(each.metric.name for each in rows)}"
        )
    if gate.relative and row.base <= 0 < row.new:
        raise UsageError(
            f"--gate: {gate.text!r}: {gate.metric} of BASE is 0, of which a percentage says"
            " nothing; give a limit with a unit"
        )
    if row.base == row.new == 0:
        return Ruling(gate, _of_nothing(gate), gate.no_change or 0.0, None, None)
    estimate = row.ratio if gate.relative else row.difference if gate.difference else row.absolute
    if estimate is None:
        raise UsageError(
            f"--gate: {gate.text!r}: too few runs for an interval of {gate.metric}; compare folders"
            " of three runs or more"
        )
    low, high = (None, None) if row.exact else (estimate.low, estimate.high)
    return Ruling(gate, _outcome(gate, estimate), estimate.value, low, high)


def _of_nothing(gate: Gate) -> Outcome:
    return "failed" if beyond(gate, gate.no_change or 0.0) else "met"


def _outcome(gate: Gate, estimate: Estimate) -> Outcome:
    if not beyond(gate, estimate.value):
        return "met"
    # A limit that tolerates a change is exceeded by a change that is real; a limit that asks for
    # one, or for an absolute figure, is missed only where the interval lies beyond it.
    sure = gate.limit
    if gate.no_change is not None:
        sure = (min if gate.at_most else max)(gate.limit, gate.no_change)
    certain = estimate.low > sure if gate.at_most else estimate.high < sure
    return "failed" if certain else "undecided"


def as_json(ruling: Ruling) -> dict[str, Json]:
    """A gate and what became of it, for a JSON file."""
    return {
        "gate": ruling.gate.text,
        "metric": ruling.gate.metric,
        "relative": ruling.gate.relative,
        **({"difference": True} if ruling.gate.difference else {}),
        "limit": ruling.gate.limit,
        "outcome": ruling.outcome,
        "value": ruling.value,
        "low": ruling.low,
        "high": ruling.high,
    }


def shown(gate: Gate, value: float) -> str:
    """A figure of the gate's metric as people read it."""
    metric = metrics.find(gate.metric)
    if metric is not None and metric.unit == "duration":
        return units.duration(value)
    return units.size(value) if metric is not None and metric.unit == "size" else f"{value:,.4g}"


def beyond(gate: Gate, value: float) -> bool:
    """Whether a figure does not keep the limit."""
    return value > gate.limit if gate.at_most else value < gate.limit
