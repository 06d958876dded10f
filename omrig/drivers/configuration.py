"""Which configuration a run goes by: which files are read, and which transport URL is used.

What is named on the command line is what is used. Only where no file and no folder is named are the
files of a service looked for, where oslo.config looks, and only then do the ``OS_...`` variables of
the environment count, which oslo.config would rank above any file.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omrig.drivers import assigned, known
from omrig.drivers import files as config_files
from omrig.drivers.assigned import Assigned
from omrig.model.errors import UsageError
from omrig.model.interpreter import option_variables
from omrig.model.patterns import NOTIFICATIONS
from omrig.model.plan import Plan

URL_OPTION = "--transport-url"
DEFAULT_SOURCE = "oslo.messaging's default"
EMBEDDED_SOURCE = "embedded broker"

_URL = "transport_url"

NOTIFICATIONS_GROUP = "oslo_messaging_notifications"
"""The group of a notifier's options in a configuration."""

_OLD_OPTIONS = frozenset(
    {"rpc_backend", "rabbit_host", "rabbit_hosts", "rabbit_port", "rabbit_userid"}
    | {"rabbit_password", "rabbit_virtual_host", "qpid_hostname", "kombu_ssl_ca_certs"}
)
"""What named the broker before transport_url did; oslo.messaging ignores it."""

_LINE = re.compile(r":(?P<number>\d+), (?P<problem>.*?): ['\"]")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """oslo.config's global ``CONF``, filled, and what it was filled from.

    ``files`` and ``dirs`` were read, ``unreadable`` could not be looked into. ``is_named`` says
    whether the command line named a file, a folder or a project. With ``uses_environment`` the
    options in the environment outrank the files; what is ``assigned`` outranks both.
    """

    conf: Any
    files: Sequence[str]
    dirs: Sequence[str]
    unreadable: Sequence[str]
    is_named: bool
    uses_environment: bool
    assigned: Sequence[Assigned] = ()

    def read_files(self) -> list[str]:
        """Every file that was read, in the order in which later ones override earlier ones."""
        in_dirs = (
            str(path) for folder in self.dirs for path in sorted(Path(folder).glob("*.conf"))
        )
        return [*self.files, *in_dirs]

    def described(self) -> str:
        """The files and folders in words."""
        return ", ".join([*self.files, *self.dirs])

    def said_by(self, group: str, names: set[str]) -> str:
        """The variable or the file that gives an option its value."""
        variables = {f"OS_{group.upper()}__{name.upper()}" for name in names} & set(os.environ)
        if self.uses_environment and variables:
            return f"environment variable {', '.join(sorted(variables))}"
        saying = [
            path
            for path in self.read_files()
            if names & config_files.sections(path).get(group, set())
        ]
        return saying[-1] if saying else self.described()


@dataclasses.dataclass(frozen=True)
class Found:
    """The transport URL of a run, and where it came from.

    ``source`` is ``--transport-url``, a file, a variable of the environment, or oslo.messaging's
    default. ``is_named`` says whether the command line named the URL, or the file or folder that
    holds it: only then did a person choose this broker for this run.
    """

    url: str = dataclasses.field(repr=False)
    source: str
    is_named: bool


def load(plan: Plan) -> Configuration:
    """Read the configuration that ``plan`` asks for into oslo.config's global ``CONF``.

    The global object is used because oslo.messaging registers some options only there.

    Raises ``UsageError`` for a file or folder that is missing, cannot be read
    or is no configuration, and for a named project without any.
    """
    from oslo_config import cfg

    config_files.check_named(plan)
    os.environ.update(plan.transport.environment)
    if plan.transport.config_files or plan.transport.config_dirs or plan.transport.is_resolved:
        files, dirs = plan.transport.config_files, plan.transport.config_dirs
        found = Configuration(cfg.CONF, files, dirs, (), True, bool(plan.transport.environment))
    else:
        found = _look_for(plan)
    found = dataclasses.replace(found, assigned=assigned.parse(plan.transport.assigned))
    with errors_of(found):
        read(found, cfg.CONF, plan.transport.project)
        _register_url(cfg.CONF)
    return found


def read(found: Configuration, conf: Any, project: str) -> None:
    """Fill ``conf``, oslo.config's, from what was found; raises what oslo.config does."""
    conf(
        args=[],
        project=project,
        prog=project,
        default_config_files=list(found.files),
        default_config_dirs=list(found.dirs),
        use_env=found.uses_environment,
    )
    assigned.put_in(conf, found.assigned, found.uses_environment)


def carried(found: Configuration) -> tuple[str, ...]:
    """What was given of oslo.messaging's options, wherever it is from, as ``--set`` takes it: for a
    process that has neither the files nor the environment."""
    from oslo_config import cfg

    # A copy: what is registered is the driver's matter.
    conf = cfg.ConfigOpts()
    read(found, conf, found.conf.project)
    given = []
    for group, listed in known.options():
        conf.register_opts(listed, group=group)
        for option in listed:
            location = conf.get_location(option.dest, group)
            if location and location.location.is_user_controlled:
                value = (conf[group] if group else conf)[option.dest]
                given += assigned.spelled(group, option, value)
    return tuple(given)


def find_url(found: Configuration, plan: Plan) -> Found | None:
    """The one decision which transport URL is used, and its source; None where nothing gives one.

    ``--transport-url`` comes first, then what is named or found, the environment above what is
    found; what a configuration gives for notifications counts for a load of nothing else. Where a
    file, a folder or a project was named, or a configuration of the service was
    found, it has to give one.

    Raises ``UsageError`` where that gives none, or an empty one, or could not be
    read.
    """
    if plan.transport.url is None and found.unreadable:
        raise UsageError(
            f"configuration of {plan.transport.project}: {', '.join(found.unreadable)} may not be"
            " looked into, and may say which broker to use; run as a user who may, or give"
            " --transport-url"
        )
    if plan.transport.url is not None:
        return _not_empty(Found(plan.transport.url, URL_OPTION, True))
    alone = plan.load.traffic == (NOTIFICATIONS,)
    for group in (NOTIFICATIONS_GROUP, None) if alone else (None,):
        if configured := _configured(found, plan, group):
            return _not_empty(configured)
    _refuse_without_url(found, plan)
    return None


