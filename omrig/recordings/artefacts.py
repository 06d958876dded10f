"""The files of a run folder that people open, and with what."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from omrig.model.result import Artefact
from omrig.recordings import folder as run_folder
from omrig.recordings import series

_SHEET = "a spreadsheet, or pandas.read_csv"


def recorded(folder: Path, sides: Iterable[str]) -> tuple[Artefact, ...]:
    """What these sides, their profilers and the sampler left in a run folder."""
    return (*(each for side in sides for each in _of_side(folder, side)), *_samples(folder))


def _of_side(folder: Path, side: str) -> Iterator[Artefact]:
    for each in run_folder.read_json(folder / side / run_folder.ARTEFACTS) or []:
        yield Artefact.from_json(each)
    yield Artefact(
        path=f"{side}/{run_folder.MESSAGES}",
        kind="message times",
        side=side,
        open_with="numpy.load",
    )


def _samples(folder: Path) -> Iterator[Artefact]:
    known = [("machine", series.MACHINE, "machine samples", _SHEET)]
    for path in sorted(folder.glob(f"*/{series.PROCESS}")):
        name = path.parent.name
        known.append((name, f"{name}/{series.PROCESS}", "resource samples", _SHEET))
        known.append((name, f"{name}/{series.MEMORY}", "memory samples", _SHEET))
        known.append((name, f"{name}/{series.MPROF}", "mprof", "mprof plot {path}"))
    for side, found, kind, command in known:
        if (folder / found).exists():
            yield Artefact(path=found, kind=kind, side=side, open_with=command)
