"""Recordings of services made of numbers, as the agent and the recorder leave them.

A :class:`Fleet` has processes and messages between them, whose times are known to the nanosecond;
:meth:`Fleet.write` makes the folder of it.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy

from omrig.model import tables
from omrig.model.stamps import COLUMNS, CPU_COLUMNS
from omrig.watcher import layout

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000

REALTIME = 1_700_000_000 * SECOND
"""CLOCK_REALTIME less CLOCK_MONOTONIC of every host."""

BEGAN = 1_000 * SECOND
"""When the recording began, CLOCK_MONOTONIC of the first host."""

LATER = ("kind", "request", "outcome", "parent", "connect_early")

BROKER_PORT = 5672


def columns(side: str) -> tuple[str, ...]:
    """The names of the columns of a row, with those that a service's rows have."""
    known = COLUMNS[side]
    return (*known, *(name for name in LATER if name not in known))


@dataclasses.dataclass(frozen=True)
class Sent:
    """A message that was sent: its id, and when what became of it."""

    id: int
    call: int
    depart: int
    endpoint: int
    endpoint_end: int
    end: int


@dataclasses.dataclass
class Process:
    """A process of a fleet, with the rows that it left; ``ahead_ns`` is how far its host's clock
    is ahead of the first one's."""

    name: str
    pid: int
    executor: str = "threading"
    host: str = "host-a"
    boot_id: str = "boot-a"
    ahead_ns: int = 0
    executor_threads: int | None = 64
    send_connections: int | None = 30
    rows: dict[str, list[dict[str, int]]] = dataclasses.field(
        default_factory=lambda: {"producer": [], "consumer": []}
    )
    kinds: list[dict[str, object]] = dataclasses.field(default_factory=list)
    outcomes: list[dict[str, object]] = dataclasses.field(default_factory=list)
    links: list[dict[str, object]] = dataclasses.field(default_factory=list)
    cpu: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    in_flight: list[dict[str, int]] = dataclasses.field(default_factory=list)
    instrument: dict[str, object] = dataclasses.field(default_factory=dict)
    about: dict[str, object] = dataclasses.field(default_factory=dict)
    skipped: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"producer": 0, "consumer": 0}
    )
    """By side how many chunks were used again before those that are left."""

    @property
    def folder(self) -> str:
        return f"{self.host}.{self.pid}.{BEGAN // MS}"

    def kind(self, pattern: str, topic: str, method: str, namespace: str = "", exchange: str = ""):
        """The number of a kind of messages, which it has from now on."""
        named = {
            "pattern": pattern, "exchange": exchange, "topic": topic, "namespace": namespace,
            "method": method,
        }  # fmt: skip
        for each in self.kinds:
            if {**each, "number": 0} == {**named, "number": 0}:
                return each["number"]
        self.kinds.append({"number": len(self.kinds) + 1, **named})
        return len(self.kinds)

    def outcome(self, name: str) -> int:
        """The number of an outcome: 0 not ended, 1 ended well."""
        if name in ("", "ok"):
            return int(name == "ok")
        for each in self.outcomes:
            if each["name"] == name:
                return each["outcome"]
        self.outcomes.append({"outcome": len(self.outcomes) + 2, "name": name})
        return len(self.outcomes) + 1

    def connection(self, number: int = 1) -> int:
        """A connection that is stamped."""
        if all(each["number"] != number for each in self.links):
            self.links.append(
                {
                    "number": number,
                    "t_ns": BEGAN,
                    "local": ["127.0.0.1", self.pid + number],
                    "remote": ["127.0.0.1", BROKER_PORT],
                    "tls": False,
                    "offset": 0,
                }
            )
        return number