def _configured(found: Configuration, plan: Plan, group: str | None) -> Found | None:
    """The URL that a group of the configuration gives, None for [DEFAULT], if it gives one."""
    from oslo_config import cfg

    source = found.said_by(group or "DEFAULT", {_URL})
    with errors_of(found, f"transport_url of {source}"):
        location = found.conf.get_location(_URL, group)
        url = str((found.conf[group] if group else found.conf)[_URL] or "")
    if location is None or not location.location.is_user_controlled:
        return None
    in_environment = location.location is cfg.Locations.environment
    source = f"environment variable {location.detail}" if in_environment else location.detail
    if group and not in_environment:
        source = f"[{group}] in {source}"
    by_name = bool(plan.transport.config_files or plan.transport.config_dirs)
    return Found(url, source, by_name and not in_environment)


def default_url(found: Configuration) -> Found:
    """The URL that oslo.messaging uses where nothing is configured: a broker on this host."""
    return Found(str(found.conf.transport_url), DEFAULT_SOURCE, False)


@contextlib.contextmanager
def errors_of(found: Configuration, source: str = "") -> Iterator[None]:
    """Tell what oslo.config finds wrong in one line, without the value that is wrong.

    A value, or a line of a file, may be a password that nobody knows yet: it is quoted nowhere, nor
    in a traceback. ``source`` names the file or variable, where that is known. Raises
    ``UsageError``.
    """
    from oslo_config import cfg

    where = source or found.described() or "configuration"
    try:
        yield
    except cfg.ConfigFileParseError as error:
        raise UsageError(f"{error.config_file}: {_parse_problem(str(error.msg))}") from None
    except cfg.ConfigFilesPermissionDeniedError as error:
        raise UsageError(
            f"{', '.join(error.config_files)}: may not be read; run as a user who may, or name"
            " another one with --config-file"
        ) from error
    except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError):
        raise UsageError(
            f"{where}: a '$' in a value begins a reference to another option, and there is none of"
            " that name; write '$$' for a '$'"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: not text in UTF-8; correct the file") from None
    except OSError as error:
        raise UsageError(
            f"{error.filename or where}: {error.strerror or error}; name another one"
        ) from error
    except (cfg.Error, ValueError) as error:
        raise UsageError(
            f"{where}: holds a value that its option cannot have ({type(error).__name__});"
            " correct it"
        ) from None


def _look_for(plan: Plan) -> Configuration:
    """The files of ``plan.transport.project``, where oslo.config looks for them."""
    from oslo_config import cfg

    files, dirs = config_files.find(plan.transport.project)
    unreadable = config_files.unreadable(plan.transport.project)
    variables = option_variables()
    found = Configuration(
        cfg.CONF, files, dirs, unreadable, plan.transport.project_named, bool(variables)
    )
    if plan.transport.project_named and not (files or dirs or unreadable):
        raise UsageError(
            f"--project: no configuration of {plan.transport.project!r} is on this host (looked for"
            f" {plan.transport.project}.conf and {plan.transport.project}.conf.d in"
            f" {', '.join(config_files.places(plan.transport.project))}); give --config-file or"
            " --transport-url"
        )
    return found


def _not_empty(found: Found) -> Found:
    if not found.url.strip():
        where = found.source if found.source == URL_OPTION else f"transport_url of {found.source}"
        raise UsageError(f"{where}: is empty; the form is rabbit://user:password@host:port/vhost")
    return found


def _refuse_without_url(found: Configuration, plan: Plan) -> None:
    """Raise where something was named or found, or might have been: it gives no URL."""
    files = found.read_files()
    if not (files or found.is_named):
        return
    option = "configuration of " + plan.transport.project
    if plan.transport.config_files or plan.transport.config_dirs:
        option = "--config-file" if plan.transport.config_files else "--config-dir"
    looked_at = ", ".join(files) or f"{found.described()}, which holds no *.conf file"
    raise UsageError(
        f"{option}: no transport_url in [DEFAULT] of {looked_at}{_hints(files)}; set it there, or"
        " give --transport-url"
    )


def _hints(files: Sequence[str]) -> str:
    """What stands in the files in place of a transport_url, in words."""
    elsewhere, old = set(), set()
    for path in files:
        for section, names in config_files.sections(path).items():
            if section != "DEFAULT" and _URL in names:
                elsewhere.add(f"[{section}]")
            old |= names & _OLD_OPTIONS
    hints = ""
    if elsewhere:
        hints += f" (there is one in {', '.join(sorted(elsewhere))}, which is not read)"
    if old:
        hints += f" ({', '.join(sorted(old))}: oslo.messaging no longer reads that)"
    return hints


def _register_url(conf: Any) -> None:
    """Have oslo.messaging register ``transport_url`` and the like, as it does for any transport."""
    import oslo_messaging
    from oslo_messaging.notify import notifier

    oslo_messaging.TransportURL(conf)
    conf.register_opts(notifier._notifier_opts, group=NOTIFICATIONS_GROUP)


def _parse_problem(text: str) -> str:
    """What oslo.config's parser says, without the line: it may hold a password."""
    if match := _LINE.search(text):
        return f"line {match['number']}: {match['problem']}; correct it"
    return "is no configuration file; correct it or name another one"
