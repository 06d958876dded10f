"""An agent without a service: a thread that serves the protocol on a real socket."""

import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omrig.model import tables

WIDTH = 4
HEADER = struct.Struct(f"<{tables.HEADER}Q")


def place(tmp_path: Path) -> Path:
    """A folder as ``omrig exec`` makes it."""
    folder = tmp_path / "services"
    folder.mkdir(mode=0o700)
    (folder / "maps.json").write_text("{}")
    return folder


def write_table(path: Path, numbers: list[int], rows: int = 1) -> None:
    """A table whose chunks have these numbers, with so many rows each."""
    header = (tables.MAGIC, tables.SCHEMA, WIDTH, tables.capacity(WIDTH))
    path.write_bytes(
        b"".join(
            HEADER.pack(*header, number, rows, 0, 0).ljust(tables.CHUNK_BYTES, b"\1")
            for number in numbers
        )
    )


class FakeAgent:
    """On while a connection that said so is open."""

    def __init__(self, place: Path, name: str = "conductor", pid: int = 0, number: int = 1):
        self.place, self.pid, self.name = place, pid or os.getpid(), name
        self.folder = place / f"host.{self.pid}.{number}"
        self.folder.mkdir(mode=0o700)
        about = {
            "name": name,
            "host": "host",
            "pid": self.pid,
            "program": [name],
            "executor": "threading",
            "started_ns": time.monotonic_ns() + number,
        }
        (self.folder / "process.json").write_text(json.dumps(about))
        self.connections = 1
        self.rows = {"producer": 0, "consumer": 0}
        self.a_second = 0
        """Messages that it sends and serves more with each question."""
        self.broken: str | None = None
        self.refuses = ""
        self.is_silent = False
        self.asked: list[dict[str, Any]] = []
        self.on_for: set[int] = set()
        self.turned_off: Callable[[str], object] = lambda _: None
        self.turned: list[bool] = []
        self._end, self._wake = os.pipe()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptor = os.open(self.folder, os.O_PATH)
        self._listening.bind(f"/proc/self/fd/{descriptor}/control")
        os.close(descriptor)
        self._listening.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def is_on(self) -> bool:
        return bool(self.on_for)

    def stop(self) -> None:
        """What the kernel does when the process dies."""
        os.write(self._wake, b".")
        self._thread.join()

    def questions(self, do: str) -> list[dict[str, Any]]:
        return [each for each in self.asked if each["do"] == do]

    def recorded(self, name: str = "rec-1") -> Path:
        return self.place / name / self.folder.name

    def _serve(self) -> None:
        clients: dict[int, socket.socket] = {}
        while True:
            ready, _, _ = select.select([self._end, self._listening, *clients.values()], [], [])
            if self._end in ready:
                break
            if self._listening in ready:
                client, _ = self._listening.accept()
                clients[client.fileno()] = client
            for client in set(ready) & set(clients.values()):
                self._obey(client, clients)
        for client in (self._listening, *clients.values()):
            client.close()

    def _obey(self, client: socket.socket, clients: dict[int, socket.socket]) -> None:
        number = client.fileno()
        packet = client.recv(1 << 16)
        if not packet:
            clients.pop(number).close()
            if number in self.on_for:
                self._off(number)
            return
        request = json.loads(packet)
        self.asked.append(request)
        if not self.is_silent:
            client.send(json.dumps(self._answer(request, number)).encode())

    def _answer(self, request: dict[str, Any], number: int) -> dict[str, Any]:
        match request["do"]:
            case "on":
                if self.refuses:
                    return {"error": self.refuses}
                self._on(Path(request["folder"]), number)
                return {"on": True, "took_ns": 1, "connections": self.connections, "sites": 23}
            case "off":
                self._off(number)
                return {"on": False, "rows": self.rows}
        for side in self.rows:
            self.rows[side] += self.a_second
        return {
            "pid": self.pid,
            "name": self.name,
            "executor": "threading",
            "on": self.is_on and not self.broken,
            "recording": "rec-1" if self.is_on else None,
            "connections": self.connections,
            "consuming": 0,
            "rows": dict(self.rows),
            "failures": [],
            "broken": self.broken,
            "missing": [],
            "others": [],
            "threads": 1,
        }

    def _on(self, folder: Path, number: int) -> None:
        own = folder / self.folder.name
        own.mkdir(mode=0o700, exist_ok=True)
        link = {"number": 1, "t_ns": 1, "local": ["::1", 4], "remote": ["127.0.0.1", 5672]}
        (own / "links.jsonl").write_text(json.dumps(link) + "\n" + '{"number": 2')
        write_table(own / "producer.rows", [1])
        self.on_for.add(number)
        self.turned.append(True)

    def _off(self, number: int) -> None:
        self.on_for.discard(number)
        self.turned.append(False)
        self.turned_off(self.name)
