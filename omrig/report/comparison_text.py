"""How every renderer of a comparison says its figures."""

from collections.abc import Sequence

from omrig.compare.conclusion import signed_percent, worse
from omrig.compare.conditions import Difference, both
from omrig.compare.gates import Ruling, beyond
from omrig.compare.metrics import Metric, find
from omrig.compare.resample import Estimate
from omrig.compare.table import Row, excludes_no_change
from omrig.model import units

NOT_SIGNIFICANT = "not significant"

OUTCOMES = {"met": "met", "failed": "FAILED", "undecided": "undecided"}

_MANY = 1000.0


def value(metric: Metric, figure: float) -> str:
    """A figure with its unit."""
    if metric.unit == "rate":
        return f"{figure:,.1f} msg/s"
    if metric.unit == "size":
        return units.size(figure)
    if metric.unit == "count":
        return f"{figure:,.0f}"
    if metric.unit == "number":
        return number(figure)
    return units.duration(figure) if figure else "0"


def number(figure: float) -> str:
    """So many a message: whole where it is, else with as many digits as can matter."""
    return f"{figure:,.0f}" if figure == round(figure) else f"{figure:,.2f}"


def change(metric: Metric, figure: float) -> str:
    """A difference with its sign and unit."""
    return f"{'-' if figure < 0 else '+'}{value(metric, abs(figure))}"


def ratio(figure: float) -> str:
    """A ratio with as many digits as can matter."""
    if figure >= _MANY:
        return f"over {_MANY:,.0f}"
    return f"{figure:.3f}" if figure < 10 else f"{figure:,.1f}"


def interval(estimate: Estimate | None) -> str:
    """The interval of a ratio."""
    return f"{ratio(estimate.low)} to {ratio(estimate.high)}" if estimate else "no interval"


def verdict(row: Row) -> str:
    """What a row says of the change, in a word or two."""
    if row.only:
        return f"only in {row.only}"
    if row.exact:
        return change(row.metric, row.change) if row.significant else "equal"
    if row.significant is None:
        return "unchanged" if row.base == row.new else "not tested"
    if not row.significant:
        return NOT_SIGNIFICANT
    if row.metric.name == "throughput":
        return "slower" if worse(row) else "faster"
    if row.metric.unit == "duration" and not row.metric.name.startswith("cpu"):
        return "longer" if worse(row) else "shorter"
    return "more" if worse(row) else "less"


def counted(rows: Sequence[Row]) -> list[Row]:
    """The counts a message that are worth a row: of a side only what is of no two, or differs."""
    found = {row.metric.name: row for row in rows if row.metric.family == "counts"}
    return [
        row
        for name, row in found.items()
        if (row.base or row.new) and (name.rpartition(".")[0] not in found or row.significant)
    ]


def by_chance(rows: tuple[Row, ...]) -> str | None:
    """A line on rows whose own interval says more than the call; None where there are none."""
    tested = [row for row in rows if row.significant is not None and not row.exact]
    left = [row for row in tested if not row.significant and excludes_no_change(row)]
    if not left:
        return None
    names = ", ".join(row.metric.name for row in left)
    verb = "has an interval that excludes" if len(left) == 1 else "have intervals that exclude"
    return f"{names} {verb} 1: of {len(tested)} rows some do by chance, so that is not significant"


def difference(each: Difference) -> str:
    """A condition that differs, in words."""
    return f"{each.what}: {both(each)}"


def ruling(each: Ruling, advice: str = "make more runs") -> str:
    """A gate and what became of it, in one line; ``advice`` is for one that is undecided."""
    gate, metric = each.gate, find(each.gate.metric)

    def shown(figure: float) -> str:
        if gate.relative or not metric:
            return signed_percent(figure)
        return change(metric, figure) if gate.difference else value(metric, figure)

    known = ""
    if each.low is not None and each.high is not None:
        known = f" (95 % interval {shown(each.low)} to {shown(each.high)})"
    line = f"{OUTCOMES[each.outcome]}: {gate.text}: {gate.metric} {shown(each.value)}{known}"
    if each.outcome == "undecided":
        where = "beyond" if beyond(gate, each.value) else "within"
        return f"{line}: {where} the limit, but that may be chance; {advice}"
    return line
