"""Run folders come back from the hosts of a fleet: file by file, in chunks, each checked.

On the host :func:`listing` and :func:`chunk` read a member's folder. The coordinator asks for what
it has not yet: a file that is there with the right digest is skipped, one that was cut is gone on
with where it ended, and one becomes a file of the run folder when its digest is right. So whatever
interrupts it, it is called again, by the same worker or by another one of that host.
"""

import asyncio
import errno
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from omrig.fleet import digests
from omrig.model import errors
from omrig.model.errors import RunError
from omrig.recordings import writer

if TYPE_CHECKING:
    from distributed import Client

CHUNK_BYTES = 4 << 20
"""Of a file that are asked for at a time, before they are compressed."""

ANSWER_S = 60.0
"""For how long a host may say nothing before it counts as cut off: it reads and checks gigabytes
in that time."""

TRIES = 3
"""How often a chunk is asked for that comes broken, and how often a file that changes meanwhile."""

_SAID_EVERY_S = 1.0

_PARTIAL = ".fetched"
"""Behind the name and the digest of a file that is not whole yet."""

Say = Callable[[str], None]


class Cut(Exception):
    """A host did not answer, or could not read its folder; what came is kept. The text is one line
    for a person."""


class Entry(NamedTuple):
    """A file of a folder on a host: its path there, with slashes, its size and its SHA-256."""

    name: str
    size_bytes: int
    sha256: str


class Source(Protocol):
    """A folder on a host, as the coordinator asks for it. All raise :class:`Cut`."""

    @property
    def title(self) -> str:
        """Which folder of which host it is, for a person."""

    def listing(self) -> list[Entry]:
        """The files that there are."""

    def chunk(self, name: str, at: int, size_bytes: int) -> bytes:
        """So many bytes of a file from ``at`` on, as a frame of :mod:`omrig.fleet.digests`."""


def listing(folder: str) -> list[tuple[str, int, str]]:
    """The files in a folder of this host: name, bytes, SHA-256. Raises ``OSError``.

    What only kept room on the disk is none of them, nor is what is no file.
    """
    base = Path(folder)
    found = []
    if not base.is_dir():
        # rglob() says nothing of it.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    for path in sorted(base.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name != writer.RESERVE:
            name = path.relative_to(base).as_posix()
            found.append((name, path.stat().st_size, digests.of_file(path)))
    return found


def chunk(
    folder: str, name: str, at: int, size_bytes: int, codecs: Sequence[str] = digests.CODECS
) -> bytes:
    """Bytes of a file in a folder of this host, as a frame that one of the ``codecs`` reads.

    Raises ``OSError``, and ``ValueError`` for a name outside of the folder.
    """
    with _within(Path(folder), name).open("rb") as file:
        file.seek(at)
        return digests.packed(file.read(size_bytes), codecs)


def _within(folder: Path, name: str) -> Path:
    """The path of a file by its name in a listing. Raises ``ValueError`` for one outside."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise ValueError(f"no file of a run folder: {name!r}")
    return folder.joinpath(*parts)


def _is_in(name: str, folders: Sequence[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


class OfWorker:
    """A folder on the host of one of the engine's workers."""

    def __init__(self, client: "Client", worker: str, folder: str) -> None:
        self._client, self._worker, self._folder = client, worker, folder

    @property
    def title(self) -> str:
        """The folder, and the address of the worker."""
        return f"{self._folder} by {self._worker}"

    def listing(self) -> list[Entry]:
        """The files that there are. Raises :class:`Cut`."""
        return [Entry(*each) for each in self._asked(listing, self._folder)]

    def chunk(self, name: str, at: int, size_bytes: int) -> bytes:
        """Bytes of a file as a frame. Raises :class:`Cut`."""
        found = self._asked(chunk, self._folder, name, at, size_bytes, digests.CODECS)
        return bytes(found)

    def remove(self) -> None:
        """Delete the folder, which is in the host's spool. Raises :class:`Cut`."""
        from omrig.fleet import spool

        self._asked(spool.remove, self._folder)

    def _asked(self, function: Callable[..., Any], *arguments: object) -> Any:
        asked = functools.partial(_beside, function, *arguments)
        try:
            found = self._client.run(
                asked,
                workers=[self._worker],
                # Not for the function: for the one that waits for it.
                callback_timeout=ANSWER_S,
            )
            return found[self._worker]
        except TimeoutError as error:
            raise Cut(f"{self.title}: no answer for {ANSWER_S:g} s") from error
        except OSError as error:
            raise Cut(f"{self.title}: {errors.in_words(error)}") from error
        except (ValueError, KeyError, RuntimeError) as error:
            # The engine's words for a worker that it knows no more, or for its own end.
            raise Cut(f"{self.title}: {error}") from error


async def _beside(function: Callable[..., Any], *arguments: object) -> Any:
    """Call it on a thread of its own: the worker's loop also speaks for members that run."""
    return await asyncio.to_thread(function, *arguments)


