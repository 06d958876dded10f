"""The transport URL: taken apart once, strictly, and shown without what must not be seen.

oslo.messaging takes much for a URL that its writer did not mean: a ``#`` in a password ends the
address, and the rest of it counts for nothing. What could be read in two ways is refused here, in
words that hold nothing of the URL but its scheme: where a password is cut up, any part may be it.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from omrig.model import redaction
from omrig.model.errors import UsageError

FORM = "rabbit://user:password@host:port/vhost"

_RESERVED = "# %23, / %2F, ? %3F, @ %40, : %3A, ',' %2C, % %25, [ %5B, ] %5D, blank %20"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")


def parse(conf: Any, url: str, option: str) -> Any:
    """The ``oslo_messaging.TransportURL`` of ``url``; its passwords are remembered for redaction.

    ``option`` says whose URL it is, for errors. Raises ``UsageError`` for one
    that is malformed, ambiguous, or of a driver that oslo.messaging does not have.
    """
    import oslo_messaging

    redaction.suspect(url)
    scheme = _SCHEME.match(url)
    if not scheme:
        raise _malformed(option, "it does not begin with a driver and '://'")
    _check_driver(option, scheme[0])
    try:
        _check_cuts(option, url)
        # Only of what is in one piece may oslo.messaging log a part.
        parsed = oslo_messaging.TransportURL.parse(conf, url)
        ports = [host.port and int(host.port) for host in parsed.hosts]
    except (oslo_messaging.InvalidTransportURL, ValueError, TypeError):
        # Not from the error, which quotes the URL.
        raise _malformed(option, "an address in it is none, or a port is no number") from None
    if any(port is not None and not 0 < port < 65536 for port in ports):
        raise _malformed(option, "a port in it is not between 1 and 65535")
    redaction.remember(host.password for host in parsed.hosts)
    redaction.clear()
    return parsed


def passwords(url: str) -> list[str]:
    """The passwords in a URL of whatever kind (a database's, too), for redaction."""
    address = re.split("[/?#]", url.partition("://")[2])[0]
    logins = [host.rpartition("@")[0] for host in address.split(",")]
    return [unquote(password) for login in logins if (password := login.partition(":")[2])]


def show(parsed: Any, shown_options: Sequence[str]) -> str:
    """A parsed URL for people and files, put together without its passwords.

    Of the query the values of ``shown_options`` are shown: what the driver knows, and no secret.
    """
    hosts = ",".join(_show_host(host) for host in parsed.hosts)
    query = "&".join(
        f"{quote(name)}={quote(value, safe=',') if name in shown_options else redaction.HIDDEN}"
        for name, value in sorted(parsed.query.items())
    )
    vhost = quote(parsed.virtual_host or "", safe="/")
    return f"{parsed.transport}://{hosts}/{vhost}{'?' if query else ''}{query}"


def _show_host(host: Any) -> str:
    login = ""
    if host.username or host.password:
        login = quote(host.username or "", safe="")
        login += f":{redaction.HIDDEN}@" if host.password else "@"
    name = host.hostname or ""
    address = f"[{name}]" if ":" in name else quote(name, safe="")
    return f"{login}{address}{f':{host.port}' if host.port else ''}"


def _check_driver(option: str, scheme: str) -> None:
    from importlib.metadata import entry_points

    known = sorted(entry_points(group="oslo.messaging.drivers").names)
    if scheme.split("+")[0] not in known:
        raise UsageError(
            f"{option}: unknown driver {redaction.shown_argument(scheme)!r}; oslo.messaging here"
            f" has {', '.join(known)}"
        )


def _check_cuts(option: str, url: str) -> None:
    """Refuse what a reserved character in a password makes of a URL."""
    parts = urlsplit(url)
    if re.search(r"[\x00-\x1f\x7f]", url):
        raise _malformed(option, "it holds a control character")
    if "#" in url:
        raise _malformed(option, "a '#' in it ends the address")
    if "@" in parts.path + parts.query:
        raise _malformed(option, "an '@' comes after the address has ended at a '/' or '?'")
    with_login = ["@" in host for host in parts.netloc.split(",") if host]
    if with_login != sorted(with_login, reverse=True):
        raise _malformed(option, "a ',' in it begins another address")


def _malformed(option: str, reason: str) -> UsageError:
    return UsageError(
        f"{option}: not a transport URL ({reason}); the form is {FORM}, in which a reserved"
        f" character of user, password or vhost must be percent-encoded: {_RESERVED}"
    )
