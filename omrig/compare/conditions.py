"""Under what conditions two sets of runs were made: what differs, and what makes them unstable."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy

from omrig.compare import metrics
from omrig.compare.runs import RunSet, StoredRun
from omrig.compare.table import MIN_PAIRS, Design, Slices
from omrig.model.facts import OTHER_CPU, STOLEN
from omrig.model.run import RecordedPlan, RecordedTransport
from omrig.model.values import Json

ADVISED_RUNS = 5
"""Of each side: of 3 an interval is known, and a change must be huge to be called."""

_MORE_RUNS = f"Make {ADVISED_RUNS} or more of each in turn, as omrig ab does"

WIDE_SPREAD = 0.1
"""Standard deviation over mean from which the runs of one side differ too much among themselves.

The limit at which pyperf, too, calls a benchmark unstable.
"""

BEYOND_PERCENTILE = 10
"""Messages beyond a percentile without which it is an accident."""

_SPREAD_OF = ("throughput", "p50")

_UNTOLD = frozenset(
    {
        "run_id",
        "output",
        "debug",
        "wait_s",
        "idle_s",
        "sides",
        # Named by what they say: pools, options, timeout and the transport.
        "requirements",
        "python",
        "rabbitmq",
        "config_files",
        "config_dirs",
        "project",
        "executor_pool_size",
    }
)
"""Parts of a plan that do not change what is measured."""

_MACHINE = frozenset({"host", "kernel", "cpu_count", "cores", "machine", "boot_id"})


@dataclasses.dataclass(frozen=True)
class Difference:
    """A condition that was not the same in all runs.

    ``base`` and ``new`` are all values of a side, in words. ``unstable`` marks what makes figures
    incomparable rather than what may be the very thing compared.
    """

    what: str
    base: tuple[str, ...]
    new: tuple[str, ...]
    unstable: bool


@dataclasses.dataclass(frozen=True)
class Instability:
    """A reason not to lean on the comparison: its ``kind`` for programs and what it is."""

    kind: str
    text: str


def differences(base: Sequence[StoredRun], new: Sequence[StoredRun]) -> list[Difference]:
    """Each condition in which the runs differ, between the sides or within one."""
    described = [[of_stored(stored) for stored in side] for side in (base, new)]
    names = dict.fromkeys(name for side in described for each in side for name in each)
    found = []
    for name in names:
        ours, theirs = (
            tuple(sorted({str(each.get(name, "default")) for each in side})) for side in described
        )
        if ours != theirs or len(ours) > 1:
            mixed = len(ours) > 1 or len(theirs) > 1
            found.append(Difference(name, ours, theirs, mixed or _spoils(name)))
    return found


def _spoils(name: str) -> bool:
    return name in _MACHINE or name.startswith("broker") or name in ("pattern", "mix", "sides")


def of_stored(stored: StoredRun) -> dict[str, Json]:
    """Every condition that a run was made under, by what it is called."""
    run = stored.run
    transport, plan = run.transport, run.plan
    found = {
        "omrig": run.omrig,
        **run.environment.to_json(),
        # A version alone does not tell two states of a checkout apart.
        **{name: run.environment.version(name) for name in run.environment.sources or ()},
        "broker address": _broker_address(transport),
        "vhost": transport.vhost,
        "tls": transport.tls,
        "driver": transport.driver,
        "sides": " and ".join(stored.result.sides),
        **{name: value for name, value in plan.to_json().items() if name not in _UNTOLD},
        **_traffic(plan),
        **{f"{side}s": len(plan.names(side)) for side in run.sides},
        **run.pools,
        **run.options,
    }
    found.pop("sources", None)
    return found


def _traffic(plan: RecordedPlan) -> dict[str, Json]:
    """The mix and the sizes in words, where there are any."""
    found: dict[str, Json] = {}
    if plan.mix:
        found["mix"] = ",".join(f"{name}={weight}" for name, weight in plan.mix.items())
    if plan.sizes:
        # Two files of one name may differ.
        found["sizes"] = f"{plan.sizes}, {plan.sizes.digest}"
    return found


def _broker_address(transport: RecordedTransport) -> str:
    # Its port is another one each time.
    embedded = transport.source == "embedded broker"
    return "embedded" if embedded else transport.url


def instabilities(
    base: RunSet,
    new: RunSet,
    design: Design,
    differing: Sequence[Difference],
    slices: Slices | None,
) -> list[Instability]:
    """Every reason not to lean on the comparison; none where it is sound."""
    found = [*_few(design), *_order(base.runs, new.runs, design), *_excluded(base, new)]
    found += [*_spread(base.runs, new.runs, slices), *_busy(base.runs, new.runs)]
    found += _thin_tails(base.runs, new.runs)
    found += [
        Instability("conditions", f"{each.what} differs: {both(each)}")
        for each in differing
        if each.unstable
    ]
    return found


def _few(design: Design) -> Iterable[Instability]:
    if design.kind == "slices":
        yield Instability(
            "one run each",
            "one run each: how much two runs of the same differ is not known; it is taken to be as"
            f" much as the slices of a run do. {_MORE_RUNS}",
        )
    elif min(design.base_runs, design.new_runs) < MIN_PAIRS:
        yield Instability(
            "few runs",
            f"too few runs ({design.base_runs} and {design.new_runs}). {_MORE_RUNS}",
        )


def _order(
    base: Sequence[StoredRun], new: Sequence[StoredRun], design: Design
) -> Iterable[Instability]:
    ours, theirs = ([stored.started_s for stored in side] for side in (base, new))
    if design.kind == "sets" and (max(ours) < min(theirs) or max(theirs) < min(ours)):
        yield Instability(
            "not interleaved",
            "all runs of one side came before the other's: what changed on the machine meanwhile"
            " counts as a difference; make them in turn",
        )


def _excluded(base: RunSet, new: RunSet) -> Iterable[Instability]:
    for name, side in (("BASE", base), ("NEW", new)):
        for folder, reason in side.excluded:
            yield Instability("incomplete", f"left out of {name}: {folder}: {reason}")


def _spread(
    base: Sequence[StoredRun],
    new: Sequence[StoredRun],
    slices: Slices | None,
) -> Iterable[Instability]:
    for number, (name, side) in enumerate((("BASE", base), ("NEW", new))):
        figures = [metrics.of_run(stored.result) for stored in side]
        for metric in _SPREAD_OF:
            values = numpy.array([each[metric] for each in figures if metric in each])
            parts = "the runs"
            if len(values) < 2:
                values = slices[number].get(metric, values) if slices else values
                parts = "the slices"
            wide = float(values.std(ddof=1) / values.mean()) if len(values) > 1 else 0.0
            if wide > WIDE_SPREAD:
                yield Instability(
                    "spread",
                    f"{parts} of {name} differ by {100 * wide:.0f} % in {metric} (standard"
                    f" deviation over mean; above {100 * WIDE_SPREAD:.0f} % the machine was not"
                    " quiet)",
                )


def _busy(base: Sequence[StoredRun], new: Sequence[StoredRun]) -> Iterable[Instability]:
    for name, side in (("BASE", base), ("NEW", new)):
        machines = [machine for stored in side for machine in stored.result.machines]
        for shares, limit, text in (
            (
                [machine.other_cpu_share for machine in machines],
                OTHER_CPU,
                "processes that are not measured took up to {:.2f} cores",
            ),
            (
                [machine.steal_share for machine in machines],
                STOLEN,
                "the hypervisor kept up to {:.2f} of the cores' time for others",
            ),
        ):
            beyond = [share for share in shares if share >= limit]
            if beyond:
                most = text.format(max(beyond))
                yield Instability(
                    "busy machine", f"{most}, in {len(beyond)} of {len(side)} runs of {name}"
                )


def _thin_tails(base: Sequence[StoredRun], new: Sequence[StoredRun]) -> Iterable[Instability]:
    counts = [stored.result.latency.count for stored in (*base, *new) if stored.result.latency]
    fewest = min(counts, default=0)
    if not fewest:
        return
    for name, beyond in (("p90", 0.1), ("p99", 0.01)):
        least = round(BEYOND_PERCENTILE / beyond)
        if fewest < least:
            yield Instability(
                "few messages",
                f"{name} rests on {fewest * beyond:,.0f} of {fewest:,} messages of a run: have"
                f" {least:,} or more before you lean on it or on what lies above",
            )
            return


def both(difference: Difference) -> str:
    """What a difference is, in words."""
    ours, theirs = (", ".join(values) for values in (difference.base, difference.new))
    return f"{ours} in both" if ours == theirs else f"BASE {ours}, NEW {theirs}"
