"""The configuration of the service whose messaging is measured, as oslo.config finds it."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig import redaction
from omrig.errors import UsageError
from omrig.plan import Plan

if TYPE_CHECKING:
    from omrig.broker.connection import Endpoint, Login

DEFAULT_PORT = 5672
DEFAULT_USER = "guest"

_IN_MEMORY = ("fake", "kombu+memory")
_AMQP = ("rabbit", "kombu", "kombu+rabbit", "kombu+amqp")


@dataclasses.dataclass(frozen=True)
class Transport:
    """Where messages go: the parsed transport URL and what is needed to reach the broker.

    ``redacted`` is the URL without password, for people and files. ``source`` says where the URL
    came from. ``options`` are those of the driver as it resolves them, the URL's query included.
    """

    scheme: str
    login: "Login"
    options: Mapping[str, Any]
    redacted: str
    source: str

    @property
    def in_memory(self) -> bool:
        """Whether messages never leave the process, so that its figures measure no broker."""
        return self.scheme in _IN_MEMORY

    @property
    def speaks_amqp(self) -> bool:
        """Whether a broker can be asked who it is with AMQP 0-9-1."""
        return self.scheme in _AMQP


def load(plan: Plan) -> Any:
    """oslo.config's global ``CONF``, filled for ``plan``; oslo.messaging's options registered.

    The files of ``plan.project`` are looked for where oslo.config looks. ``--config-file``
    replaces them, ``--config-dir`` comes after the files. The global object is used because
    oslo.messaging registers some options only there.

    Raises :class:`~omrig.errors.UsageError` for a file that is missing or cannot be read.
    """
    from oslo_config import cfg
    from oslo_messaging import opts

    for path in plan.config_files:
        _require(path, "--config-file", Path(path).is_file(), "no such file")
    for path in plan.config_dirs:
        _require(path, "--config-dir", Path(path).is_dir(), "no such folder")
    with _configuration_errors(plan):
        cfg.CONF(
            args=[],
            project=plan.project,
            prog="omrig",
            default_config_files=list(plan.config_files) or None,
            default_config_dirs=list(plan.config_dirs) or None,
        )
        for group, options in opts.list_opts():
            cfg.CONF.register_opts(options, group=group)
        # A value that does not parse is found when it is read: here, not in the middle of a run.
        differing_options(cfg.CONF)
    return cfg.CONF


def transport_url(conf: Any, plan: Plan) -> str | None:
    """The asked transport URL: the option, else the configuration's, else None."""
    if plan.transport_url:
        return plan.transport_url
    with _configuration_errors(plan):
        location = conf.get_location("transport_url")
        if location is None or not location.location.is_user_controlled:
            return None
        return str(conf.transport_url)


def parse_transport(conf: Any, plan: Plan, url: str, source: str) -> Transport:
    """Parse ``url`` and remember its passwords for redaction.

    Raises :class:`~omrig.errors.UsageError` for a malformed URL or a driver that is not installed.
    """
    import oslo_messaging
    from oslo_messaging._drivers import common

    from omrig.broker.connection import Login

    option = f"{source}: " if source.startswith("--") else f"transport_url of {source}: "
    try:
        parsed = oslo_messaging.TransportURL.parse(conf, url)
        hosts = [(h.hostname, h.port and int(h.port), h.username, h.password) for h in parsed.hosts]
    except (oslo_messaging.InvalidTransportURL, ValueError, TypeError) as error:
        raise UsageError(_malformed(option, url, str(error))) from error
    redaction.remember(host[3] for host in hosts)
    _check_driver(option, parsed.transport)
    _check_hosts(option, url, parsed.transport, hosts)
    with _configuration_errors(plan):
        rabbit = common.ConfigOptsProxy(conf, parsed, "oslo_messaging_rabbit").oslo_messaging_rabbit
        ssl_options = _ssl_options(rabbit, hosts)
    return Transport(
        scheme=parsed.transport,
        login=Login(
            endpoints=_endpoints(parsed.transport, hosts),
            vhost=parsed.virtual_host or "/",
            ssl_options=ssl_options,
            method=rabbit.rabbit_login_method,
        ),
        options={name: rabbit[name] for name in rabbit},
        redacted=redaction.redact(url),
        source=source,
    )


