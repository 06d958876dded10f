"""Why an environment cannot be made, in one sentence of what an installer says in many lines."""

import re

from omrig.model.errors import UsageError
from omrig.model.redaction import HIDDEN

_NOT_FOUND = re.compile(
    r"Because (\S+) was not found in the package registry"
    r"|No matching distribution found for ([\w.\-]+)"
)
_NO_RELEASE = re.compile(
    r"Because (?:only )?there (?:is|are) no versions? of (\S+?)(?:,| and)"
    r"|Because only (\S+) (?:is|are) available and you require"
    r"|Could not find a version that satisfies the requirement (\S+) .*\(from versions: \d"
)
_UNREACHABLE = re.compile(
    r"Failed to fetch:? `?(\S+?)`?$"
    r"|Could not fetch URL (\S+):"
    r"|Retrying .* after connection broken by .*: (\S+)$",
    re.MULTILINE,
)
_EXCEPTION = re.compile(r"^\s*((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit|Warning): .+)$")
_LOGIN = re.compile(r"://[^/\s@'\"]+@")
_CONCLUDED = re.compile(
    r",? ?(?:and )?we can conclude that (?:your requirements|the requirements) are unsatisfiable\."
)
_CAUSE = re.compile(r"^\s*(?:cause|Caused by): |^\s*╰─▶ |^\s*├─▶ ")
_LONGEST = 300
NO_ROOM = "No space left on device"


class NotInstallable(UsageError):
    """What was asked for with ``--with`` or ``--python`` cannot be had."""


def is_no_package(said: str) -> bool:
    """Whether the installer knows no package of that name."""
    if "from versions: none" in said:
        return True
    found = _NOT_FOUND.search(said)
    return bool(found) and not _NO_RELEASE.search(said)


def is_no_release(said: str) -> bool:
    """Whether the installer knows the package, and no release of it that was asked for."""
    return bool(_NO_RELEASE.search(said))


def sentence(said: str) -> str:
    """The sentence that counts of what an installer, or git, said on standard error."""
    said = without_logins(said)
    if NO_ROOM in said:
        return f"{NO_ROOM}; free some, or name another place with XDG_CACHE_HOME"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if found := _UNREACHABLE.search(said):
        url = next(filter(None, found.groups()))
        why = lines[-1] if _CAUSE.match(lines[-1]) else "no connection"
        return f"the package index cannot be reached: {url}: {_without_cause(why)}"
    if "Packages were unavailable because the network was disabled" in said:
        return "it is not in the cache of uv, and the network is switched off (UV_OFFLINE)"
    if exceptions := [found[1] for line in lines if (found := _EXCEPTION.match(line))]:
        return _short(f"it does not build: {exceptions[-1]}")
    causes = _causes(said)
    if causes:
        return _short(_solved(causes[-1]))
    errors = [line for line in lines if re.match(r"(ERROR|error|fatal): ", line)]
    last = (errors or lines or ["the installer said nothing"])[-1]
    return _short(re.sub(r"^(ERROR|error|fatal): ", "", last))


def without_logins(text: str) -> str:
    """``text`` with the logins in its URLs hidden."""
    return _LOGIN.sub(f"://{HIDDEN}@", text)


def _causes(said: str) -> list[str]:
    """What uv gives as causes, each in one line; the last one is the first of them in time."""
    found: list[str] = []
    for line in said.splitlines():
        if _CAUSE.match(line):
            found.append(_without_cause(line))
        elif found and line.startswith("    "):
            found[-1] += f" {line.strip()}"
        elif found:
            break
    return found


def _without_cause(line: str) -> str:
    return _CAUSE.sub("", line).strip()


def _solved(cause: str) -> str:
    """What contradicts what, without the words of a proof."""
    text = _CONCLUDED.sub("", cause)
    text = re.sub(r"^Because ", "", text)
    text = re.sub(r", we can conclude that .*?\.(?= And because|$)", ";", text)
    text = text.replace("; And because ", "; ").replace(". And because ", "; ")
    return text.strip(" ;.")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
