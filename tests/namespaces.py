"""Hosts on one machine: network namespaces with clocks of their own, far from one another.

Each host has a network, a host name, a boot id, process numbers and, where it was asked for, clocks
of its own. All are connected with the hub by a wire of known length (``delayed_wire.c``: this
kernel need not have netem), and by the hub with one another. The hub is where a broker, and whoever
coordinates the hosts, is to run; its clocks are those of the machine.

The clocks are those of every process of a host (``shifted_clock.c``, by LD_PRELOAD), with what the
kernel says by them through functions: the receive stamps of sockets are put on them, too. What the
kernel writes into a capture is not, so that the processes of a host have no CAP_NET_RAW: with it
the watcher would capture, and note arrivals on the machine's own clock. It has to wake up for each
message here, as it does in a container without that right.

It takes root. All of it ends with the block, and with this process: no process, interface, mount or
namespace is left, nor seen by the machine itself.
"""

import contextlib
import ctypes
import dataclasses
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omrig.broker.rabbitmq.embedded import Embedded

_SOURCES = Path(__file__).parent / "data"
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NETWORK = "10.66.0"
HUB = f"{_NETWORK}.1"
"""The hub's address."""

BROKER_PORT = 5672
_PRIORITY = -15


def check() -> None:
    """Raise ``RuntimeError`` where this process cannot make namespaces, or what they need."""
    if os.geteuid() or not Path("/dev/net/tun").exists() or _compiler() is None:
        raise RuntimeError("network namespaces take root, /dev/net/tun and a C compiler")


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """How far the clocks of a host are ahead of the machine's, and how much they gain."""

    ahead_ns: int = 0
    ppm: float = 0.0


SAME = Clock()


@dataclasses.dataclass(frozen=True)
class Host:
    """A host by its ``name`` and ``address``.

    ``init`` is the process with which all others of it end, ``since`` when its clocks began to
    gain, by the machine's CLOCK_MONOTONIC and CLOCK_REALTIME in ns.
    """

    name: str
    address: str
    clock: Clock
    init: int
    since: tuple[int, int]
    wire: "subprocess.Popen[str]" = dataclasses.field(repr=False)
    library: Path

    def ahead_ns(self, monotonic_ns: int) -> float:
        """By how much its CLOCK_MONOTONIC is ahead of the machine's, which shows this."""
        gained = (monotonic_ns - self.since[0]) * self.clock.ppm / 1e6
        return self.clock.ahead_ns + gained

    def own_ns(self, monotonic_ns: int) -> int:
        """What its CLOCK_MONOTONIC shows when the machine's shows this."""
        return round(monotonic_ns + self.ahead_ns(monotonic_ns))

    def delay(self, there_ms: float, back_ms: float) -> None:
        """Make its wire so long, from now on: from the host to the hub, and back."""
        self._tell(f"delay {round(there_ms * 1000)} {round(back_ms * 1000)}")

    def cut(self) -> None:
        """Cut its wire: it and all others lose what they send to each other, and hear nothing."""
        self._tell("cut")

    def heal(self) -> None:
        """Mend its wire."""
        self._tell("heal")

    def end(self) -> None:
        """End all its processes at once, as the loss of a machine does."""
        _kill(self.init)

    def _tell(self, line: str) -> None:
        assert self.wire.stdin
        assert self.wire.stdout
        self.wire.stdin.write(f"{line}\n")
        self.wire.stdin.flush()
        if self.wire.stdout.readline() != "done\n":
            raise RuntimeError(f"the wire of {self.name} is gone")


