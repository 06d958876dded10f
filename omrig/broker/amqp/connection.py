"""Opening an AMQP connection within a time limit, and saying why it could not be opened."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from omrig.broker.amqp import refusals
from omrig.model.errors import UsageError
from omrig.model.transport import Endpoint, Login

T = TypeVar("T")

PROBE_SECONDS = 1.0
"""A probe needs one round trip: what does not answer in this time would not help the message."""


class ConnectError(Exception):
    """One endpoint could not be used: ``reason`` says why, ``advice`` what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}: {advice}")
        self.reason = reason
        self.advice = advice


def call_within(seconds: float, function: Callable[[], T]) -> T:
    """What ``function()`` returns; it is not waited for longer than so many seconds.

    Raises TimeoutError then; the call itself goes on in a daemon thread. Name look-ups and a
    broker that is stopped in mid-answer block where no socket timeout reaches.
    """
    values: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            values.append(function())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    worker = threading.Thread(target=work, name="omrig-broker-call", daemon=True)
    worker.start()
    worker.join(max(0.0, seconds))
    if values:
        return values[0]
    if errors:
        raise errors[0]
    raise TimeoutError(f"no result within {seconds:.1f} s")


def open_first(login: Login, deadline_s: float) -> tuple[Any, Endpoint]:
    """An open ``amqp.Connection`` to the first endpoint that takes us, and that endpoint.

    All endpoints together get ``deadline_s`` seconds.
    Raises UsageError, one line with a reason for each endpoint.
    """
    endpoints = login.endpoints
    if not endpoints:
        raise UsageError("the transport URL names no broker: give --transport-url rabbit://HOST/")
    end = time.monotonic() + deadline_s
    failures: list[tuple[Endpoint, ConnectError]] = []
    for position, endpoint in enumerate(endpoints):
        share = (end - time.monotonic()) / (len(endpoints) - position)
        try:
            return _open(endpoint, login, share), endpoint
        except ConnectError as error:
            failures.append((endpoint, error))
    caution = f" ({login.caution})" if login.caution else ""
    raise UsageError(_describe(failures) + caution)


def drop(connection: Any) -> None:
    """Close an ``amqp.Connection`` in whatever state it is, without waiting for the broker."""
    # The property without the underscore would connect.
    transport = connection._transport
    sock = transport and transport.sock
    if sock:
        # A TLS connection would wait for the peer's goodbye.
        cut(sock)
    try:
        connection.collect()
    except (OSError, ValueError):
        # Its TLS had ended already: py-amqp went no further.
        if sock:
            sock.close()


def cut(sock: socket.socket) -> None:
    """End a connection, also from under a thread that waits on it."""
    with contextlib.suppress(OSError):
        # An SSLSocket's own shutdown() takes its TLS from whoever uses it.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _describe(failures: Sequence[tuple[Endpoint, ConnectError]]) -> str:
    if len(failures) == 1:
        endpoint, error = failures[0]
        line = f"no connection to the broker {endpoint.address}: {error}"
    else:
        reasons = "; ".join(f"{endpoint.address} {error.reason}" for endpoint, error in failures)
        advice = list(dict.fromkeys(error.advice for _, error in failures))
        line = f"no connection to any of {len(failures)} brokers: {reasons}: "
        line += advice[0] if len(advice) == 1 else "check the transport URL, host by host"
    return " ".join(line.split())


def _open(endpoint: Endpoint, login: Login, seconds: float) -> Any:
    """An open ``amqp.Connection``. Raises ConnectError within about ``seconds``."""
    end = time.monotonic() + seconds
    probe_seconds = min(PROBE_SECONDS, seconds / 4)
    try:
        return _attempt(endpoint, login, seconds - probe_seconds)
    except ConnectError:
        raise
    except Exception as error:
        heard = _probe(endpoint, min(probe_seconds, end - time.monotonic()))
        raise _explain(error, heard, endpoint, login.ssl_options is not None) from error


def _attempt(endpoint: Endpoint, login: Login, seconds: float) -> Any:
    import amqp

    end = time.monotonic() + seconds
    _resolve(endpoint, seconds)
    connection = _connection(endpoint, login, max(0.1, end - time.monotonic()))
    abandoned = threading.Event()

    def connect() -> None:
        try:
            connection.connect()
        except BaseException:
            drop(connection)
            raise
        if abandoned.is_set():
            drop(connection)

    try:
        call_within(end - time.monotonic(), connect)
    except TimeoutError:
        abandoned.set()
        raise
    except amqp.AMQPError as error:
        if not refusals.is_broker_s(error):
            raise
        raise _refused(error, endpoint, login.vhost) from error
    except OSError as error:
        if connection.server_properties:
            # A broker that cannot say so refuses a login like this.
            raise ConnectError(
                f"closed the connection during the login of user {endpoint.username!r}",
                "check user, password and virtual host in the transport URL",
            ) from error
        raise
    return connection


def _resolve(endpoint: Endpoint, seconds: float) -> None:
    try:
        call_within(seconds, lambda: socket.getaddrinfo(endpoint.host, endpoint.port))
    except (socket.gaierror, UnicodeError):
        raise ConnectError(
            "unknown host", "correct the host name in the transport URL, or the name service"
        ) from None
    except TimeoutError:
        raise ConnectError(
            "name look-up timed out", "check the name service, or give an IP address"
        ) from None


