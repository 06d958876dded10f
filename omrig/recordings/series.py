"""The sampled series of a run: what a process or the machine had used by when, a CSV file each."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy

from omrig.model.columns import Floats

Series = dict[str, Floats]
"""Columns by name, NaN where a cell is empty."""

PROCESS = "resources.csv"
"""A process' series, in the folder of its side or in ``broker``."""

MACHINE = "machine.csv"
"""The machine's series, in the run folder."""

MEMORY = "memory.csv"
"""A side's memory, in its folder, where its memory was asked for."""

MPROF = "memory.dat"
"""The same as ``mprof plot`` reads it."""

BROKER = "broker"
"""The broker's folder, and its key beside the sides."""

PROCESS_COLUMNS = (
    "monotonic_ns",
    "cpu_user_seconds",
    "cpu_system_seconds",
    "rss_bytes",
    "uss_bytes",
    "threads",
    "descriptors",
    "voluntary_context_switches",
    "involuntary_context_switches",
    "core_wait_seconds",
)
"""Of a process: CLOCK_MONOTONIC as in ``messages.npz``; CPU, switches and how long its threads were
ready and waited for a core, all of them together, since it began."""

MEMORY_COLUMNS = ("monotonic_ns", "rss_bytes", "anonymous_bytes", "children_rss_bytes")
"""Of a side: what is resident, and what of it is no file's, swapped or not. Pages of files come and
go as the kernel likes; anonymous ones are what the process keeps."""

MACHINE_COLUMNS = (
    "monotonic_ns",
    "busy_seconds",
    "idle_seconds",
    "iowait_seconds",
    "steal_seconds",
)
"""Of the machine: seconds of all cores since it booted."""


def added(found: Sequence[Series]) -> Series:
    """Processes of one host as one: what each had used or held, added up at the samples of all.

    Between two samples of a process its values are taken to change evenly, and beyond them not.
    """
    at = numpy.unique(numpy.concatenate([each["monotonic_ns"] for each in found]))
    names = [name for name in found[0] if name != "monotonic_ns"]
    total = {name: numpy.zeros_like(at) for name in names}
    for each in found:
        for name in names:
            known = ~numpy.isnan(each[name])
            # What one of them never told, nobody knows of all.
            total[name] += (
                numpy.interp(at, each["monotonic_ns"][known], each[name][known])
                if known.any()
                else numpy.nan
            )
    return {"monotonic_ns": at, **total}


def read(path: Path) -> Series | None:
    """The series in ``path``; None where there is no such file or no sample in it.

    A last line that a killed writer left unfinished is dropped.
    """
    if not path.exists():
        return None
    with path.open(newline="") as file:
        names, *rows = [*csv.reader(file)] or [[]]
    table = [[float(cell or "nan") for cell in row] for row in rows if len(row) == len(names)]
    if not table:
        return None
    columns = numpy.array(table, numpy.float64).T
    return dict(zip(names, columns, strict=True))
