"""The result of a run on disk: accounted from its recordings, and written with its files."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from omrig.model.errors import Losses

if TYPE_CHECKING:
    from omrig.model.result import Result
    from omrig.model.run import Run


def account(folder: Path, losses: Losses, ended: "Run | None" = None) -> "Result":
    """Make the result of the run in ``folder``; write all of it but its page and its trace.

    What cannot be written is noted in ``losses``; it makes a run incomplete that has just ended, of
    which ``ended`` is the run at its end.
    """
    from omrig.accounting import result as accounting
    from omrig.model.run import Run
    from omrig.recordings import folder as run_folder
    from omrig.recordings import writer
    from omrig.report.files import listed

    run = ended or Run.from_json(run_folder.read_json(folder / run_folder.RUN))
    # Where omrig was killed it is still kept.
    for each in (folder, *(folder / name for name in run.members)):
        writer.release(each)
    accounted = accounting.account(folder, run)
    with losses.noted():
        accounted.save_stages()
    found = accounted.result
    # The times of all messages, which may be many.
    del accounted
    whole = result = listed.write(folder, run, found, losses)
    for name in (run_folder.RUN, run_folder.RESULT):
        result = _with_losses(whole, losses) if ended else whole
        run = dataclasses.replace(run, complete=result.complete, reason=result.reason)
        value = run if name == run_folder.RUN else result
        with losses.noted():
            writer.write_json(folder / name, value.to_json())
    # The last of them may have been refused, too.
    return _with_losses(whole, losses) if ended else whole


def _with_losses(result: "Result", losses: Losses) -> "Result":
    if not losses:
        return result
    reasons = [result.reason] if result.reason else []
    reason = "; ".join([*reasons, f"not written: {losses}"])
    return dataclasses.replace(result, complete=False, reason=reason)
