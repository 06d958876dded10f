"""What an environment holds beside what was asked for: what omrig and the profilers need."""

import json
import re
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from omrig.model.errors import UsageError

_OWN = "omrig"
_MODES = "omrig.profilers"

# The parser of the library takes a second for a hundred packages.
_NAME = re.compile(r"^Name: (.+)$", re.MULTILINE)
_VERSION = re.compile(r"^Version: (.+)$", re.MULTILINE)

_ALSO = ("kafka",)
"""Extras of omrig that are taken along where they are installed here."""


def own_versions() -> dict[str, str]:
    """The version of each package that this process runs with; not omrig's own."""
    found: dict[str, str] = {}
    for each in metadata.distributions():
        text = each.read_text("METADATA") or each.read_text("PKG-INFO") or ""
        named, version = _NAME.search(text), _VERSION.search(text)
        if named and version:
            # What comes first on the path is what is imported.
            found.setdefault(canonicalize_name(named[1].strip()), version[1].strip())
    return {name: found[name] for name in sorted(found) if name != _OWN}


def of_omrig(modes: Collection[str], versions: Collection[str]) -> list[Requirement]:
    """What omrig needs to run, and to run the profiler ``modes`` of its own.

    ``versions`` are the packages that are installed here. Raises ``UsageError`` where omrig is not
    installed: nobody can tell then.
    """
    try:
        listed = metadata.requires(_OWN) or []
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            "--with: omrig itself is not installed, and what it needs is not known: pip install it"
        ) from error
    found = []
    for requirement in map(Requirement, listed):
        marker = requirement.marker
        is_always = marker is None or marker.evaluate({"extra": ""})
        is_asked = any(marker.evaluate({"extra": each}) for each in modes) if marker else False
        is_along = (
            any(marker.evaluate({"extra": each}) for each in _ALSO) if marker else False
        ) and canonicalize_name(requirement.name) in versions
        if is_always or is_asked or is_along:
            requirement.marker = None
            found.append(requirement)
    return found


def of_other_modes(modes: Collection[str]) -> list[str]:
    """The packages, other than omrig, that provide one of the ``modes``, as ``--with`` has them."""
    found: dict[str, str] = {}
    for entry_point in metadata.entry_points(group=_MODES):
        package = entry_point.dist
        if entry_point.name not in modes or package is None:
            continue
        if canonicalize_name(package.name) != _OWN:
            found[package.name] = _place(package) or f"{package.name}=={package.version}"
    return list(found.values())


def _place(package: metadata.Distribution) -> str | None:
    """The folder or file that a package was installed from; None for one of the index."""
    text = package.read_text("direct_url.json")
    url = str(json.loads(text)["url"]) if text else ""
    path = Path(unquote(urlsplit(url).path)) if url.startswith("file://") else None
    return str(path) if path and path.exists() else None
