"""RabbitMQ's management API, where there is one: the names of queues, which AMQP does not tell.

Nothing needs it, and only who is asked to looks for it: on the broker's own host, at the port that
RabbitMQ's documentation has for it, 10000 above that of AMQP. The login of the transport is shown
to it only after it has said what it is, and over TLS where that of AMQP is.
"""

import base64
import http.client
import json
import re
import ssl
import time
from typing import Any
from urllib.parse import quote

from omrig.model.transport import Endpoint, Login

PORT_ABOVE = 10_000
"""So far above the port of AMQP is that of the management API."""

REALM = "RabbitMQ Management"
"""What it asks the login for."""

_PAGE = 500
_MOST_PAGES = 20


class NoManagement(Exception):
    """It cannot be asked: why, in words."""


def queues(login: Login, beginning: str, deadline_s: float) -> list[str]:
    """The names of the queues of the virtual host that begin so.

    Raises :class:`NoManagement` where it cannot be asked within ``deadline_s``.
    """
    end = time.monotonic() + deadline_s
    reasons = []
    for endpoint in login.endpoints:
        try:
            return _queues(login, endpoint, beginning, end)
        except NoManagement as error:
            reasons.append(str(error))
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{_address(endpoint)} {_words(error)}")
    raise NoManagement("; ".join(reasons) or "the transport URL names no broker")


def _queues(login: Login, endpoint: Endpoint, beginning: str, end: float) -> list[str]:
    # It speaks up before it is told a password.
    status, asks, _ = _get(login, endpoint, "/api/overview", {}, end)
    if status != http.client.UNAUTHORIZED or REALM not in asks:
        raise NoManagement(f"{_address(endpoint)} is no management API of RabbitMQ")
    token = base64.b64encode(f"{endpoint.username}:{endpoint.password}".encode()).decode()
    found: list[str] = []
    for page in range(1, _MOST_PAGES + 1):
        path = (
            f"/api/queues/{quote(login.vhost, safe='')}?page={page}&page_size={_PAGE}"
            f"&use_regex=true&name={quote('^' + re.escape(beginning), safe='')}&columns=name"
        )
        status, _, body = _get(login, endpoint, path, {"Authorization": f"Basic {token}"}, end)
        if status != http.client.OK:
            raise NoManagement(
                f"{_address(endpoint)} does not let user {endpoint.username!r} see queues (HTTP"
                f" {status}); the tag `monitoring` or `management` would do"
            )
        answer = json.loads(body)
        found += [str(each["name"]) for each in answer["items"]]
        if page >= int(answer["page_count"]):
            break
    return [name for name in found if name.startswith(beginning)]


def _get(
    login: Login, endpoint: Endpoint, path: str, headers: dict[str, str], end: float
) -> tuple[int, str, bytes]:
    """Status, what login is asked for, and body. Raises OSError and HTTPException."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    port = endpoint.port + PORT_ABOVE
    connection: http.client.HTTPConnection
    if login.ssl_options is None:
        connection = http.client.HTTPConnection(endpoint.host, port, timeout=left)
    else:
        connection = http.client.HTTPSConnection(
            endpoint.host, port, timeout=left, context=_context(login.ssl_options)
        )
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("WWW-Authenticate", ""), answer.read()
    finally:
        connection.close()


def _context(options: Any) -> ssl.SSLContext:
    """TLS as py-amqp's options for the broker have it; who is not checked there is not here."""
    context = ssl.create_default_context(cafile=options.get("ca_certs"))
    if options.get("cert_reqs") in (None, ssl.CERT_NONE):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("certfile"):
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
    return context


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port + PORT_ABOVE}"


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    return f"cannot be asked ({type(error).__name__})"
