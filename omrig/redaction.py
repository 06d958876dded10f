"""Keeping passwords out of whatever is shown or written."""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "***"

_SHORTEST_SECRET = 4
"""Shorter passwords are only removed from URLs: as plain text they would match anywhere."""

_CREDENTIALS = re.compile(
    r"(?P<user>(?:://|,)[^\s:/@,'\"]*):(?P<password>[^\s@'\"]*?)@(?=[\w.\[-])"
)
_SECRET_QUERY = re.compile(r"(?i)(\b\w*password\w*\s*[=:]\s*)[^&\s'\",]+")

_secrets: set[str] = set()


def remember(passwords: Iterable[str | None]) -> None:
    """Add passwords that :func:`redact` has to remove wherever they stand."""
    for password in passwords:
        if password and len(password) >= _SHORTEST_SECRET:
            _secrets.update({password, quote(password, safe=""), quote(password)})


def redact(text: str) -> str:
    """``text`` without the passwords of its URLs and without any remembered password."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _CREDENTIALS.sub(rf"\g<user>:{HIDDEN}@", text)
    return _SECRET_QUERY.sub(rf"\g<1>{HIDDEN}", text)
