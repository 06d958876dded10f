"""The settings of a run: where its messages go, and every option that the driver will use.

Each is read where the driver reads it, the URL's query included, and comes with its source: what
the report shows, the verdict judges by and ``omrig compare`` compares is what was in force.
"""

from collections.abc import Mapping
from typing import Any

from omrig.drivers import configuration, kafka, known, login, options, rabbit
from omrig.drivers.configuration import Configuration, Found
from omrig.drivers.driver import Driver, by_scheme
from omrig.model import interpreter, redaction, transport_url
from omrig.model.errors import UsageError
from omrig.model.plan import Plan
from omrig.model.run import RecordedSetting
from omrig.model.transport import AMQP, KAFKA, MEMORY, Login, Setting, Transport
from omrig.model.values import Json

_QUERY = "the query of the transport URL"

_RESPONSE_TIMEOUT = "rpc_response_timeout"
_EXECUTOR_POOL_SIZE = "executor_thread_pool_size"
_POOL_SIZE = "rpc_conn_pool_size"

_ALWAYS = (_RESPONSE_TIMEOUT, _EXECUTOR_POOL_SIZE, _POOL_SIZE)
"""Options whose value and source are told even where they are the defaults: they decide how long
is waited, and for what."""

_NOT_TAKEN = (*rabbit.NOT_TAKEN, f"[{kafka.GROUP}] {kafka.CONSUMER_GROUP}")
"""Who a run is."""

_NO_SECRETS = frozenset({"true", "false", "yes", "no", "on", "off", "none"})


def resolve(found: Configuration, url: Found) -> Transport:
    """What ``url`` means under a configuration, to the driver of the installed oslo.messaging.

    Raises ``UsageError`` for a malformed URL, a driver that is not installed or
    carries no RPC, and for options that are invalid or contradict each other.
    """
    remember_secrets(found)
    option = url.source if url.source.startswith("--") else f"transport_url of {url.source}"
    parsed = transport_url.parse(found.conf, url.url, option)
    driver = by_scheme(parsed.transport, option)
    group = kafka.GROUPS[driver.broker]
    if driver.broker == MEMORY:
        _refuse_hosts(option, parsed)
    _check_query(option, parsed, driver, group)
    with configuration.errors_of(found):
        # A value that does not parse is found when it is read: here, not in the middle of a run.
        settings = _settings(found, parsed, group)
    transport = login.make_transport(found.conf, parsed, option)
    shown = [name.rpartition(" ")[2] for name in settings]
    return Transport(
        scheme=parsed.transport,
        broker=driver.broker,
        patterns=driver.patterns,
        login=_LOGINS[driver.broker](transport, parsed, option),
        options={} if driver.broker == MEMORY else login.options(transport, group),
        settings=settings,
        redacted=transport_url.show(parsed, shown),
        source=url.source,
        is_named=url.is_named,
        url=url.url,
    )


def differing_options(transport: Transport) -> dict[str, Json]:
    """The messaging options that differ from oslo.messaging's defaults, secrets left out."""
    return {
        name: setting.value
        for name, setting in transport.settings.items()
        if not setting.is_default
    }


def with_sources(transport: Transport, plan: Plan) -> dict[str, RecordedSetting]:
    """Each setting that matters, with its source: what differs, and what decides of waiting."""
    chosen = {
        name: RecordedSetting(value=setting.value, source=setting.source)
        for name, setting in transport.settings.items()
        if not setting.is_default
        or (name.rpartition(" ")[2] in _ALWAYS and _matters(name, transport.broker))
    }
    overridden = {
        _RESPONSE_TIMEOUT: (plan.load.timeout_s, "--timeout"),
        _EXECUTOR_POOL_SIZE: (plan.load.executor_pool_size, "--executor-pool-size"),
    }
    for name, (value, option) in overridden.items():
        if value is not None and name in chosen:
            chosen[name] = RecordedSetting(value=value, source=option)
    return chosen


def _matters(name: str, broker: str) -> bool:
    """Whether the driver of a broker has an option: others have groups of their own."""
    return not name.startswith("[") or name.startswith(f"[{kafka.GROUPS[broker]}]")