def fetch(
    client: "Client",
    worker_address: str,
    remote_folder: str,
    local_folder: Path,
    say: Say,
    parts: Sequence[str] = (),
) -> None:
    """Bring a folder of a worker's host into ``local_folder``; what is there already is kept.

    With ``parts`` these folders of it only. ``say`` hears how far it is, at most once a second.
    Raises as :func:`collect`.
    """
    collect(OfWorker(client, worker_address, remote_folder), local_folder, say, parts)


def fetch_by_any(
    client: "Client",
    workers: Sequence[str],
    remote_folder: str,
    local_folder: Path,
    say: Say,
    parts: Sequence[str] = (),
) -> str:
    """As :func:`fetch`, by whichever of the ``workers`` of a host answers; the address of that one.

    One goes on where another ended. Raises :class:`Cut` where none of them brought all of it.
    """
    reasons = []
    for worker in workers:
        try:
            fetch(client, worker, remote_folder, local_folder, say, parts)
        except Cut as error:
            reasons.append(str(error))
        else:
            return worker
    raise Cut("; ".join(reasons) or f"{remote_folder}: no worker is left on its host")


def remove(client: "Client", worker_address: str, remote_folder: str) -> None:
    """Delete a folder that was fetched from its host's spool. Raises :class:`Cut`."""
    OfWorker(client, worker_address, remote_folder).remove()


def collect(source: Source, folder: Path, say: Say, parts: Sequence[str] = ()) -> None:
    """Bring the files of ``source`` into ``folder``, which may hold some of it, whole or not: all,
    or those in its folders ``parts``.

    Raises :class:`Cut` where the host answers no more, ``OSError`` where the disk takes no more
    (both keep what came), and ``RunError`` where a file cannot be had as it is.
    """
    progress = _Progress(say, folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        entries = [each for each in source.listing() if not parts or _is_in(each.name, parts)]
        # First what is small: with it alone there are still counts.
        entries.sort(key=lambda each: each.size_bytes)
        progress.begin(sum(each.size_bytes for each in entries))
        changed = [each.name for each in entries if not _brought(source, each, folder, progress)]
        if not changed:
            progress.end()
            return
    raise RunError(
        f"{source.title}: {', '.join(changed)} changed while it was collected; collect again when"
        " nobody writes there"
    )


class _Progress:
    """How much of a folder is there, said now and then."""

    def __init__(self, say: Say, name: str) -> None:
        self._say, self._name = say, name
        self._done = self._whole = 0
        self._said_s = time.monotonic()

    def begin(self, whole_bytes: int) -> None:
        self._done, self._whole = 0, whole_bytes

    def add(self, size_bytes: int) -> None:
        self._done += size_bytes
        if time.monotonic() - self._said_s >= _SAID_EVERY_S:
            self._said_s = time.monotonic()
            self._say(f"{self._name}: {self._done / 1e6:,.0f} of {self._whole / 1e6:,.0f} MB")

    def end(self) -> None:
        self._say(f"{self._name}: {self._whole / 1e6:,.1f} MB collected")


def _brought(source: Source, entry: Entry, folder: Path, progress: _Progress) -> bool:
    """Whether the file is there with the digest that the host gave."""
    path = _within(folder, entry.name)
    partial = path.with_name(f"{path.name}.{entry.sha256[:16]}{_PARTIAL}")
    for other in _partials(path):
        if other != partial:
            other.unlink()
    if _is(path, entry):
        progress.add(entry.size_bytes)
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    progress.add(_kept(partial, entry))
    while (at := partial.stat().st_size) < entry.size_bytes:
        raw = _chunk(source, entry, at)
        writer.append(partial, raw)
        progress.add(len(raw))
    if digests.of_file(partial) != entry.sha256:
        # It was written to while it was read, or a crash left something else here.
        partial.unlink()
        return False
    partial.replace(path)
    return True


def _kept(partial: Path, entry: Entry) -> int:
    """How much of a file came before; what cannot be it is thrown away."""
    size = partial.stat().st_size
    if size <= entry.size_bytes:
        return size
    partial.write_bytes(b"")
    return 0


def _partials(path: Path) -> Iterator[Path]:
    """What came of a file earlier, and of others that had its name."""
    if path.parent.is_dir():
        for each in path.parent.iterdir():
            if each.name.startswith(f"{path.name}.") and each.name.endswith(_PARTIAL):
                yield each


def _is(path: Path, entry: Entry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.size_bytes:
        return False
    return digests.of_file(path) == entry.sha256


def _chunk(source: Source, entry: Entry, at: int) -> bytes:
    """The next bytes of a file. Raises ``RunError`` where they come broken each time."""
    wanted = min(CHUNK_BYTES, entry.size_bytes - at)
    for _ in range(TRIES):
        try:
            return digests.unpacked(source.chunk(entry.name, at, wanted), wanted)
        except ValueError as error:
            reason = str(error)
    raise RunError(f"{source.title}: {entry.name} at byte {at:,}: {reason}, {TRIES} times")
