"""The agents in the processes of a service, asked as a recorder asks them."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path

from omrig.measured.attached import control, wanted
from omrig.model import tables
from omrig.model.stamps import COLUMNS

LIMIT_BYTES = 4 << 20


class Agents:
    """Those of the processes that left a folder in ``place``."""

    def __init__(self, place: Path):
        self.place = place
        self.peers = {}

    def folders(self):
        """Of processes that are there."""
        return [path.parent for path in self.place.glob("*/process.json")]

    def about(self):
        """What the processes say of themselves, by pid."""
        found = [json.loads((path / "process.json").read_text()) for path in self.folders()]
        return {each["pid"]: each for each in found}

    def peer(self, folder):
        if folder not in self.peers:
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            peer.settimeout(20)
            descriptor = os.open(folder, os.O_PATH)
            try:
                peer.connect(f"/proc/self/fd/{descriptor}/{control.NAME}")
            finally:
                os.close(descriptor)
            self.peers[folder] = peer
        return self.peers[folder]

    def ask(self, **asked):
        """The answers of all, by pid; of who is gone None."""
        answers = {}
        for folder in self.folders():
            pid = int(folder.name.rsplit(".", 2)[1])
            answers[pid] = None
            with contextlib.suppress(OSError):
                peer = self.peer(folder)
                peer.send(json.dumps(asked).encode())
                answers[pid] = json.loads(peer.recv(1 << 16) or "null")
        return answers

    def on(self, recording, sample=1):
        """As a recorder: what is wanted is written down, and everybody is told."""
        folder = self.place / recording
        folder.mkdir(mode=0o700, exist_ok=True)
        wanted.own(recording, sample, LIMIT_BYTES).write(str(self.place))
        return self.ask(
            do="on",
            recording=recording,
            folder=str(folder),
            sample=sample,
            limit_bytes=LIMIT_BYTES,
        )

    def off(self):
        (self.place / wanted.NAME).unlink(missing_ok=True)
        return self.ask(do="off")

    def go(self):
        """All connections are closed."""
        for peer in self.peers.values():
            peer.close()
        self.peers.clear()

    def left(self, recording):
        """What the processes left in a recording, by pid."""
        return {
            int(path.name.rsplit(".", 2)[1]): Left(path)
            for path in (self.place / recording).iterdir()
            if path.is_dir()
        }


class Left:
    """What one process left in a recording."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.instrument = json.loads((folder / "instrument.json").read_text())

    def lines(self, name):
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def kinds(self):
        return {each["number"]: each for each in self.lines("kinds.jsonl") if "number" in each}

    def rows(self, side):
        """Dictionaries by column."""
        columns = COLUMNS[side]
        data = (self.folder / f"{side}.rows").read_bytes()
        numbers = tables.rows(data, len(columns)).tolist()
        return [
            dict(zip(columns, numbers[at : at + len(columns)], strict=True))
            for at in range(0, len(numbers), len(columns))
        ]


def until(true, seconds=20):
    """Wait until something is, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return found
