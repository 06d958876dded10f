"""The settings of a run: where its messages go, and every option that the driver will use.

Each is read where the driver reads it, the URL's query included, and comes with its source: what
the report shows, the verdict judges by and ``omrig compare`` compares is what was in force.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omrig.drivers import configuration
from omrig.drivers.configuration import Configuration, Found
from omrig.model import redaction, transport_url
from omrig.model.errors import UsageError
from omrig.model.plan import Plan

if TYPE_CHECKING:
    from omrig.broker.amqp.connection import Login

_IN_MEMORY = ("fake", "kombu+memory")
_AMQP = ("rabbit", "kombu", "kombu+rabbit", "kombu+amqp")

_QUERY = "the query of the transport URL"

_ALWAYS = ("rpc_response_timeout", "executor_thread_pool_size", "rpc_conn_pool_size")
"""Options whose value and source are told even where they are the defaults: they decide how long
is waited, and for what."""

_SECRET_NAMES = ("password", "passwd", "secret", "secret_key", "auth_token", "transport_url")
"""How the names of options end whose values are secrets, in whatever service."""

_NO_SECRETS = frozenset({"true", "false", "yes", "no", "on", "off", "none"})


@dataclasses.dataclass(frozen=True)
class Setting:
    """An option as the driver uses it: its value, where that is from, and whether it is usual.

    ``source`` is a file, a variable of the environment, the query of the transport URL, an option
    of omrig's or ``default``.
    """

    value: Any
    source: str
    is_default: bool


@dataclasses.dataclass(frozen=True)
class Transport:
    """Where messages go: the parsed transport URL and what is needed to reach the broker.

    ``redacted`` is the URL without password, for people and files. ``source`` says where the URL
    came from, and ``is_named`` whether the command line named it. ``options`` are the driver's, as
    it resolves them; ``settings`` are all of oslo.messaging's that are no secret, by name.
    """

    scheme: str
    login: "Login"
    options: Mapping[str, Any]
    settings: Mapping[str, Setting]
    redacted: str
    source: str
    is_named: bool
    url: str = dataclasses.field(repr=False)

    @property
    def in_memory(self) -> bool:
        """Whether messages never leave the process, so that its figures measure no broker."""
        return self.scheme in _IN_MEMORY

    @property
    def speaks_amqp(self) -> bool:
        """Whether a broker can be asked who it is with AMQP 0-9-1."""
        return self.scheme in _AMQP

    def value(self, name: str) -> Any:
        """The value of an option of oslo.messaging's that the installed version has, else None."""
        for full in (name, f"[oslo_messaging_rabbit] {name}"):
            if full in self.settings:
                return self.settings[full].value
        return None


def resolve(found: Configuration, url: Found) -> Transport:
    """What ``url`` means under a configuration, to the driver of the installed oslo.messaging.

    Raises ``UsageError`` for a malformed URL, a driver that is not installed or
    carries no RPC, and for options that are invalid or contradict each other.
    """
    from omrig.broker.amqp.connection import Login
    from omrig.drivers import rabbit
    from omrig.measured.load import identity

    remember_secrets(found)
    option = url.source if url.source.startswith("--") else f"transport_url of {url.source}"
    parsed = transport_url.parse(found.conf, url.url, option)
    _check_use(option, parsed)
    _check_query(option, parsed)
    with configuration.errors_of(found):
        # A value that does not parse is found when it is read: here, not in the middle of a run.
        settings = _settings(found, parsed)
    transport = rabbit.make_transport(found.conf, parsed, option)
    speaks_amqp = parsed.transport in _AMQP
    shown = [name.rpartition(" ")[2] for name in settings]
    return Transport(
        scheme=parsed.transport,
        login=rabbit.login(transport, parsed, option)
        if speaks_amqp
        else Login((), parsed.virtual_host or "/"),
        options=rabbit.options(transport, identity.OPTIONS) if speaks_amqp else {},
        settings=settings,
        redacted=transport_url.show(parsed, shown),
        source=url.source,
        is_named=url.is_named,
        url=url.url,
    )


def differing_options(transport: Transport) -> dict[str, Any]:
    """The messaging options that differ from oslo.messaging's defaults, secrets left out."""
    return {
        name: setting.value
        for name, setting in transport.settings.items()
        if not setting.is_default
    }


def with_sources(transport: Transport, plan: Plan) -> dict[str, dict[str, Any]]:
    """Each setting that matters, with its source: what differs, and what decides of waiting."""
    chosen = {
        name: setting
        for name, setting in transport.settings.items()
        if not setting.is_default or name.rpartition(" ")[2] in _ALWAYS
    }
    overridden = {
        "rpc_response_timeout": (plan.load.timeout_s, "--timeout"),
        "executor_thread_pool_size": (plan.load.executor_pool_size, "--executor-pool-size"),
    }
    for name, (value, option) in overridden.items():
        if value is not None and name in chosen:
            chosen[name] = Setting(value, option, False)
    return {
        name: {"value": setting.value, "source": setting.source} for name, setting in chosen.items()
    }