class Fleet:
    """Processes and what they send each other."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self._id = 1 << 50
        self._streams: dict[tuple[int, int], int] = {}

    def process(self, name: str, pid: int | None = None, **others) -> Process:
        """Another process."""
        made = Process(name, pid or 1000 + 100 * len(self.processes), **others)
        self.processes.append(made)
        return made

    def call(self, client: Process | None, server: Process | None, method: str, **others) -> Sent:
        """A call; without a client, or a server, there is none of its rows."""
        return self._message("call", client, [server] if server else [], method, **others)

    def cast(self, client: Process | None, server: Process | None, method: str, **others) -> Sent:
        """A cast, likewise."""
        return self._message("cast", client, [server] if server else [], method, **others)

    def fanout(self, client: Process | None, servers: Sequence[Process], method: str, **others):
        """A fanout cast, of which each server has a copy."""
        return self._message("fanout", client, servers, method, **others)

    def notify(self, client: Process | None, server: Process | None, event: str, **others) -> Sent:
        """A notification."""
        return self._message("notify", client, [server] if server else [], event, **others)

    def _message(
        self,
        pattern: str,
        client: Process | None,
        servers: Sequence[Process],
        method: str,
        *,
        at: int,
        topic: str = "topic",
        namespace: str = "",
        endpoint_ns: int = 1 * MS,
        computing: float = 0.0,
        queue_ns: int = 100 * US,
        pool_ns: int = 10 * US,
        wire_ns: int = 200 * US,
        batch_ns: int = 0,
        parent: Sent | None = None,
        request: int = 0,
        outcome: str = "ok",
        raised: str = "ok",
        returns: int | None = None,
        last: str = "",
        in_flight: bool = False,
        together: bool = False,
    ) -> Sent:
        """A message from ``at`` (ns since the recording began) on.

        ``outcome`` is what became of it for who sent it and ``raised`` for who served it,
        ``returns`` when that was given up (ns after ``at``), and ``last`` the last stamp of the
        server that is there; all else as in the model. ``together``: in the batch of the message
        before it.
        """
        self._id += 1
        common = {"id": self._id, "request": request}
        call = BEGAN + at
        depart = call + 90 * US + pool_ns
        sent = {
            **common, "call": call, "send": call + 30 * US, "json_out": 20 * US,
            "pool_begin": call + 40 * US, "pool_end": call + 40 * US + pool_ns, "depart": depart,
            "confirm": depart + 180 * US, "confirm_stamp": depart + 170 * US + REALTIME,
            "wait": depart + 190 * US, "parent": parent.id if parent else 0,
        }  # fmt: skip
        arrival = depart + wire_ns
        submit = arrival + 130 * US + batch_ns
        start = submit + queue_ns
        endpoint = start + 10 * US
        left = endpoint + endpoint_ns
        replied = left + 60 * US if pattern == "call" else 0
        served = {
            **common, "stamp": arrival + REALTIME, "read": arrival + 50 * US, "json_in": 20 * US,
            "taken": arrival + 120 * US, "submit": submit, "start": start, "endpoint": endpoint,
            "endpoint_end": left,
        }  # fmt: skip
        if pattern == "call":
            served |= {
                "reply": left + 5 * US, "json_out": 10 * US, "pool_begin": left + 10 * US,
                "pool_end": left + 20 * US, "depart": replied,
                "confirm": replied + 180 * US, "confirm_stamp": replied + 170 * US + REALTIME,
            }  # fmt: skip
        done = (replied or left) + 10 * US
        served["end"] = done
        if computing:
            served |= {"cpu_endpoint": 1, "cpu_endpoint_end": 1 + int(computing * endpoint_ns)}
        back = (replied or depart) + 150 * US
        if pattern == "call":
            sent |= {
                "stamp": back + REALTIME, "read": back + 30 * US, "json_in": 10 * US,
                "put": back + 60 * US, "woke": back + 100 * US, "return": back + 110 * US,
            }  # fmt: skip
        else:
            sent["return"] = depart + 200 * US
        if returns is not None:
            for name in ("stamp", "read", "json_in", "put"):
                sent.pop(name, None)
            sent |= {"woke": call + returns - 10 * US, "return": call + returns}
        if last:
            cut = served[last]
            served = {
                name: value
                for name, value in served.items()
                if name in ("id", "request", "json_in", "stamp") or value <= cut
            }
        self._sent(client, pattern, topic, namespace, method, sent, outcome, in_flight)
        for server in servers:
            self._served(server, topic, namespace, method, served, raised, together)
        end = max(sent["return"], done if servers and not last else 0)
        return Sent(self._id, call, depart, endpoint, left, end)

    def _sent(self, client, pattern, topic, namespace, method, row, outcome, in_flight) -> None:
        if client is None:
            return
        row["kind"] = client.kind(pattern, topic, method, namespace)
        row["outcome"] = client.outcome(outcome)
        if "read" in row:
            row |= self._delivered(client)
        row = _moved(row, client.ahead_ns)
        if in_flight:
            for name in ("woke", "return", "read", "put", "stamp", "outcome", "json_in"):
                row.pop(name, None)
            client.in_flight.append(row)
        else:
            client.rows["producer"].append(row)

    def _served(self, server, topic, namespace, method, row, raised, together) -> None:
        kind = server.kind("served", topic, method, namespace)
        row = {**row, "kind": kind, "outcome": server.outcome(raised), **self._delivered(server)}
        row = _moved(row, server.ahead_ns)
        if together:
            before = server.rows["consumer"][-1]
            for name in ("start", "endpoint", "endpoint_end", "end", "submit"):
                row[name] = before[name]
        server.rows["consumer"].append(row)

    def _delivered(self, process: Process) -> dict[str, int]:
        number = process.connection()
        key = (process.pid, number)
        self._streams[key] = self._streams.get(key, 0) + 500
        return {"connection": number, "offset": self._streams[key]}

    def write(self, folder: Path, name: str = "rec-1", seconds: float = 10.0, **others) -> Path:
        """The folder of the recording, below that of the fleet."""
        made = folder / name
        made.mkdir(parents=True)
        ended = BEGAN + int(seconds * SECOND)
        recording = {
            "schema": 1, "name": name, "started_at": "2026-01-01T00:00:00+00:00",
            "began_ns": BEGAN, "ended_ns": ended, "sample": 1, "complete": True, "reason": None,
            "pid": 1, "broker_messages": None, "not_seen": [],
            "capture": {"used": False, "why_not": "no right to", "segments": 0, "dropped": 0,
                        "ports": []},
            **others,
        }  # fmt: skip
        _json(made / "recording.json", recording)
        for each in self.processes:
            _write(folder, made, each, ended, int(recording["sample"]))
        return made

    def capture(self, made: Path, process: Process, base: int = 0, early_ns: int = 40 * US) -> None:
        """The recorder's capture of what came to a process, a segment a message.

        Each comes ``early_ns`` before it was read; ``base`` is the stream's bytes before the first.
        """
        rows = []
        found = [*process.rows["producer"], *process.rows["consumer"]]
        for row in sorted((each for each in found if "read" in each), key=lambda row: row["read"]):
            real = row["read"] - early_ns + REALTIME
            words = [BROKER_PORT << 16 | process.pid + 1, (base + row["offset"] - 500) % 2**32]
            words.append(5 << 28 | 0x10 << 16)
            wire = [int.from_bytes(word.to_bytes(4, "big"), "little") for word in words]
            rows.append([540, real // SECOND, real % SECOND, 0x45, *wire, 0, 0, 0])
        capture = made / "capture"
        capture.mkdir(exist_ok=True)
        with (capture / layout.SEGMENTS).open("ab") as file:
            file.write(numpy.array(rows, "<u4").tobytes())
        clock = [(BEGAN, BEGAN + REALTIME), (BEGAN + SECOND, BEGAN + SECOND + REALTIME)]
        numpy.array(clock, "<u8").tofile(capture / layout.CLOCK)


def _moved(row: dict[str, int], ahead_ns: int) -> dict[str, int]:
    """The same on a clock that is ahead; real time is that of the host, too."""
    durations = ("id", "kind", "outcome", "parent", "request", "connection", "offset", "json_in",
                 "json_out")  # fmt: skip
    still = {*durations, *(name for name in row if name.startswith("cpu_")), "stamp"}
    still.add("confirm_stamp")
    return {
        name: value + ahead_ns if value and name not in still else value
        for name, value in row.items()
    }


def _write(folder: Path, made: Path, process: Process, ended: int, sample: int) -> None:
    about = folder / process.folder
    about.mkdir(exist_ok=True)
    names = {side: list(columns(side)) for side in COLUMNS}
    described = {
        "name": process.name, "host": process.host, "pid": process.pid, "ppid": 1,
        "program": [f"/usr/bin/{process.name}", "--config-file", "x.conf"],
        "executor": process.executor, "python": "3.11.7",
        "versions": {"oslo.messaging": "18.3.1", "kombu": "5.7.0", "amqp": "5.4.2"},
        "boot_id": process.boot_id, "started_ns": BEGAN, "missing": [], "lost_stages": [],
        "stamps": "c", "columns": names, "others": [], **process.about,
    }  # fmt: skip
    _json(about / "process.json", described)
    left = made / process.folder
    left.mkdir()
    ahead = process.ahead_ns
    offset = REALTIME - ahead
    instrument = {
        "began_ns": BEGAN + ahead, "ended_ns": ended + ahead, "turning_on_ns": 2 * MS,
        "cpu_ns_begin": 5 * SECOND, "cpu_ns_end": 5 * SECOND + (ended - BEGAN) // 4,
        "realtime_offsets": [[BEGAN + ahead, offset], [ended + ahead, offset]],
        "connections": max(1, len(process.links)), "threads": 10, "failures": [],
        "overwritten": {"producer": 0, "consumer": 0},
        "pools": {
            "executor_threads": process.executor_threads,
            "send_connections": process.send_connections,
        },
        "sample": sample, "complete": True,
        "in_flight": [
            [row["id"], *(row.get(name, 0) for name in names["producer"])]
            for row in process.in_flight
        ],
        **process.instrument,
    }  # fmt: skip
    _json(left / "instrument.json", instrument)
    for side, rows in process.rows.items():
        table = [[row.get(name, 0) for name in names[side]] for row in rows]
        write_rows(left / f"{side}.rows", len(names[side]), table, process.skipped[side])
    write_rows(left / "cpu.rows", len(CPU_COLUMNS), process.cpu)
    _lines(left / "kinds.jsonl", [*process.kinds, *process.outcomes])
    _lines(left / "links.jsonl", process.links)


def write_rows(path: Path, width: int, rows: Sequence[Sequence[int]], skipped: int = 0) -> None:
    """A table of rows in chunks, of which ``skipped`` were used before and are used again.

    The newest chunks then stand where the oldest were.
    """
    room = tables.capacity(width)
    parts = [rows[first : first + room] for first in range(0, len(rows), room)]
    chunks = []
    for number, part in enumerate(parts, start=skipped + 1):
        words = numpy.zeros(tables.CHUNK_BYTES // 8, "<u8")
        words[:6] = tables.MAGIC, tables.SCHEMA, width, room, number, len(part)
        values = numpy.array(part, "<u8").reshape(-1)
        words[8 : 8 + len(values)] = values
        chunks.append(words)
    if skipped and chunks:
        turn = skipped % len(chunks)
        chunks = [*chunks[len(chunks) - turn :], *chunks[: len(chunks) - turn]]
    path.write_bytes(b"".join(chunk.tobytes() for chunk in chunks))


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def _lines(path: Path, values: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in values))


def example(folder: Path, requests: int = 60) -> Path:
    """A recording of an API and a conductor: calls with nested messages, a fanout, notifications,
    a method that is not answered in time and one of a server that is not recorded."""
    fleet = Fleet()
    api = fleet.process("ironic-api", executor_threads=None)
    conductors = [fleet.process("ironic-conductor", executor_threads=8) for _ in range(2)]
    for number in range(requests):
        at, request = number * 100 * MS, (number + 1) << 20
        server = conductors[number % 2]
        outer = fleet.call(
            api, server, "change_power", topic="conductor", at=at, endpoint_ns=40 * MS,
            computing=0.05, request=request,
        )  # fmt: skip
        inside = outer.endpoint - BEGAN
        fleet.call(
            server, conductors[1 - number % 2], "lock", topic="conductor", at=inside + 2 * MS,
            endpoint_ns=8 * MS, parent=outer, request=request,
        )  # fmt: skip
        fleet.cast(
            server, api, "update", topic="api", at=inside + 20 * MS, parent=outer, request=request
        )
        fleet.notify(
            server, None, "power.end", topic="notifications.info", at=inside + 30 * MS,
            request=request,
        )  # fmt: skip
    fleet.fanout(api, conductors, "refresh", topic="conductor", at=5 * MS)
    fleet.call(
        api, conductors[0], "stuck", topic="conductor", at=50 * MS, endpoint_ns=9_000 * MS,
        outcome="MessagingTimeout", returns=3_000 * MS, request=7 << 20,
    )  # fmt: skip
    for number in range(5):
        fleet.call(api, None, "elsewhere", topic="inspector", at=number * 10 * MS + 500)
    return fleet.write(folder, seconds=requests / 10 + 10)
