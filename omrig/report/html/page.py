"""``report.html``: a run as one page that opens anywhere, offline, years later.

The numbers are computed here and in the modules beside this one, the words and the looks are the
templates'. What matters is drawn without a script, so that it shows in any viewer and on paper;
plotly draws the curves that one wants to look into.
"""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import jinja2
from markupsafe import Markup

import omrig
from omrig.model import units
from omrig.model.result import Result
from omrig.model.run import Run
from omrig.recordings import writer
from omrig.recordings.messages import Messages
from omrig.report import message_counts, owners
from omrig.report.html import recorded, view

PAGE = "report.html"


def write(
    path: Path,
    folders: Sequence[Path],
    run: Run,
    result: Result,
    *,
    shared_assets: bool = False,
    stages: Messages | None = None,
) -> None:
    """Draw the run in ``folders``, of which several hold a side each, into the file ``path``.

    ``stages`` are those of a merge, which no folder holds. With ``shared_assets`` plotly's script
    is put beside the page, once for all pages there, and not into it. Raises OSError where it
    cannot be written.
    """
    script = None
    if shared_assets:
        script = f"plotly-{metadata.version('plotly')}.min.js"
        if not path.with_name(script).exists():
            _write(path.with_name(script), _plotly())
    _write(path, text(folders, run, result, script=script, stages=stages))


def text(
    folders: Sequence[Path],
    run: Run,
    result: Result,
    *,
    script: str | None = None,
    stages: Messages | None = None,
) -> str:
    """The page; plotly's script is the file ``script`` beside it, None to have it inside."""
    with recorded.opened(folders, result, stages) as recordings:
        content = view.page(folders, run, result, recordings)
    return (
        templates(duration=shown_duration, size=units.size, owner=owners.title)
        .get_template("report.html.j2")
        .render(
            content,
            version=omrig.__version__,
            count_rows=message_counts.rows(result.counts or {}),
            count_notes=list(message_counts.notes(result.counts or {})),
            page_name=PAGE,
            script=script,
            plotly=Markup(_plotly()) if content["figures"] and not script else "",  # noqa: S704 - plotly's
        )
    )


def templates(**filters: Callable[..., str]) -> jinja2.Environment:
    """The templates of all pages, with these filters; what is absent is an error, not a blank."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("omrig.report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment


def shown_duration(nanoseconds: float) -> str:
    """A duration as the pages have it: nothing is 0."""
    return units.duration(nanoseconds) if nanoseconds else "0"


def _plotly() -> str:
    from plotly import offline

    return str(offline.get_plotlyjs())


def _write(path: Path, content: str) -> None:
    with writer.writing(path) as file:
        file.write(content)
