"""Requests to the API of a service."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SECONDS = 120

NONE: Mapping[str, str] = MappingProxyType({})

NOT_THERE = (urllib.error.URLError, ConnectionError)
"""What asking raises where nobody answers yet; or answers with an error."""


def ask(method: str, url: str, body: str | None = None, headers: Mapping[str, str] = NONE) -> Any:
    """What the API answers, from JSON. Raises ``HTTPError`` for an error."""
    data = None if body is None else body.encode()
    asked = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, asked, method=method)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.loads(answer.read() or b"null")
