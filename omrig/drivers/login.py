"""What oslo.messaging's driver makes of a configuration: asked of the driver itself.

Each version resolves options, URL queries, TLS and logins in its own way. So its transport is made,
which opens no connection yet, and its connection is made as far as the call that would open one:
what comes out is what the measured process will use, contradictions included.
"""

import contextlib
import copy
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from omrig.drivers.rabbit import IDENTITY
from omrig.model import redaction
from omrig.model.errors import UsageError
from omrig.model.transport import Endpoint, Login

_RESERVED_FOR_KOMBU = "/?#;%"


class _Captured(BaseException):
    """Carries what the driver would have opened a connection with."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url
        self.options = options


def make_transport(conf: Any, parsed: Any, option: str) -> Any:
    """oslo.messaging's transport for a parsed URL; its driver's options are registered in ``conf``.

    ``option`` says where the URL came from, for errors. Raises
    ``UsageError`` with what the driver says against it: options that contradict
    each other, an option that it does not know, a library that is not installed.
    """
    import oslo_messaging
    from oslo_config import cfg

    try:
        return oslo_messaging.get_rpc_transport(conf, _copy(parsed))
    except oslo_messaging.DriverLoadFailure as error:
        raise _refusal(option, parsed.transport, error.ex) from error
    except (cfg.Error, RuntimeError, ValueError, ImportError) as error:
        raise _refusal(option, parsed.transport, error) from error


def login(transport: Any, parsed: Any, option: str) -> Login:
    """How the driver of a transport over AMQP would log in to the hosts of its URL.

    Raises ``UsageError`` where the driver would refuse its options, or could
    not take its own address apart again.
    """
    captured = _capture(transport._driver.conf, _copy(parsed), option)
    endpoints, vhost = [], "/"
    try:
        for url in captured.url.split(";"):
            endpoint, vhost = _as_kombu_does(url, captured.options)
            endpoints.append(endpoint)
    except ValueError:
        raise UsageError(
            f"{option}: {_version()} cannot use this URL: {_mangled(parsed)}"
        ) from None
    except KeyError:
        raise UsageError(
            f"{option}: {_version()} accepts {parsed.transport}:// and cannot connect with it;"
            " write rabbit://"
        ) from None
    tls = captured.options.get("ssl")
    return Login(
        endpoints=tuple(endpoints),
        vhost=vhost,
        ssl_options=None if not tls else {} if tls is True else dict(tls),
        method=str(captured.options.get("login_method") or "PLAIN"),
        caution="" if _agree(parsed, endpoints) else f"{_version()}: {_mangled(parsed)}",
    )


def options(transport: Any, name: str) -> Mapping[str, Any]:
    """The options of the driver's group of that name, as the driver resolves them.

    Without secrets, and those that a run never takes from a configuration.
    """
    conf = transport._driver.conf
    if name not in conf:
        return {}
    options = conf[name]
    return {
        each: options[each]
        for each in options
        if each not in IDENTITY and not each.endswith("password")
    }


def _copy(parsed: Any) -> Any:
    """The driver shuffles the hosts of the URL that it is given."""
    copied = copy.copy(parsed)
    copied.hosts = list(parsed.hosts)
    return copied


def _capture(conf: Any, parsed: Any, option: str) -> _Captured:
    from oslo_config import cfg
    from oslo_messaging._drivers import common, impl_rabbit

    try:
        with _no_connection():
            impl_rabbit.Connection(conf, parsed, common.PURPOSE_SEND)
    except _Captured as captured:
        return captured
    except (cfg.Error, RuntimeError, ValueError, OSError) as error:
        raise _refusal(option, parsed.transport, error) from error
    raise UsageError(
        f"{option}: {_version()} connects in a way that omrig does not know; use another version"
    )


@contextlib.contextmanager
def _no_connection() -> Iterator[None]:
    connections: Any = importlib.import_module("kombu.connection")

    def capture(url: str, **options: Any) -> None:
        raise _Captured(url, options)

    original = connections.Connection
    connections.Connection = capture
    try:
        yield
    finally:
        connections.Connection = original


def _as_kombu_does(url: str, options: Mapping[str, Any]) -> tuple[Endpoint, str]:
    """The address, login and vhost that kombu gives to py-amqp.

    Raises ValueError for what is no URL to kombu, KeyError for one of no transport of its own.
    """
    kombu: Any = importlib.import_module("kombu")
    connection = kombu.Connection(url, login_method=options.get("login_method"))
    connection.get_transport_cls()
    # As kombu.transport.pyamqp.Transport.establish_connection fills in what is not given.
    host = connection.hostname or "localhost"
    endpoint = Endpoint(
        host="127.0.0.1" if host == "localhost" else host,
        port=int(connection.port or 5672),
        username=connection.userid or "guest",
        password=connection.password or "guest",
    )
    return endpoint, connection.virtual_host or "/"


def _agree(parsed: Any, endpoints: list[Endpoint]) -> bool:
    """Whether the driver logs in with what the URL says."""
    asked = {(host.username or "guest", host.password or "guest") for host in parsed.hosts}
    return asked <= {(each.username, each.password) for each in endpoints}


def _mangled(parsed: Any) -> str:
    words = []
    texts = {
        "user": {host.username or "" for host in parsed.hosts},
        "password": {host.password or "" for host in parsed.hosts},
        "virtual host": {parsed.virtual_host or ""},
    }
    for name, values in texts.items():
        found = [c for c in _RESERVED_FOR_KOMBU if any(c in value for value in values)]
        # That of the default virtual host it knows.
        if found and not (name == "virtual host" and values == {"/"}):
            words.append(f"a {name} with {' or '.join(repr(each) for each in found)} in it")
    what = " and ".join(words) or "one of its addresses"
    return f"it does not pass on {what}, however that is encoded; use another one"


def _refusal(option: str, driver: str, error: BaseException) -> UsageError:
    if isinstance(error, ImportError) and error.name:
        return UsageError(
            f"{option}: the driver {driver!r} needs the Python module {error.name}, which is not"
            " installed here; install it, or use another driver"
        )
    text = " ".join(redaction.redact(str(error)).split())
    return UsageError(f"{option}: {_version()} refuses its options: {text}; correct them")


def _version() -> str:
    from importlib.metadata import version

    return f"oslo.messaging {version('oslo.messaging')}"
