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
    }
)


@dataclasses.dataclass(frozen=True)
class Gate:
    """A limit: ``text`` as it was given, ``limit`` in the metric's unit or as a ratio to BASE.

    With ``at_most`` it is an upper limit, else a lower one.
    """

    text: str
    metric: str
    at_most: bool
    relative: bool
    limit: float


@dataclasses.dataclass(frozen=True)
class Ruling:
    """What became of a gate; ``value`` is a ratio where the gate is relative."""

    gate: Gate
    outcome: Outcome
    value: float
    low: float | None
    high: float | None


def parse(text: str, option: str = "--gate") -> Gate:
    """The gate that ``text`` asks for, for example ``p99<=+5%`` or ``stage.publish<=300us``.

    ``<`` and ``<=`` are the same: no figure is exactly its limit but by chance. Raises
    ``UsageError``, which names the ``option``, when it asks for none.
    """
    found = _GATE.fullmatch(text)
    if not found:
        raise UsageError(
            f"{option}: {text!r} is no gate; write METRIC<=LIMIT or METRIC>=LIMIT, for example"
            f" 'p99<=+5%' or 'throughput>=900'; METRIC is one of {metrics.NAMES}"
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
    units = _UNITS[metric.unit]
    if found["unit"] not in units:
        known = ", ".join(repr(unit) for unit in ("%", *units) if unit.isascii() and unit)
        raise UsageError(f"{option}: {text!r}: give the limit in one of {known}")
    return Gate(text, metric.name, at_most, False, number * units[found["unit"]])


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
        return Ruling(gate, _of_nothing(gate), 1.0 if gate.relative else 0.0, None, None)
    estimate = row.ratio if gate.relative else row.absolute
    if estimate is None:
        raise UsageError(
            f"--gate: {gate.text!r}: too few runs for an interval of {gate.metric}; compare folders"
            " of three runs or more"
        )
    return Ruling(gate, _outcome(gate, estimate), estimate.value, estimate.low, estimate.high)


def _of_nothing(gate: Gate) -> Outcome:
    return "failed" if beyond(gate, 1.0 if gate.relative else 0.0) else "met"


def _outcome(gate: Gate, estimate: Estimate) -> Outcome:
    if not beyond(gate, estimate.value):
        return "met"
    # A limit that tolerates a change is exceeded by a change that is real; a limit that asks for
    # one, or for an absolute figure, is missed only where the interval lies beyond it.
    sure = gate.limit
    if gate.relative:
        sure = min(gate.limit, 1.0) if gate.at_most else max(gate.limit, 1.0)
    certain = estimate.low > sure if gate.at_most else estimate.high < sure
    return "failed" if certain else "undecided"


def as_json(ruling: Ruling) -> dict[str, Json]:
    """A gate and what became of it, for a JSON file."""
    return {
        "gate": ruling.gate.text,
        "metric": ruling.gate.metric,
        "relative": ruling.gate.relative,
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