def timeout_s(transport: Transport, plan: Plan) -> float:
    """How long a caller waits for its reply."""
    return plan.load.timeout_s or float(transport.settings[_RESPONSE_TIMEOUT].value)


def pool_sizes(transport: Transport, plan: Plan) -> dict[str, int]:
    """How many connections and executor threads messages have to share."""
    return {
        _POOL_SIZE: transport.settings[rabbit.full(_POOL_SIZE)].value,
        _EXECUTOR_POOL_SIZE: plan.load.executor_pool_size
        or transport.settings[_EXECUTOR_POOL_SIZE].value,
    }


def check_pattern(transport: Transport, plan: Plan) -> None:
    """Raise ``UsageError`` where the driver does not carry a pattern of ``plan``."""
    option = "--mix" if plan.load.mix else "--pattern"
    for pattern in plan.load.patterns:
        if pattern.name not in transport.patterns:
            raise UsageError(
                f"{option}: {transport.scheme}:// does not carry {pattern.name!r}; choose from"
                f" {', '.join(transport.patterns)}"
            )


def remember_secrets(found: Configuration) -> None:
    """Have every secret that the configuration holds redacted in what others say.

    Values of options that are secret by name, in whatever section: a driver quotes what it likes.
    """
    from oslo_config import cfg

    values = [each.value for each in found.assigned if each.is_secret]
    values += [
        value
        for name, value in interpreter.option_variables().items()
        if name.lower().endswith(known.SECRET_NAMES)
    ]
    for path in found.read_files():
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for section in sections.values():
            for name, given in section.items():
                if name.lower().endswith(known.SECRET_NAMES):
                    values += given
    for value in values:
        if "://" in value:
            redaction.remember(transport_url.passwords(value))
        elif value.lower() not in _NO_SECRETS:
            redaction.remember([value])


def _nowhere(_transport: Any, parsed: Any, _option: str) -> Login:
    return Login((), parsed.virtual_host or "/")


_LOGINS = {AMQP: login.login, KAFKA: kafka.login, MEMORY: _nowhere}


def _refuse_hosts(option: str, parsed: Any) -> None:
    if any(host.hostname for host in parsed.hosts):
        raise UsageError(f"{option}: {parsed.transport} takes no host; write {parsed.transport}://")


def _check_query(option: str, parsed: Any, driver: Driver, own: str) -> None:
    """Refuse what the driver would refuse of a query, without showing the value."""
    types = {
        each.dest: each.type for group, listed in known.options() if group == own for each in listed
    }
    for name, value in parsed.query.items():
        if name not in types:
            if driver.broker != MEMORY:
                raise UsageError(
                    f"{option}: the driver has no option {_shown_name(name)!r} for the query of"
                    " the URL; correct the name, or leave it out"
                )
            continue
        try:
            types[name](value)
        except ValueError:
            raise UsageError(
                f"{option}: {name} in the query is no {known.type_name(types[name])}; correct it"
            ) from None


def _shown_name(name: str) -> str:
    """Of a URL that was cut up, what stands for a name may be part of a password."""
    return name if name.replace("_", "").isalpha() and name.islower() else redaction.HIDDEN


def _settings(found: Configuration, parsed: Any, own: str) -> dict[str, Setting]:
    """All options of oslo.messaging that a run takes, but the secret ones, by ``[group] name``.

    They are read from a copy of the configuration: reading a deprecated option marks it, and the
    driver would find its own registration to differ.
    """
    from oslo_config import cfg

    copied = cfg.ConfigOpts()
    configuration.read(found, copied, found.conf.project)
    settings = {}
    for group, listed in known.options():
        copied.register_opts(listed, group=group)
        for option in listed:
            name = f"[{group}] {option.name}" if group else option.name
            if not known.is_secret(option) and name not in _NOT_TAKEN:
                query = parsed.query if group == own else {}
                settings[name] = _setting(found, copied, option, group, query)
    return settings


def _setting(
    found: Configuration, copied: Any, option: Any, group: str | None, query: Mapping[str, str]
) -> Setting:
    source = options.source_of(found, copied, option, group)
    value = copied[group][option.dest] if group else copied[option.dest]
    if option.dest in query:
        value, source = option.type(query[option.dest]), _QUERY
    return Setting(value, source or "default", bool(value == option.default))