class Rig:
    """Hosts around a hub; :func:`rig` makes one."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.hosts: dict[str, Host] = {}
        self._stack = stack
        self._library = _compiled("shifted_clock.c", folder / "clock.so", "-shared", "-fPIC")
        self._program = _compiled("delayed_wire.c", folder / "wire")
        self._hub = self._namespaces("hub", ["--net"])
        self._run(self._hub, "ip", "link", "add", "hub", "type", "bridge")
        self._run(self._hub, "ip", "addr", "add", f"{HUB}/24", "dev", "hub")
        self._run(self._hub, "ip", "link", "set", "hub", "up")

    def add(
        self, name: str, clock: Clock = SAME, there_ms: float = 0.0, back_ms: float = 0.0
    ) -> Host:
        """Another host, whose way to the hub takes ``there_ms`` and from it ``back_ms``.

        From one host to another it is the one's way there and the other one's back.
        """
        boot_id = self.folder / f"{name}.boot"
        boot_id.write_text(f"{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}\n")
        init = self._namespaces(
            name, ["--net", "--uts"], f"hostname {name}; mount --bind {boot_id} {_BOOT_ID}"
        )
        number = len(self.hosts) + 1
        wire = self._stack.enter_context(
            subprocess.Popen(
                [str(self._program), str(init), str(self._hub), f"wire{number}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert wire.stdout
        if wire.stdout.readline() != "ready\n":
            raise RuntimeError(f"no wire for {name}")
        address = f"{_NETWORK}.{10 + number}"
        self._run(self._hub, "ip", "link", "set", f"wire{number}", "master", "hub", "up")
        self._run(init, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self._run(init, "ip", "link", "set", "eth0", "up")
        since = (time.monotonic_ns(), time.time_ns())
        host = Host(name, address, clock, init, since, wire, self._library)
        host.delay(there_ms, back_ms)
        self.hosts[name] = host
        return host

    @contextlib.contextmanager
    def broker(self, **options: Any) -> Iterator[tuple[str, "Embedded"]]:
        """A RabbitMQ on the hub: its transport URL for whoever is in the rig, and the broker.

        It has to wait less for a core than all others on this machine, as if it had one of its own.
        """
        from omrig.broker.rabbitmq.embedded import embedded_broker

        listens = {"listeners.tcp.2": f"{HUB}:{BROKER_PORT}"}
        with contextlib.ExitStack() as stack:
            with self.at_hub(), _first():
                broker = stack.enter_context(embedded_broker(extra_config=listens, **options))
            url = broker.url.replace(f"{broker.host}:{broker.port}", f"{HUB}:{BROKER_PORT}")
            yield url, broker

    @contextlib.contextmanager
    def at_hub(self) -> Iterator[None]:
        """Be on the hub's network for the length of a block: this thread, and what it starts."""
        libc = ctypes.CDLL(None, use_errno=True)
        hubs = Path(f"/proc/{self._hub}/ns/net")
        with Path("/proc/thread-self/ns/net").open() as own, hubs.open() as hub:
            if libc.setns(hub.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the hub's network cannot be entered")
            try:
                yield
            finally:
                libc.setns(own.fileno(), _CLONE_NEWNET)

    def command(self, where: Host | None, *command: object) -> list[str]:
        """The command as it is started on a host, on the hub where that is None."""
        words = [str(word) for word in command]
        if where is None:
            return ["nsenter", "--target", str(self._hub), "--net", "--", *words]
        target = ["nsenter", "--target", str(where.init), "--net", "--mount", "--uts", "--pid"]
        return [*target, "--", "setpriv", "--bounding-set=-net_raw", *words]

    def environment(self, where: Host | None) -> dict[str, str]:
        """The environment of what runs there, with the clocks of the host."""
        if where is None or where.clock == SAME:
            return dict(os.environ)
        return {
            **os.environ,
            "LD_PRELOAD": str(where.library),
            "SHIFTED_AHEAD_NS": str(where.clock.ahead_ns),
            "SHIFTED_PPM": str(where.clock.ppm),
            "SHIFTED_SINCE_NS": str(where.since[0]),
            "SHIFTED_SINCE_REAL_NS": str(where.since[1]),
        }

    def start(
        self, where: Host | None, *command: object, **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a command on a host, with text for its streams; on the hub where that is None."""
        environment: Mapping[str, str] = options.pop("env", {})
        return subprocess.Popen(
            self.command(where, *command),
            env={**self.environment(where), **environment},
            text=True,
            **options,
        )

    def python(self, where: Host | None, *arguments: object, **options: Any) -> str:
        """What this Python prints there. Raises ``CalledProcessError`` where it fails."""
        command = self.command(where, sys.executable, *arguments)
        return subprocess.run(
            command,
            env=self.environment(where),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            **options,
        ).stdout

    def processes(self, where: Host) -> list[int]:
        """The processes of a host but the first one, by the machine's numbers.

        Without those that have ended: of orphans nobody takes notice of their end there.
        """
        init = Path(f"/proc/{where.init}")
        if not init.exists():
            # With the first one all others ended.
            return []
        own, found = (init / "ns/pid").readlink(), []
        for path in Path("/proc").iterdir():
            # Processes end while they are looked at.
            with contextlib.suppress(OSError):
                if path.name.isdigit() and (path / "ns/pid").readlink() == own:
                    state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                    found += [int(path.name)] if state not in "ZX" else []
        return [each for each in found if each != where.init]

    def _namespaces(self, name: str, kinds: Sequence[str], prepare: str = "true") -> int:
        """The first process of new namespaces, by the machine's number."""
        script = f"set -e; {prepare}; ip link set lo up; echo ready; exec sleep infinity"
        holder = self._stack.enter_context(
            subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *kinds, "--mount", "--pid", "--fork",
                 "--kill-child", "--mount-proc", "sh", "-c", script],
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        )  # fmt: skip
        assert holder.stdout
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            raise RuntimeError(f"no namespaces for {name}")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        init = int(children[0])
        # All others end with it, and the one that holds them when it has seen that.
        self._stack.callback(_kill, init)
        return init

    def _run(self, target: int, *command: str) -> None:
        subprocess.run(
            ["nsenter", "--target", str(target), "--net", "--", *command], check=True, timeout=20
        )


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _first() -> Iterator[None]:
    """Give this thread, and what it starts, a high priority for the length of a block."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def _compiled(source: str, target: Path, *options: str) -> Path:
    compiler = _compiler()
    assert compiler, "there is no C compiler"
    command = [compiler, "-O2", *options, "-o", str(target), str(_SOURCES / source), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return target


@contextlib.contextmanager
def rig() -> Iterator[Rig]:
    """A hub without hosts yet; with the block all that runs on it and on its hosts ends.

    Raises as :func:`check`.
    """
    check()
    with tempfile.TemporaryDirectory(prefix="omrig-hosts-") as name:
        # Whoever is not root in there has to reach the library.
        Path(name).chmod(0o755)
        with contextlib.ExitStack() as stack:
            yield Rig(Path(name), stack)
