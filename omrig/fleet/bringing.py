"""What members left on their hosts comes into the run folder of the coordinator."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from omrig.fleet import agent, collecting, digests, spool
from omrig.fleet.hosts import Host
from omrig.fleet.remote import Post
from omrig.model.boot import boot_id
from omrig.model.errors import Losses, RunError
from omrig.model.units import NS
from omrig.supervisor.display import Display

if TYPE_CHECKING:
    from distributed import Client

HOSTS = "hosts"
"""The folder in a run folder with a folder for each host of a fleet."""

ORPHAN_S = 10.0
"""So long after its worker is gone a member has ended, and written what it can."""


class OfThisHost:
    """A folder that is on the coordinator's own machine, for want of a worker that reads it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def title(self) -> str:
        """The folder."""
        return self._folder

    def listing(self) -> list[collecting.Entry]:
        """Its files. Raises :class:`omrig.fleet.collecting.Cut`."""
        try:
            return [collecting.Entry(*each) for each in collecting.listing(self._folder)]
        except OSError as error:
            raise collecting.Cut(f"{self._folder}: {error.strerror}") from error

    def chunk(self, name: str, at: int, size_bytes: int) -> bytes:
        """Bytes of one as a frame. Raises :class:`omrig.fleet.collecting.Cut`."""
        try:
            return collecting.chunk(self._folder, name, at, size_bytes, digests.CODECS)
        except OSError as error:
            raise collecting.Cut(f"{self._folder}: {error.strerror}") from error


def bring(
    client: "Client",
    posts: Sequence[Post],
    hosts: Mapping[str, Host],
    folder: Path,
    display: Display,
    losses: Losses,
) -> dict[str, str]:
    """Bring the folders of all members and those of the hosts; by host the folder that is left.

    What came is deleted there. What could not be had is told, and noted in ``losses``.
    """
    alive = _alive(client)
    readable = [
        post
        for post in posts
        if _workers(post, hosts[post.host], posts, alive) or _is_here(hosts[post.host], post.folder)
    ]
    _let_orphans_end(readable, display)
    alive = _alive(client)
    left: dict[str, str] = {}
    for post in posts:
        host = hosts[post.host]
        to = {f"{post.folder}/{name}": folder / name for name in post.members}
        to[f"{post.folder}/{post.own}"] = folder / post.own
        workers = _workers(post, host, posts, alive)
        if post.worker in workers:
            _let_rest(client, post)
        for remote, local in to.items():
            try:
                _fetch(client, workers, host, remote, local, display)
            except (collecting.Cut, RunError, OSError) as error:
                left.setdefault(post.host, post.folder)
                display.tell(f"{remote} on {post.host} could not be collected: {error}")
                if local.name in post.members:
                    losses.add({f"left on {post.host}": [local.name]})
    return left


def _let_orphans_end(posts: Sequence[Post], display: Display) -> None:
    """Members whose worker is gone save and end by themselves; nobody says when.

    What nobody can read is not waited for: it is fetched later.
    """
    lost_ns = [post.lost_ns for post in posts if post.lost_ns is not None and post.members]
    wait_s = ORPHAN_S - (time.monotonic_ns() - max(lost_ns)) / NS if lost_ns else 0.0
    if wait_s > 0:
        display.say("waiting for what lost members still write")
        time.sleep(wait_s)


def _let_rest(client: "Client", post: Post) -> None:
    """Have the agent write nothing more; of one that does not answer nothing will be had either."""
    with contextlib.suppress(OSError, TimeoutError, KeyError, RuntimeError):
        # The time is not for the function: it is for the one that waits for it.
        client.run(
            agent.rest, post.name, workers=[post.worker], callback_timeout=collecting.ANSWER_S
        )


def _alive(client: "Client") -> set[str]:
    """The workers that the engine knows; none where the scheduler is gone."""
    if client.status != "running":
        return set()
    try:
        return set(client.nthreads())
    except OSError:
        return set()


def _workers(post: Post, host: Host, posts: Sequence[Post], alive: set[str]) -> list[str]:
    """Who can read what a post left: its own worker, else any other on that host."""
    silent = {each.worker for each in posts if each.lost is not None}
    own = [post.worker] if post.worker in alive - silent else []
    others = [each for each in sorted(alive - silent) if urlsplit(each).hostname == host.address]
    return list(dict.fromkeys(own + others))


def _is_here(host: Host, folder: str) -> bool:
    """Whether a folder of that host is one of this machine."""
    return host.boot_id == boot_id() and Path(folder).is_dir()


def _fetch(
    client: "Client", workers: list[str], host: Host, remote: str, local: Path, display: Display
) -> None:
    """By a worker of that host, else straight from the disk where that is this machine's."""
    if workers:
        worker = collecting.fetch_by_any(client, workers, remote, local, display.say)
        collecting.remove(client, worker, remote)
        return
    if _is_here(host, remote):
        collecting.collect(OfThisHost(remote), local, display.say)
        if spool.root().resolve() in Path(remote).resolve().parents:
            # Another user's, or another place that a worker was told, is not ours to delete.
            spool.remove(remote)
        return
    raise collecting.Cut("no worker is left on its host")
