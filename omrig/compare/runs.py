"""Runs as they are compared: one run folder, or a folder of them."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy

from omrig.model.columns import Floats, Integers
from omrig.model.errors import RunError, UsageError, naming
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.recordings import folder as run_folder
from omrig.recordings import messages as recorded_messages
from omrig.recordings import recording, series


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """A run that ended well: its folder, ``run.json`` and ``result.json``."""

    folder: Path
    run: Run
    result: Result

    @property
    def started_s(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.run.started_epoch_seconds

    @property
    def messages_per_second(self) -> float:
        """Its throughput."""
        return self.result.throughput.messages_per_second if self.result.throughput else 0.0


@dataclasses.dataclass(frozen=True)
class RunSet:
    """What one argument of a comparison names.

    ``excluded`` are the folders of incomplete runs, each with the reason; ``errors`` counts the
    messages that failed in all runs, the excluded ones among them.
    """

    runs: tuple[StoredRun, ...]
    excluded: tuple[tuple[str, str], ...] = ()
    errors: int = 0


@dataclasses.dataclass(frozen=True)
class Messages:
    """A run's messages in the order in which they ended, on CLOCK_MONOTONIC, in ns.

    ``began_ns`` is when the load began. ``ended_ns`` has an element a message, ``latency_ns``
    likewise (None without a producer). ``stages`` have rows of their own: those messages whose
    stages were recorded. ``cpu`` holds by process the times and the CPU used until then, in ns.
    """

    began_ns: int
    ended_ns: Integers
    latency_ns: Integers | None
    stages: dict[str, Integers]
    cpu: dict[str, tuple[Floats, Floats]]


def read(name: str, argument: str) -> RunSet:
    """The runs in the folder ``name``, oldest first; ``argument`` is named in errors.

    Raises ``UsageError`` when there is none, or one of them is no measurement
    or of other sides than the rest; ``RunError`` when none is fit to compare.
    """
    folder = Path(name)
    with naming(argument):
        inner = sorted(path.parent for path in folder.glob(f"*/{run_folder.RUN}"))
        names = [folder] if (folder / run_folder.RUN).exists() else inner
    if not names:
        raise UsageError(
            f"{argument}: {name} holds no run (no {run_folder.RUN} in it or in its folders);"
            " give a run folder or a folder of run folders"
        )
    found = of_folders(names, argument)
    kept, excluded = found.runs, found.excluded
    if not kept:
        which, why = excluded[0]
        more = f" (and {len(excluded) - 1} more likewise)" if len(excluded) > 1 else ""
        raise RunError(f"{argument}: nothing to compare: {which} is left out: {why}{more}")
    _refuse_mixed_sides(kept, argument)
    return found


def of_folders(folders: Iterable[Path], argument: str) -> RunSet:
    """The runs in those folders, oldest first, of which there may be none that is fit to compare.

    Raises ``UsageError``, which names ``argument``, when one of them is no measurement.
    """
    kept, excluded, errors = [], [], 0
    for each in folders:
        path, run = run_folder.read_run(str(each), argument)
        result = run_folder.read_result(path, argument)
        if result:
            errors += result.messages.failed
        reason = _unfit(result)
        if reason:
            excluded.append((str(each), reason))
        elif result:
            _refuse_in_memory(each, run, argument)
            kept.append(StoredRun(path, run, result))
    kept.sort(key=lambda stored: stored.started_s)
    return RunSet(tuple(kept), tuple(excluded), errors)


def _unfit(result: Result | None) -> str | None:
    if result is None:
        return f"it has no {run_folder.RESULT}; `omrig report` makes it"
    if not result.complete:
        return str(result.reason)
    return None if result.throughput else "too few messages for a throughput"


def _refuse_in_memory(folder: Path, run: Run, argument: str) -> None:
    if not run.transport.is_measurement:
        what = "is a mock of a cluster" if run.transport.is_mock else "stays inside one process"
        raise UsageError(
            f"{argument}: {folder} is no measurement ({run.transport.url} {what}); compare runs"
            " through a broker"
        )


def _refuse_mixed_sides(kept: Iterable[StoredRun], argument: str) -> None:
    sides = {" and ".join(sorted(stored.result.sides, reverse=True)) for stored in kept}
    if len(sides) > 1:
        raise UsageError(
            f"{argument}: holds runs of different sides ({'; '.join(sorted(sides))}); compare runs"
            " of the same sides"
        )


def read_messages(stored: StoredRun) -> Messages | None:
    """What each message of a run took; None where its recordings are gone."""
    sides = [side for side in ("producer", "consumer") if side in stored.result.sides]
    recorded = _recorded(stored, sides)
    if len(recorded) < len(sides):
        return None
    first = recorded[sides[0]]
    cpu = {name: used for name in stored.result.resources if (used := _cpu(stored, name))}
    if sides[0] == "consumer":
        ended = first.received()
        return Messages(int(ended[0]), ended, None, first.stages(), cpu)
    done = first.end_ns > 0
    order = numpy.argsort(first.end_ns[done], kind="stable")
    ended = first.end_ns[done][order]
    latency = (first.end_ns - first.due_ns)[done][order]
    stages, seq = first.stages(), first.seq()
    if stages and seq is not None:
        by_end = numpy.argsort(first.end_ns[seq], kind="stable")
        stages = {name: values[by_end] for name, values in stages.items()}
    elif "consumer" in recorded:
        # A producer that recorded none: the consumer's rows are in the order of arrival.
        stages = recorded["consumer"].stages()
    return Messages(int(first.start_ns[done].min()), ended, latency, stages, cpu)


def _recorded(stored: StoredRun, sides: Iterable[str]) -> dict[str, recorded_messages.Messages]:
    """The messages of those sides whose recordings are still there, all of their members."""
    plan = stored.run.plan
    there = [name for side in sides for name in plan.names(side)]
    if not all((stored.folder / name / run_folder.MESSAGES).exists() for name in there):
        return {}
    with recording.opened([stored.folder]) as found:
        return {
            side: recorded_messages.Messages(dict(each.messages.columns))
            for side, each in found.items()
        }


def _cpu(stored: StoredRun, process: str) -> tuple[Floats, Floats] | None:
    """Of a side, of all its members."""
    names = stored.run.plan.names(process) if process in stored.run.sides else [process]
    folders = [stored.folder / name / series.PROCESS for name in names]
    read = [found for folder in folders if (found := series.read(folder))]
    if not read:
        return None
    sampled = series.added(read) if len(read) > 1 else read[0]
    used = sampled["cpu_user_seconds"] + sampled["cpu_system_seconds"]
    return sampled["monotonic_ns"], used * 1e9
