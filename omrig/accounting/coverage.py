"""Which messages the stages are of, and which profilers were on meanwhile."""

from collections.abc import Mapping

from omrig.accounting import slicing
from omrig.accounting.slicing import Slicing
from omrig.model.coverage import Coverage, Disturbance
from omrig.model.result import Counts
from omrig.recordings.recording import Sides

_INCLUDED = "stages, books and verdict include what that slows down"


def of_stages(
    sides: Sides, found: Slicing | None, counted: Counts, has_stages: bool, quiet: bool
) -> Coverage | None:
    """How many messages were profiled, and which of them the stages are of.

    With ``quiet`` they are of those that were sent without what slows the run. None where the load
    was not sliced and no profiler slowed the messages of the stages.
    """
    disturbance = _disturbance(sides, found, quiet) if has_stages else None
    if found is not None:
        return _of_slices(found, quiet, disturbance)
    if disturbance is None:
        return None
    known = (counted.replied, counted.received, counted.sent)
    messages = next((each for each in known if each is not None), 0)
    return Coverage(
        modes=disturbance.modes,
        slow_only=False,
        profiled_messages=messages,
        unprofiled_messages=0,
        stages_of="profiled",
        disturbance=disturbance,
        text=f"all {messages:,} messages went under {disturbance.who}: {_why(disturbance)}",
    )


def _of_slices(found: Slicing, quiet: bool, disturbance: Disturbance | None) -> Coverage:
    counts = {profiled: 0 for profiled in (False, True)}
    for each in found.slices:
        counts[each.profiled] += each.messages
    text = f"{found.who}: {counts[True]:,} messages profiled, {counts[False]:,} sent without"
    if quiet:
        text += f"; stages, books and verdict are of the {counts[False]:,} sent without"
    if disturbance:
        text += f"; they went under {disturbance.who}: {_why(disturbance)}"
    return Coverage(
        modes={side: tuple(modes) for side, modes in found.modes.items()},
        slow_only=found.slow_only,
        profiled_messages=counts[True],
        unprofiled_messages=counts[False],
        stages_of="unprofiled" if quiet else None,
        disturbance=disturbance,
        text=text,
    )


def _why(disturbance: Disturbance) -> str:
    return f"{_INCLUDED} ({disturbance.reason})"


def _disturbance(sides: Sides, found: Slicing | None, quiet: bool) -> Disturbance | None:
    """What was on, and slows a run, while the messages of the stages went; None for nothing."""
    lasting = {
        name: side.about.offer.lasting if side.about.offer else () for name, side in sides.items()
    }
    slow = {} if quiet else _slow(sides)
    reasons = []
    if cannot := sorted({mode for modes in lasting.values() for mode in modes}):
        reasons.append(
            f"{' and '.join(cannot)} cannot be stopped and started while the load runs; a run"
            " without would tell"
        )
    if any(slow.values()):
        reasons.append(_why_not_quiet(sides, found))
    if not reasons:
        return None
    modes = {side: (*slow.get(side, ()), *lasting.get(side, ())) for side in ({**lasting, **slow})}
    return Disturbance(modes=modes, who=slicing.named(modes), reason="; ".join(reasons))


def _slow(sides: Sides) -> Mapping[str, tuple[str, ...]]:
    """The modes that slow the run and can be taken out; a side alone knows the other's, too."""
    plan = slicing.plan_of(sides)
    if plan and plan.slow_only:
        return plan.modes
    return {name: side.about.offer.slow if side.about.offer else () for name, side in sides.items()}


def _why_not_quiet(sides: Sides, found: Slicing | None) -> str:
    if found is not None:
        return "no message that is known to have been sent without has a whole timeline"
    if slicing.plan_of(sides) is None:
        return "the producer did not send its load in slices; its own result says why"
    return slicing.why_not(sides) or "too little of the load was sent"
