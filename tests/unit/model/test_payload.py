"""The payload has exactly the asked size, in bytes, as oslo serialises it."""

import pytest
from oslo_serialization import jsonutils

from omrig.model import payload
from omrig.model.errors import UsageError


@pytest.mark.parametrize(
    "size_bytes", [0, payload.SMALLEST_BYTES, 100, 1023, 1024, 10 * 1024, 300 * 1024, 1024 * 1024]
)
def test_exact_size(size_bytes):
    arguments = payload.build(size_bytes)
    text = jsonutils.dumps(arguments)
    assert len(text.encode()) - len(b"{}") == size_bytes
    assert payload.serialised_size(arguments) == size_bytes


def test_the_payload_adds_its_size_to_a_message():
    message = {"method": "message", "args": {"seq": 1}}
    alone = len(jsonutils.dumps(message))
    message["args"].update(payload.build(4096))
    assert len(jsonutils.dumps(message)) - alone == 4096 + len(", ")


def test_a_realistic_payload_has_text_that_is_not_ascii():
    arguments = payload.build(10 * 1024)
    assert not arguments["instance"]["display_name"].isascii()
    assert jsonutils.dumps(arguments).isascii()


def test_sizes_that_no_argument_has_are_refused():
    with pytest.raises(UsageError, match="--message_size"):
        payload.build(payload.SMALLEST_BYTES - 1)
