"""The hosts of a fleet as a place for measured processes, from the first exchange to the last
file."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omrig.fleet import agent, bringing, starting
from omrig.fleet.bringing import HOSTS
from omrig.fleet.channel import BYE, PING, Channel
from omrig.fleet.cluster import Cluster
from omrig.fleet.hosts import Host
from omrig.fleet.remote import Post, RemoteChild
from omrig.fleet.secret import Sealed
from omrig.model import events, redaction
from omrig.model.errors import Losses, RunError
from omrig.model.fleet import Fleet, FleetHost
from omrig.model.plan import Plan
from omrig.model.units import NS
from omrig.supervisor.display import Display

SILENT_S = 10.0
"""A host that says nothing for so long is told of; so long after the others of their side are
through its members are given up."""

BEAT_S = 2.0
"""So often a host is asked for its time, which says on either side that the other is there."""

ANSWER_S = 30.0
"""A worker may take so long to begin an agent."""

EXCHANGES_S = 60.0
"""The exchanges before the load have to be through by then."""

_TICK_S = 0.5
_STOOD_STILL_S = 3.0


@contextlib.contextmanager
def placing(
    cluster: Cluster,
    placed: Mapping[str, Host],
    run_id: str,
    differences: Sequence[str] = (),
    resources: Mapping[str, float] | None = None,
) -> Iterator["Placing"]:
    """Agents on the hosts of ``placed``, which says where each member goes, until the block ends.

    ``resources`` are what the engine is to count for a member, where its workers declare them;
    ``differences`` those of the hosts' versions that were allowed.

    Raises ``RunError`` where a host does not answer.
    """
    made = Placing(cluster, placed, run_id, differences, resources)
    try:
        made.open()
        yield made
    finally:
        made.close()


class Placing:
    """See :func:`placing`."""

    is_here = False

    def __init__(
        self,
        cluster: Cluster,
        placed: Mapping[str, Host],
        run_id: str,
        differences: Sequence[str] = (),
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self._cluster = cluster
        self._client = cluster.client
        self._placed = dict(placed)
        self._run_id = run_id
        self._tag = run_id[:12]
        self._differences = tuple(differences)
        self._resources = resources
        self._begin_ns: int | None = None
        self._began: dict[str, starting.Offset | None] = {}
        self._numbers = 0
        self._futures: list[Any] = []
        self._left: dict[str, str] | None = None
        self._over = threading.Event()
        self._channel = Channel(self._client, self._tag, self._heard, self._gone)
        self._posts: dict[str, Post] = {}
        self._of_host: dict[str, list[Post]] = {}
        hosts = {host.name: host for host in self._placed.values()}
        for host in hosts.values():
            self._of_host[host.name] = [self._made(host, worker) for worker in host.workers]
        self._hosts = hosts
        self._watching = threading.Thread(target=self._watch, name="omrig fleet", daemon=True)

    def _made(self, host: Host, worker: str) -> Post:
        name = f"{self._tag}-{len(self._posts)}"
        post = Post(name, host.name, worker, lambda message: self._channel.send(name, message))
        # The machine of several workers is one, and has one folder of its name.
        its = host.name if worker == host.workers[0] else f"{host.name}.{len(self._posts)}"
        post.own = f"{HOSTS}/{its}"
        self._posts[name] = post
        return post

    def open(self) -> None:
        """Begin the agents and have the first exchanges with each."""
        self._channel.open(list(self._posts))
        for post in self._posts.values():
            order = self._order(post)
            try:
                found = self._client.run(
                    agent.open_post,
                    order,
                    workers=[post.worker],
                    # Not for the function: for the one that waits for it.
                    callback_timeout=ANSWER_S,
                )
            except Exception as error:
                # Whatever it is: the engine brings what was raised there.
                raise RunError(
                    f"the agent on {post.host} could not begin: {type(error).__name__}: {error}"
                ) from error
            post.folder = found[post.worker]
        self._watching.start()
        end = time.monotonic() + EXCHANGES_S
        for number in range(1, starting.EXCHANGES + 1):
            self._ask_all()
            while slow := [p for p in self._posts.values() if len(p.exchanges) < number]:
                if time.monotonic() > end:
                    raise RunError(
                        f"{slow[0].host} does not answer: {number - 1} of {starting.EXCHANGES}"
                        f" exchanges within {EXCHANGES_S:g} s"
                    )
                time.sleep(0.001)

    def _order(self, post: Post) -> agent.Order:
        return agent.Order(self._run_id, self._tag, post.name, post.own)

    def start(self, plan: Plan, folder: Path) -> RemoteChild:  # noqa: ARG002
        """A member on the host where it was placed."""
        name = plan.members[0]
        posts = self._of_host[self._placed[name].name]
        post = min(posts, key=lambda each: len(each.members))
        child = RemoteChild(plan, post)
        post.members[name] = child
        if post.lost:
            child.over(None, post.lost)
            return child
        future: Any = self._client.submit(
            agent.speak_for,
            self._order(post),
            name,
            "memory" in plan.profiling.modes,
            Sealed(plan.to_json(), redaction.remembered()),
            key=f"omrig-{self._tag}-{name}",
            workers=[post.worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
            resources=dict(self._resources) if self._resources else None,
        )
        future.add_done_callback(lambda done: self._done(child, done))
        self._futures.append(future)
        return child

    def _done(self, child: RemoteChild, future: Any) -> None:
        """The engine says that a member's task is over; of one that came to its end the agent has
        said more, and before."""
        if self._over.is_set() or future.status == "finished":
            return
        if self._is_cut():
            # With the scheduler all tasks are gone.
            return
        words = f"{child.post.host}: the engine gave up its task ({future.status})"
        if future.status == "error":
            error = future.exception()
            words = redaction.redact(f"{child.post.host}: {type(error).__name__}: {error}")
        child.over(None, words)

    def ahead_s(self) -> float:
        """So long before all begin they are told when."""
        posts = [each for each in self._posts.values() if each.lost is None]
        ahead_s = starting.ahead_s(each.exchanges.slowest_ns() for each in posts)
        self._begin_ns = time.perf_counter_ns() + int(ahead_s * NS)
        # Clocks drift: later exchanges tell of later times.
        self._began = {name: each.exchanges.fastest() for name, each in self._posts.items()}
        return ahead_s

    def processors(self) -> Mapping[str, float]:
        """CPU seconds a second of each member, as its host last said."""
        return {name: used for post in self._posts.values() for name, used in post.cpu.items()}

    def _heard(self, message: Mapping[str, Any]) -> None:
        post = self._posts.get(message.get("post", ""))
        if post is None:
            return
        if post.is_silent:
            post.is_silent = False
            self._note(post, f"{post.host} is heard again")
        post.heard(message, time.monotonic_ns())

    def _gone(self, worker: str) -> None:
        """The engine says that a worker is gone."""
        for post in self._posts.values():
            if post.worker == worker and not self._over.is_set():
                post.lose(f"the worker on {post.host} is gone")

    def _note(self, post: Post, text: str) -> None:
        for member in list(post.members.values())[:1]:
            member.heard(events.encode(events.Note(text)))

    def _ask_all(self) -> None:
        """An exchange with each host."""
        for post in self._posts.values():
            if post.lost is None:
                self._numbers += 1
                post.exchanges.asked(self._numbers, time.monotonic_ns())
                post.send({"do": PING, "number": self._numbers})

    def _watch(self) -> None:
        """Ask for times, and give up who is lost, until the end."""
        looked_at = asked_at = time.monotonic()
        while not self._over.wait(_TICK_S):
            now = time.monotonic()
            if now - looked_at > _STOOD_STILL_S:
                # It was this process that did not listen.
                for post in self._posts.values():
                    post.heard_ns += int((now - looked_at) * NS)
            looked_at = now
            if self._is_cut():
                for post in self._posts.values():
                    post.lose("the scheduler of the fleet is gone")
                return
            if now - asked_at >= BEAT_S:
                asked_at = now
                self._ask_all()
            self._look(time.monotonic_ns())

    def _is_cut(self) -> bool:
        """Whether nothing comes from the scheduler any more, or goes there."""
        return self._channel.is_broken or self._client.status != "running"

    def _look(self, now_ns: int) -> None:
        for post in self._posts.values():
            silent_s = (now_ns - post.heard_ns) / NS
            if post.lost is not None or silent_s < SILENT_S or not post.is_running:
                continue
            if not post.is_silent:
                post.is_silent = True
                self._note(post, f"{post.host} has said nothing for {silent_s:.0f} s")
            if silent_s >= agent.DEAD_MAN_S or self._are_others_through(post, now_ns):
                post.lose(f"{post.host} has said nothing for {silent_s:.0f} s")

    def _are_others_through(self, silent: Post, now_ns: int) -> bool:
        """Whether the others of a side that has members there have all ended long enough ago."""
        sides = {side for each in silent.members.values() for side in each.sides}
        others = [
            each
            for post in self._posts.values()
            if not post.is_silent
            for each in post.members.values()
            if sides & set(each.sides)
        ]
        return bool(others) and all(
            each.over_ns is not None and now_ns - each.over_ns > SILENT_S * NS for each in others
        )

    def bring(self, folder: Path, display: Display, losses: Losses) -> None:
        """Have in the run folder what members left on their hosts; say what could not be had."""
        self._left = bringing.bring(
            self._client, list(self._posts.values()), self._hosts, folder, display, losses
        )

    def fleet(self) -> Fleet:
        """The hosts as they are now."""
        return Fleet(
            kind=self._cluster.kind,
            engine=self._cluster.engine,
            coordinator=socket.gethostname(),
            hosts=tuple(self._described(host) for host in self._hosts.values()),
            begin_ns=self._begin_ns,
            differences=self._differences,
        )

    def _described(self, host: Host) -> FleetHost:
        posts = self._of_host[host.name]
        known = [self._began.get(post.name) or post.exchanges.fastest() for post in posts]
        offsets = [each for each in known if each]
        offset = min(offsets, key=lambda each: each.round_trip_ns, default=None)
        lost = next((post for post in posts if post.lost), None)
        used = [post.engine for post in posts if post.engine]
        return FleetHost(
            name=host.name,
            address=host.address,
            boot_id=host.boot_id,
            cpu_count=host.cpu_count,
            kernel=host.kernel,
            python=host.python,
            omrig=host.omrig,
            versions=host.versions,
            members=tuple(name for name, its in self._placed.items() if its.name == host.name),
            sampled_in=tuple(post.own for post in posts),
            offset_ns=offset.offset_ns if offset else None,
            round_trip_ns=offset.round_trip_ns if offset else None,
            synchronisation=host.synchronisation,
            ended_because=lost.lost if lost else None,
            last_seen_ns=lost.heard_ns if lost else None,
            left_in=posts[0].folder if self._left is None else self._left.get(host.name),
            engine_cpu_seconds=round(sum(cpu_s for cpu_s, _ in used), 6) if used else None,
            engine_wall_seconds=round(max(wall_s for _, wall_s in used), 6) if used else None,
        )

    def close(self) -> None:
        """Have the agents end."""
        self._over.set()
        if self._watching.is_alive():
            self._watching.join()
        for post in () if self._is_cut() else self._posts.values():
            post.send({"do": BYE})
        self._channel.close()
        for future in self._futures:
            future.release()
