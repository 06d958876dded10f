"""Compare two runs or two sets of runs: what changed, how sure that is, and what explains it."""

import dataclasses
from collections.abc import Sequence

from omrig.compare import conclusion as call
from omrig.compare import conditions, functions, gates, mover
from omrig.compare import explanation as cause
from omrig.compare import table as rows
from omrig.compare.conclusion import Call
from omrig.compare.conditions import Difference, Instability
from omrig.compare.explanation import Explanation
from omrig.compare.functions import Profiled
from omrig.compare.gates import Gate, Ruling
from omrig.compare.mover import Mover
from omrig.compare.resample import CONFIDENCE, MIN_BOOTSTRAP, RESAMPLES
from omrig.compare.runs import Messages, RunSet
from omrig.compare.table import Design, Row
from omrig.model.decision import Decision
from omrig.model.values import Json

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All that is known of two sets of runs beside each other.

    ``decision`` is that of the experiment whose runs they are, if it is one and has decided
    something; ``is_sequential`` says that its rounds went on until then, ``is_duet`` that both were
    run at once.
    ``functions`` are those of sides and modes that all runs have, and ``mover`` the ones that
    explain the change; None without any.
    """

    base: RunSet
    new: RunSet
    design: Design
    call: Call
    explanation: Explanation | None
    rows: tuple[Row, ...]
    not_compared: tuple[str, ...]
    differences: tuple[Difference, ...]
    instabilities: tuple[Instability, ...]
    rulings: tuple[Ruling, ...]
    decision: Decision | None = None
    is_sequential: bool = False
    is_duet: bool = False
    functions: tuple[Profiled, ...] = ()
    mover: Mover | None = None

    @property
    def failed(self) -> list[Ruling]:
        """The gates that were not met."""
        return [ruling for ruling in self.rulings if ruling.outcome == "failed"]


def compare(
    base: RunSet,
    new: RunSet,
    wanted: Sequence[Gate] = (),
    messages: tuple[Messages | None, Messages | None] = (None, None),
) -> Comparison:
    """Compare ``new`` with ``base``, and hold it to the gates ``wanted``.

    ``messages`` are needed where there is one run each. Raises
    ``UsageError`` when the runs cannot answer a gate.
    """
    design = rows.design_of(base.runs, new.runs)
    slices = None
    if design.kind == "slices":
        slices = rows.slices_of((base.runs[0], new.runs[0]), messages)
    table = rows.build(base.runs, new.runs, slices)
    workers = max(stored.run.plan.workers for stored in new.runs)
    explanation = cause.explain(table, _buckets(new), workers, call.sign_of(table))
    found = functions.compare(base.runs, new.runs, design)
    moved = mover.of(explanation, found) if found else None
    differing = conditions.differences(base.runs, new.runs)
    return Comparison(
        base=base,
        new=new,
        design=design,
        call=call.decide(table, design, explanation, moved.text if moved else ""),
        explanation=explanation,
        rows=tuple(table),
        not_compared=tuple(rows.not_compared(base.runs, new.runs)),
        differences=tuple(differing),
        instabilities=tuple(conditions.instabilities(base, new, design, differing, slices)),
        rulings=tuple(gates.rule(gate, table, new.errors) for gate in wanted),
        functions=found,
        mover=moved,
    )


def _buckets(side: RunSet) -> dict[str, str]:
    return {row.name: row.bucket for stored in side.runs for row in stored.result.stages or ()}


def as_json(comparison: Comparison) -> dict[str, Json]:
    """The comparison for a JSON file; durations in ns, ratios of NEW to BASE."""
    return {
        "schema": SCHEMA,
        "call": dataclasses.asdict(comparison.call),
        "stable": not comparison.instabilities,
        "explanation": dataclasses.asdict(comparison.explanation)
        if comparison.explanation
        else None,
        "method": {
            "design": comparison.design.kind,
            "text": comparison.design.text,
            "confidence": CONFIDENCE,
            "family_level": rows.FAMILY_LEVEL,
            "resamples": RESAMPLES,
            "min_bootstrap": MIN_BOOTSTRAP,
        },
        "base": _side(comparison.base),
        "new": _side(comparison.new),
        "rows": [rows.as_json(row) for row in comparison.rows],
        "not_compared": list(comparison.not_compared),
        "differences": [dataclasses.asdict(each) for each in comparison.differences],
        "instabilities": [dataclasses.asdict(each) for each in comparison.instabilities],
        "gates": [gates.as_json(ruling) for ruling in comparison.rulings],
        **({"decision": comparison.decision.to_json()} if comparison.decision else {}),
        **({"functions": _functions(comparison)} if comparison.functions else {}),
    }


MOST_FUNCTIONS = 50
"""So many functions of a side are in the JSON file, beside those that surely changed."""


def _functions(comparison: Comparison) -> dict[str, Json]:
    moved = comparison.mover
    return {
        "text": moved.text if moved else "",
        "stage": moved.stage if moved else None,
        "named": [f"{each.module}:{each.name}" for each in moved.functions] if moved else [],
        "profiles": [_profile(each) for each in comparison.functions],
    }


def _profile(found: Profiled) -> dict[str, Json]:
    kept = [each for at, each in enumerate(found.changes) if each.sure or at < MOST_FUNCTIONS]
    return {
        **{
            field.name: getattr(found, field.name)
            for field in dataclasses.fields(found)
            if field.name not in ("design", "speed", "changes")
        },
        "speed": dataclasses.asdict(found.speed) if found.speed else None,
        "changes": [dataclasses.asdict(each) for each in kept],
    }


def _side(side: RunSet) -> dict[str, Json]:
    return {
        "runs": [str(stored.folder) for stored in side.runs],
        "excluded": [{"run": folder, "reason": reason} for folder, reason in side.excluded],
        "errors": side.errors,
    }