def _connection(endpoint: Endpoint, login: Login, seconds: float) -> Any:
    """An ``amqp.Connection``, not yet connected, set up as the driver would."""
    import amqp

    options: object = False
    if login.ssl_options is not None:
        named = dict(login.ssl_options)
        if "server_hostname" in named and named["server_hostname"] is None:
            named["server_hostname"] = endpoint.host
        # An empty mapping would read as "no TLS".
        options = named or True
    return amqp.Connection(
        endpoint.address,
        virtual_host=login.vhost,
        ssl=options,
        connect_timeout=seconds,
        userid=endpoint.username,
        password=endpoint.password,
        login_method=login.method,
    )


def _refused(error: Any, endpoint: Endpoint, vhost: str) -> ConnectError:
    """The broker's own refusal in words."""
    text = refusals.said(error)
    if error.reply_code == 403:
        return ConnectError(
            f"refused user {endpoint.username!r} or the password",
            "correct the credentials in the transport URL",
        )
    if text.endswith("not found"):
        return ConnectError(
            f"has no virtual host {vhost!r}",
            "correct the virtual host in the transport URL, or create it with"
            " `rabbitmqctl add_vhost`",
        )
    if "access to vhost" in text and ": " not in text:
        return ConnectError(
            f"does not let user {endpoint.username!r} into the virtual host {vhost!r}",
            "give the permission with `rabbitmqctl set_permissions`",
        )
    return ConnectError(
        f"refused user {endpoint.username!r}: {text}",
        refusals.advice(text, endpoint.username, vhost),
    )


def _explain(error: Exception, heard: str, endpoint: Endpoint, tls: bool) -> ConnectError:
    """Put a failure into words, from the exception and from what the probe heard in plain TCP."""
    if isinstance(error, ConnectionRefusedError):
        return ConnectError(
            "connection refused", "start the broker, or correct host and port in the transport URL"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectError(
            f"TLS certificate not trusted ({error.verify_message})",
            "set ssl_ca_file to the authority that signed the broker's certificate, and use a"
            " host name that it names",
        )
    return _explain_peer(error, heard, tls) or _explain_error(error, endpoint)


def _explain_peer(error: Exception, heard: str, tls: bool) -> ConnectError | None:
    """What the peer is, if that alone is the reason."""
    if heard == "unreachable":
        what = "connection timed out" if isinstance(error, TimeoutError) else "unreachable"
        return ConnectError(what, "check the address, the network and the firewalls between")
    if heard == "http":
        return ConnectError(
            "answers HTTP, not AMQP", "give the broker's AMQP port (5672, or 5671 with TLS)"
        )
    if tls and heard == "amqp":
        return ConnectError(
            "speaks plain AMQP, and TLS was asked for",
            "give the broker's TLS port (often 5671), or turn ssl off",
        )
    if not tls and heard == "tls":
        return ConnectError(
            "speaks TLS, and plain AMQP was asked for",
            "set ssl = true, or give the broker's plain port (often 5672)",
        )
    return None


def _explain_error(error: Exception, endpoint: Endpoint) -> ConnectError:
    if isinstance(error, TimeoutError):
        return ConnectError(
            "accepted the connection and never answered",
            f"check that port {endpoint.port} is the broker's, and that the broker is not hung",
        )
    if isinstance(error, ssl.SSLError):
        return ConnectError(
            f"TLS failed ({error.reason or type(error).__name__})",
            "check the ssl options against the broker's",
        )
    if isinstance(error, FileNotFoundError | PermissionError):
        # Python does not say which file; the TLS options name the only ones that are read.
        return ConnectError(
            f"was not tried: a TLS file cannot be read ({error.strerror})",
            "correct ssl_ca_file, ssl_cert_file or ssl_key_file",
        )
    return ConnectError(
        f"did not speak AMQP 0-9-1 ({type(error).__name__})",
        f"check that port {endpoint.port} is a RabbitMQ AMQP port",
    )


def _probe(endpoint: Endpoint, seconds: float) -> str:
    """What answers a plain AMQP greeting: amqp, tls, http, other, closed, silent, unreachable.

    py-amqp reads any answer as a frame: what kind of peer it was is lost in its exceptions.
    """
    end = time.monotonic() + seconds
    try:
        with socket.create_connection((endpoint.host, endpoint.port), max(0.1, seconds)) as peer:
            # The blank line makes an HTTP server answer; the others have answered before it.
            peer.sendall(b"AMQP\x00\x00\x09\x01\r\n\r\n")
            peer.settimeout(max(0.1, end - time.monotonic()))
            try:
                head = peer.recv(16)
            except TimeoutError:
                return "silent"
            except OSError:
                return "closed"
    except OSError:
        return "unreachable"
    if not head:
        return "closed"
    if head.startswith((b"\x01\x00\x00", b"AMQP")):
        return "amqp"
    if head.startswith(b"\x15\x03"):
        return "tls"
    return "http" if head.startswith((b"HTTP/", b"<!DOCTYPE", b"<html")) else "other"