def differing_options(conf: Any) -> dict[str, Any]:
    """The messaging options that differ from oslo.messaging's defaults, secrets left out."""
    from oslo_messaging import opts

    differing = {}
    for group, options in opts.list_opts():
        values = conf[group] if group else conf
        for option in options:
            if option.secret:
                continue
            value = values[option.dest]
            if value != option.default:
                name = f"[{group}] {option.name}" if group else option.name
                differing[name] = redaction.redact(value) if isinstance(value, str) else value
    return differing


def pool_sizes(conf: Any, plan: Plan) -> dict[str, int]:
    """How many connections and executor threads messages have to share."""
    rabbit = conf.oslo_messaging_rabbit
    # Of all drivers, in [DEFAULT], until oslo.messaging 14.
    connections = rabbit if "rpc_conn_pool_size" in rabbit else conf
    return {
        "rpc_conn_pool_size": connections.rpc_conn_pool_size,
        "executor_thread_pool_size": plan.executor_pool_size or conf.executor_thread_pool_size,
    }


def _require(path: str, option: str, found: bool, problem: str) -> None:
    if not found:
        raise UsageError(f"{option}: {path}: {problem}; give the path of an existing one")


@contextlib.contextmanager
def _configuration_errors(plan: Plan) -> Iterator[None]:
    from oslo_config import cfg

    where = "--config-file" if plan.config_files else f"configuration of {plan.project}"
    try:
        yield
    except (cfg.Error, OSError, UnicodeDecodeError, ValueError) as error:
        text = " ".join(redaction.redact(str(error)).split())
        raise UsageError(f"{where}: {text}; correct the file or name another one") from error


def _malformed(option: str, url: str, reason: str) -> str:
    return (
        f"{option}{redaction.redact(url)!r} is not a transport URL"
        f" ({redaction.redact(reason)}); the form is rabbit://user:password@host:port/vhost"
    )


def _check_driver(option: str, scheme: str) -> None:
    from importlib.metadata import entry_points

    known = sorted(entry_points(group="oslo.messaging.drivers").names)
    if scheme.split("+")[0] not in known:
        raise UsageError(
            f"{option}unknown driver {scheme!r}; oslo.messaging here has {', '.join(known)}"
        )


def _check_hosts(option: str, url: str, scheme: str, hosts: list[Any]) -> None:
    for host, port, _, _ in hosts:
        if port is not None and not 0 < port < 65536:
            raise UsageError(_malformed(option, url, f"port {port} of host {host}"))
    if "//" not in url:
        raise UsageError(_malformed(option, url, "no '//' after the driver"))
    if scheme in _IN_MEMORY and any(host[0] for host in hosts):
        raise UsageError(_malformed(option, url, f"{scheme} takes no host"))


def _endpoints(scheme: str, hosts: list[Any]) -> "tuple[Endpoint, ...]":
    if scheme in _IN_MEMORY:
        return ()
    from omrig.broker.connection import Endpoint

    return tuple(
        Endpoint(
            host=host or "localhost",
            port=port or DEFAULT_PORT,
            username=username or DEFAULT_USER,
            password=password or DEFAULT_USER,
        )
        for host, port, username, password in hosts or [(None, None, None, None)]
    )


def _ssl_options(rabbit: Any, hosts: list[Any]) -> dict[str, Any] | None:
    """What impl_rabbit's ``Connection._fetch_ssl_params`` gives to kombu."""
    import ssl

    if not rabbit.ssl:
        return None
    options: dict[str, Any] = {}
    if rabbit.ssl_key_file:
        options["keyfile"] = rabbit.ssl_key_file
    if rabbit.ssl_cert_file:
        options["certfile"] = rabbit.ssl_cert_file
    if rabbit.ssl_ca_file:
        options["ca_certs"] = rabbit.ssl_ca_file
        options["cert_reqs"] = ssl.CERT_REQUIRED
        options["server_hostname"] = hosts[0][0] if len(hosts) == 1 else None
    return options
