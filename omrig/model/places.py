"""In which stage the code is that runs after a stamp, until the next: for who has code and no time.

A profiler knows functions and lines, the stage instrument knows at any moment which stamp was the
last. What comes after the message has gone is no stage of it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from omrig.model.stages import STAGES
from omrig.model.stamps import COLUMNS, PRODUCER_COLUMNS

PLACES = ("", *(stage.name for stage in STAGES))
"""The stages by the number that stands for them; 0 is none."""

_AFTER: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "producer": {
            "call": "api",
            "send": "publish",
            "json_out": "serialize",
            "pool_begin": "pool_wait",
            "pool_end": "publish",
            "connect": "connect",
            "reconnect": "connect",
            "depart": "confirm_wait",
            "confirm": "return",
            "wait": "wakeup",
            "woke": "return",
        },
        "consumer": {
            "start": "dispatch",
            "endpoint": "endpoint",
            "endpoint_end": "dispatch",
            "reply": "reply_publish",
            "json_out": "reply_serialize",
            "pool_begin": "reply_pool_wait",
            "pool_end": "reply_publish",
            "connect": "reply_connect",
            "reconnect": "reply_connect",
        },
    }
)
"""By side, the stage after a column's stamp, or in its span."""

_RECEIVING: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "producer": {"read": "reply_decode", "json_in": "reply_deserialize"},
        "consumer": {"read": "decode", "json_in": "deserialize"},
    }
)
"""... of a message that comes, and has no record yet."""


def tables(side: str) -> tuple[bytes, bytes, bytes]:
    """For a producer's record, a consumer's, and what is received by this side: by column, the
    number of the place.

    A process that is both (``both``) cannot tell a reply that comes from a request.
    """
    receiving = _RECEIVING.get(side, _RECEIVING["consumer"])
    return (
        _table(COLUMNS["producer"], _AFTER["producer"]),
        _table(COLUMNS["consumer"], _AFTER["consumer"]),
        _table(PRODUCER_COLUMNS, receiving),
    )


def _table(columns: tuple[str, ...], after: Mapping[str, str]) -> bytes:
    return bytes(PLACES.index(after.get(column, "")) for column in columns)
