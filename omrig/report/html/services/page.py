"""``report.html`` of a recording of services: one page that opens anywhere, offline.

Everything on it is drawn without a script.
"""

from pathlib import Path

import omrig
from omrig.model.service import ServiceResult
from omrig.recordings import writer
from omrig.report import owners
from omrig.report.html.page import PAGE, shown_duration, templates
from omrig.report.html.services import view

__all__ = ["PAGE", "text", "write"]


def write(folder: Path, result: ServiceResult, path: Path | None = None) -> Path:
    """Draw the recording in ``folder``, whole or not at all; the path of its page.

    ``path`` is where, the page in ``folder`` unless it is given. Raises OSError where it cannot be
    written.
    """
    path = path or folder / PAGE
    content = text(result)
    with writer.writing(path) as file:
        file.write(content)
    return path


def text(result: ServiceResult) -> str:
    """The page."""
    return (
        templates(duration=shown_duration, owner=owners.title)
        .get_template("services.html.j2")
        .render(view.page(result), version=omrig.__version__)
    )
