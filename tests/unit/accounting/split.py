"""Recorded runs of one producer and one consumer, taken apart into several members of each.

What is accounted of all members together has to be what was accounted of the two.
"""

import json
import shutil
from pathlib import Path

import numpy

from omrig.model import members
from omrig.model.patterns import PATTERNS

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden"


def run(case, folder, producers=2, consumers=2):
    """The run of a golden ``case`` in ``folder``, as if so many processes had made it.

    Each producer has its part of the messages, one after the other; each message went to one of
    the consumers in turn, where the pattern has no copies, else to all of them.
    """
    source = GOLDEN / case / "recorded" / "run"
    folder.mkdir(parents=True)
    for each in source.iterdir():
        if each.is_file():
            shutil.copy(each, folder)
    if (source / "broker").exists():
        shutil.copytree(source / "broker", folder / "broker")
    about = json.loads((source / "run.json").read_text())
    about["plan"] |= {"producers": producers, "consumers": consumers}
    (folder / "run.json").write_text(json.dumps(about))
    ids, taken = _producers(source, folder, producers, consumers)
    _consumers(source, folder, ids, taken, PATTERNS[about["plan"]["pattern"]].copies)
    return folder


def _place(source, side, name):
    """Where a column is in what was recorded."""
    told = json.loads((source / side / "stages.json").read_text())
    return told["columns"][side].index(name)


def _member(source, folder, side, name, pid, about, columns, stamps):
    shutil.copytree(source / side, folder / name)
    told = json.loads((source / side / "side.json").read_text())
    (folder / name / "side.json").write_text(json.dumps({**told, "pid": pid, **about}))
    (folder / name / "artefacts.json").write_text("[]")
    numpy.savez(folder / name / "messages.npz", **columns)
    numpy.savez(folder / name / "stamps.npz", **{side: stamps})


def _producers(source, folder, producers, consumers):
    """Writes the producers; their ids with their parts, and by message id whose a message is."""
    columns = dict(numpy.load(source / "producer" / "messages.npz"))
    rows = numpy.load(source / "producer" / "stamps.npz")["producer"]
    seq, number = (_place(source, "producer", name) for name in ("seq", "id"))
    ended = columns["end_ns"]
    total, first, ids = len(ended), 0, {}
    names = members.names("producer", producers)
    for place, count in enumerate(members.shares(total, producers)):
        part = slice(first, first + count)
        mine = (rows[:, seq] >= first) & (rows[:, seq] < first + count)
        own = rows[mine].copy()
        own[:, seq] -= numpy.uint64(first)
        failed = numpy.isin(columns["failed_seq"], numpy.arange(first, first + count))
        ids[f"p{place}"] = part
        _member(
            source, folder, "producer", names[place], 100 + place,
            {"producer_id": f"p{place}", "sent": count, "done": int((ended[part] > 0).sum())},
            {
                "start_ns": columns["start_ns"][part], "end_ns": ended[part],
                "failed_seq": columns["failed_seq"][failed] - first,
                "failed_ns": columns["failed_ns"][failed],
            },
            own,
        )  # fmt: skip
        first += count
    return ids, {int(row[number]): int(row[seq]) % consumers for row in rows}


def _consumers(source, folder, ids, taken, copies):
    columns = dict(numpy.load(source / "consumer" / "messages.npz"))
    ((_, received),) = columns.items()
    rows = numpy.load(source / "consumer" / "stamps.npz")["consumer"]
    number = _place(source, "consumer", "id")
    consumers = max(taken.values()) + 1
    whose = numpy.array([taken.get(int(row[number]), 0) for row in rows])
    by_seq = numpy.arange(len(received)) % consumers
    for place, name in enumerate(members.names("consumer", consumers)):
        here = received if copies else numpy.where(by_seq == place, received, 0)
        _member(
            source, folder, "consumer", name, 200 + place,
            {"producers": {each: {} for each in ids}, "received": int((here > 0).sum())},
            {f"received_ns.{each}": here[part] for each, part in ids.items()},
            rows if copies else rows[whose == place],
        )  # fmt: skip
