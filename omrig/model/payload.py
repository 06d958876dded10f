"""The payload of a message: keyword arguments like a real service's, of an exact size.

Definition of the size: the bytes that the payload adds to the message, that is the length of
``oslo_serialization.jsonutils.dumps(arguments)`` less its two braces. No argument at all is
therefore 0 bytes. oslo's JSON is ASCII (a non-ASCII character is written as ``\\uXXXX``), so its
length in characters is its length in bytes.

A reply that was given a size is a dictionary whose whole JSON has it; else it is the message's
number alone.
"""

from collections.abc import Callable

from omrig.model.errors import UsageError
from omrig.model.values import Json

METHOD = "message"
"""The endpoint's method that takes a message of the load."""

_FILLER = "user_data"

SMALLEST_BYTES = len(f'"{_FILLER}": ""')
"""Size of the smallest payload that is not empty."""

_SEQ = "seq"
_SEQ_DIGITS = 12
_NO_REPLY = {_SEQ: "0" * _SEQ_DIGITS, _FILLER: ""}

SMALLEST_REPLY_BYTES = sum(len(f'"{key}": "{value}"') for key, value in _NO_REPLY.items()) + 4
"""Size of the smallest reply that was given a size: its braces, and a comma and a space."""

_REALISTIC: dict[str, Json] = {
    "instance": {
        "uuid": "3f1a8a4e-0d1c-4c53-9f0e-2b7a4a1c7d55",
        "display_name": "caf\u00e9-web-01",
        "project_id": "b54f6f1cf3b14b4b8f6a3b6fd2a0c1aa",
        "host": None,
        "vm_state": "building",
        "memory_mb": 4096,
        "vcpus": 2,
        "root_gb": 20,
        "locked": False,
        "metadata": {
            "role": "web",
            "\u043e\u043a\u0440\u0443\u0433": "\u0441\u0435\u0432\u0435\u0440",
        },
        "system_metadata": {"image_min_disk": "20", "boot_roles": "member,reader"},
    },
    "filter_properties": {"retry": {"num_attempts": 1, "hosts": [["compute-1", "compute-1"]]}},
    "requested_networks": [["5bd2ad27-7fb1-4a7e-9a4a-8b2ab1ae6a6b", "10.0.0.4", None]],
    "security_groups": ["default"],
    "is_first_time": True,
    "weight": 0.75,
}


def serialised_size(arguments: dict[str, Json]) -> int:
    """Bytes that ``arguments`` add to a message: see the module's definition."""
    from oslo_serialization import jsonutils

    return len(jsonutils.dumps(arguments)) - 2


def build(size_bytes: int) -> dict[str, Json]:
    """Keyword arguments that serialise to exactly ``size_bytes``.

    Raises ``UsageError`` for 1 to ``SMALLEST_BYTES - 1`` bytes, which no
    argument can have.
    """
    if size_bytes == 0:
        return {}
    if size_bytes < SMALLEST_BYTES:
        raise UsageError(
            f"--message_size: no argument has {size_bytes} bytes; give 0 or at least"
            f" {SMALLEST_BYTES} bytes ({SMALLEST_BYTES / 1024:.3f})"
        )
    filled = {**_REALISTIC, _FILLER: ""}
    room = size_bytes - serialised_size(filled)
    if room < 0:
        filled = {_FILLER: ""}
        room = size_bytes - serialised_size(filled)
    filled[_FILLER] = _text(room)
    return filled


def sized_reply(size_bytes: int) -> Callable[[int], Json]:
    """What makes the reply to the message with a number, of exactly ``size_bytes``.

    Raises ``UsageError`` for fewer than ``SMALLEST_REPLY_BYTES``.
    """
    if size_bytes < SMALLEST_REPLY_BYTES:
        raise UsageError(
            f"--endpoint: no reply has {size_bytes} bytes; give reply:{SMALLEST_REPLY_BYTES}B or"
            " more"
        )
    filler = _text(size_bytes - SMALLEST_REPLY_BYTES)

    def reply(seq: int) -> Json:
        # As wide for each: the size does not depend on it.
        return {_SEQ: f"{seq:0{_SEQ_DIGITS}}", _FILLER: filler}

    return reply


def number_in(reply: Json) -> int | None:
    """The number of the message to which this is a sized reply; None where it is none."""
    number = reply.get(_SEQ) if isinstance(reply, dict) else None
    return int(number) if isinstance(number, str) else None


def _text(length: int) -> str:
    # Cloud-init user data is base64 text: letters that JSON leaves as they are.
    pattern = "I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczoKICAtIG5naW54"
    return (pattern * (length // len(pattern) + 1))[:length]
