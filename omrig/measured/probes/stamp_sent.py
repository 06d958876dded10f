"""The kinds of stamps that open and close the record of any message, as in ``stamp_kinds``."""

from collections.abc import Callable
from typing import Any

from omrig.measured.probes.records import PRODUCER, Path, Record, Served
from omrig.measured.probes.stamp_shared import Shared
from omrig.model.stamps import ENDED_WELL, ID_DIGITS, KIND, OUTCOME, PARENT, REQUEST

Function = Callable[..., Any]


def _parent(stamps: Shared) -> int:
    """The id of the message whose endpoint runs here; 0 where none does."""
    value = stamps.sending.get()
    record = value.record if type(value) is Served else None
    return int(record.id[:ID_DIGITS], 16) if record is not None and record.id else 0


def make_message(stamps: Shared, _column: int, _cpu: int, _path: Path, describe: Any) -> Function:
    """A message is about to be sent, which is what ``describe`` says by the arguments: the numbers
    of its kind and its request, or None."""

    def message(*arguments: Any) -> Record | None:
        if not stamps.on:
            return None
        told = describe(*arguments)
        if told is None:
            return None
        parent = _parent(stamps)
        record = stamps.open_sent()
        record.row[KIND], record.row[REQUEST] = told
        record.row[PARENT] = parent
        return record

    return message


def make_failed(_stamps: Shared, _column: int, _cpu: int, _path: Path, number: Any) -> Function:
    """An exception: ``number()`` is that of what is being raised.

    What was kept is the record, or what stands for one that is served.
    """

    def failed(kept: Any) -> None:
        record = kept.record if type(kept) is Served else kept
        if type(record) is Record:
            record.row[OUTCOME] = number()

    return failed


def make_sent(stamps: Shared, _column: int, _cpu: int, _path: Path, _keys: Any) -> Function:
    """Whatever became of the message, its record is a row from now on."""

    def sent(record: Any) -> None:
        if type(record) is Record and record.side == PRODUCER:
            if not record.row[OUTCOME]:
                record.row[OUTCOME] = ENDED_WELL
            stamps.close_sent(record)

    return sent
