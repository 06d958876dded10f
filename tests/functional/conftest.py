"""What the functional tests share: a channel to the broker, and the result of a run."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import amqp
import pytest


@pytest.fixture
def channel(broker):
    url = urlsplit(broker.url)
    with amqp.Connection(
        f"{broker.host}:{broker.port}", userid=url.username, password=url.password
    ) as connection:
        yield connection.channel()


def result_of(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())