def pool_sizes(transport: Transport, plan: Plan) -> dict[str, int]:
    """How many connections and executor threads messages have to share."""
    return {
        "rpc_conn_pool_size": transport.value("rpc_conn_pool_size"),
        "executor_thread_pool_size": plan.load.executor_pool_size
        or transport.value("executor_thread_pool_size"),
    }


def remember_secrets(found: Configuration) -> None:
    """Have every secret that the configuration holds redacted in what others say.

    Values of options that are secret by name, in whatever section: a driver quotes what it likes.
    """
    from oslo_config import cfg

    values = [
        value
        for name, value in configuration.option_variables().items()
        if name.lower().endswith(_SECRET_NAMES)
    ]
    for path in found.read_files():
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for options in sections.values():
            for name, given in options.items():
                if name.lower().endswith(_SECRET_NAMES):
                    values += given
    for value in values:
        if "://" in value:
            redaction.remember(transport_url.passwords(value))
        elif value.lower() not in _NO_SECRETS:
            redaction.remember([value])


def _check_use(option: str, parsed: Any) -> None:
    if parsed.transport in _IN_MEMORY and any(host.hostname for host in parsed.hosts):
        raise UsageError(f"{option}: {parsed.transport} takes no host; write {parsed.transport}://")
    if parsed.transport == "kafka":
        # impl_kafka's send and listen raise NotImplementedError.
        raise UsageError(
            f"{option}: the driver kafka carries notifications and no RPC, which is what omrig"
            " sends; use the URL of a RabbitMQ (rabbit://)"
        )
    if parsed.transport not in (*_IN_MEMORY, *_AMQP):
        raise UsageError(
            f"{option}: omrig sends RPC over rabbit, kombu+memory or fake, not over"
            f" {parsed.transport!r}; name a broker that speaks AMQP 0-9-1"
        )


def _check_query(option: str, parsed: Any) -> None:
    """Refuse what the driver would refuse of a query, without showing the value."""
    types = {
        option.dest: option.type
        for group, options in configuration.known_options()
        if group == "oslo_messaging_rabbit"
        for option in options
    }
    for name, value in parsed.query.items():
        if name not in types:
            if parsed.transport in _AMQP:
                raise UsageError(
                    f"{option}: the driver has no option {_shown_name(name)!r} for the query of"
                    " the URL; correct the name, or leave it out"
                )
            continue
        try:
            types[name](value)
        except ValueError:
            raise UsageError(
                f"{option}: {name} in the query is no {_type_name(types[name])}; correct it"
            ) from None


def _shown_name(name: str) -> str:
    """Of a URL that was cut up, what stands for a name may be part of a password."""
    return name if name.replace("_", "").isalpha() and name.islower() else redaction.HIDDEN


def _type_name(kind: Any) -> str:
    """What an option takes, in words, as oslo.config's types know it."""
    names = {"Integer": "whole number", "Float": "number"}
    words = names.get(type(kind).__name__, "value that it may have")
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f"{words} from {least:g} to {most:g}"
    return f"{words} of {least:g} or more" if least is not None else words


def _settings(found: Configuration, parsed: Any) -> dict[str, Setting]:
    """All options of oslo.messaging that a run takes, but the secret ones, by ``[group] name``.

    They are read from a copy of the configuration: reading a deprecated option marks it, and the
    driver would find its own registration to differ.
    """
    from oslo_config import cfg

    from omrig.measured.load import identity

    copied = cfg.ConfigOpts()
    copied(
        args=[],
        project=found.conf.project,
        prog=found.conf.project,
        default_config_files=list(found.files),
        default_config_dirs=list(found.dirs),
        use_env=found.uses_environment,
    )
    settings = {}
    for group, options in configuration.known_options():
        copied.register_opts(options, group=group)
        for option in options:
            name = f"[{group}] {option.name}" if group else option.name
            if not option.secret and name not in identity.NOT_TAKEN:
                settings[name] = _setting(found, copied, option, group, parsed)
    return settings


def _setting(
    found: Configuration, copied: Any, option: Any, group: str | None, parsed: Any
) -> Setting:
    source = configuration.source_of(found, copied, option, group)
    value = copied[group][option.dest] if group else copied[option.dest]
    if group == "oslo_messaging_rabbit" and option.dest in parsed.query:
        value, source = option.type(parsed.query[option.dest]), _QUERY
    return Setting(value, source or "default", bool(value == option.default))
