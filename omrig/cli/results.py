"""From what a run recorded to its result, with the files that go with it."""

from pathlib import Path
from typing import Any

from omrig.model.errors import Losses
from omrig.model.result import Result


def account(folder: Path, losses: Losses, ended: dict[str, Any] | None = None) -> Result:
    """Make the result of the run in ``folder``, and write all of it but its page and its trace.

    ``ended`` is the ``run.json`` of a run that has just ended. What could not be written is noted
    in ``losses``.
    """
    from omrig.accounting import assemble
    from omrig.report.files import listed

    return assemble.finish(folder, losses, listed.write, ended)
