"""Keeping passwords out of whatever is shown or written.

What omrig itself says of a transport URL is put together from parts that never held the password
(``transport_url.show``), so its own sentences, keys and protocol need no redaction and
get none. What *others* say (the driver, kombu, oslo.config, a traceback, a log) may quote a secret
whole or in part, in any spelling: that is text for :func:`redact`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

HIDDEN = "***"

_SHORTEST = 4
"""A shorter secret, or piece of one, is only taken out where text quotes a value: anywhere else it
would blot out ordinary words, and by that tell what it is."""

_CUTS = re.compile(r"[#/?,@:$%\[\]&;=\s'\"\\]+")
"""Where a parser that takes a URL, or a value in a file, for something else cuts a secret up."""

_CREDENTIALS = re.compile(r"(://[^\s:/@,'\"]*):[^\s'\"]*?@(?=[\w.\[-])")
"""A login in a URL that nobody told us of."""

_REPOSITORY = re.compile(
    r"(?:--[\w-]+=)?(?:[\w.\-]+(?:\[[\w,.\-]*\])?\s*@\s*)?"
    r"git\+(?:file|https?|ssh)://(?:git@)?[\w.\-]*(?::\d+)?/[^@]*(?:@[^@:]+)?"
)
"""A repository of git with a branch after an ``@``, and no login."""

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}

_secrets: set[str] = set()
_suspects: set[str] = set()
_pattern: "re.Pattern[str] | None" = None


def remember(secrets: Iterable[str | None]) -> None:
    """Add secrets, as the configuration gives them, for :func:`redact` to know."""
    _add(_secrets, secrets)


def remembered() -> frozenset[str]:
    """The secrets that :func:`redact` knows, for another process that is to know them."""
    return frozenset(_secrets | _suspects)


def suspect(url: str) -> None:
    """Add what may be a password in ``url``, for as long as nobody has taken it apart.

    That may be a user or a host as well: :func:`clear` it once the password is known.
    """
    from urllib.parse import unquote

    login, at, _ = url.partition(":")[2].lstrip("/").rpartition("@")
    if at:
        password = login.partition(":")[2]
        _add(_suspects, [login, unquote(login), password, unquote(password)])


def clear() -> None:
    """Forget what was only suspected."""
    global _pattern
    _suspects.clear()
    _pattern = None


def forget() -> None:
    """Forget every secret, as a new process would."""
    _secrets.clear()
    clear()


def redact(text: str) -> str:
    """``text`` of others without any remembered secret, in whatever spelling."""
    global _pattern
    if _secrets or _suspects:
        if _pattern is None:
            _pattern = _compile()
        text = _pattern.sub(HIDDEN, text)
    return _CREDENTIALS.sub(rf"\g<1>:{HIDDEN}@", text)


def shown_argument(argument: str) -> str:
    """An argument of the command line as an error may show it: of a URL its scheme alone.

    People give a URL to the wrong option, or without any.
    """
    if "@" not in argument or _REPOSITORY.fullmatch(argument):
        return argument
    scheme, colon, rest = argument.partition(":")
    if "@" not in rest or not colon:
        # What a shell makes of a password with a blank in it.
        return HIDDEN
    return f"{scheme}://{HIDDEN}" if re.fullmatch(r"[-\w+.=]{1,40}", scheme) else HIDDEN


def mask_arguments(text: str, arguments: Iterable[str]) -> str:
    """``text`` without what :func:`shown_argument` would not show of the arguments it quotes."""
    for argument in arguments:
        shown = shown_argument(argument)
        if shown != argument and not _is_in_a_folder(argument):
            text = text.replace(argument, shown).replace(repr(argument)[1:-1], shown)
    return text


def _is_in_a_folder(argument: str) -> bool:
    """Whether it is the path of something in a folder that is there, and so no URL."""
    parent = Path(argument.partition("=")[2] or argument).parent
    try:
        return parent != Path() and parent.is_dir()
    except (OSError, ValueError):
        return False


def _add(known: set[str], secrets: Iterable[str | None]) -> None:
    global _pattern
    known.update(secret for secret in secrets if secret)
    _pattern = None


def _compile() -> "re.Pattern[str]":
    whole = _secrets | _suspects
    pieces = {piece for secret in whole for piece in _CUTS.split(secret) if piece}
    anywhere = {each for each in whole | pieces if len(each) >= _SHORTEST}
    quoted = (whole | pieces) - anywhere
    patterns = [_spellings(each) for each in sorted(anywhere, key=len, reverse=True)]
    # As a value: after ':' or '=' or a quote, and up to '@', a quote, or the end.
    patterns += [
        rf"(?<=[:='\"]){_spellings(each)}(?=[@'\"]|$)"
        for each in sorted(quoted, key=len, reverse=True)
    ]
    return re.compile("|".join(patterns), re.IGNORECASE)


def _spellings(secret: str) -> str:
    """A pattern for ``secret`` with each character as it is or escaped in any usual way."""
    return "".join(_spellings_of(character) for character in secret)


def _spellings_of(character: str) -> str:
    encoded = character.encode("utf-8", "surrogateescape")
    units = character.encode("utf-16-be", "surrogatepass")
    ways = {
        re.escape(character),
        "".join(f"%{byte:02x}" for byte in encoded),
        # Of one that had been percent-encoded before.
        "".join(f"%25{byte:02x}" for byte in encoded),
        # JSON, repr of text, repr of bytes.
        "".join(rf"\\+u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)),
        "".join(rf"\\+x{byte:02x}" for byte in encoded),
        rf"\\+U{ord(character):08x}",
        rf"\\+x{ord(character):02x}",
        rf"&\#{ord(character)};",
        rf"&\#x{ord(character):x};",
    }
    if not character.isalnum():
        ways.add(r"\\+" + re.escape(character))
    if character == " ":
        ways.add(r"\+")
    if character in _HTML:
        ways.add(re.escape(_HTML[character]))
    if character in "\t\n\r":
        ways.add(r"\\+" + {"\t": "t", "\n": "n", "\r": "r"}[character])
    # The longest first: a backslash alone is the beginning of an escape.
    return f"(?:{'|'.join(sorted(ways, key=len, reverse=True))})"
