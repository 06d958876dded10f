"""Releases of a package, from the package index that pip is set up for on this machine."""

import html.parser
import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from omrig.model import redaction
from omrig.model.errors import UsageError

_PYPI = "https://pypi.org/simple"

_INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""Variables that name the index in place of PyPI: where there is no pip to read its own files."""

_ANSWERS_WITHIN_S = 180.0

_JSON = "application/vnd.pypi.simple.v1+json"


def listed(package: str, pre_releases: bool = False) -> list[Version]:
    """Every release of ``package`` on the index, ascending.

    Pre-releases only with ``pre_releases``; what was withdrawn is left out where the index says so.
    pip is asked, as its settings say which index it is and how to get in; where there is none, the
    index itself. Raises ``UsageError`` where there is no such package, or no answer.
    """
    asked = _from_pip if importlib.util.find_spec("pip") else _from_index
    found = {each for each in asked(package) if pre_releases or not each.is_prerelease}
    if not found:
        raise UsageError(
            f"no release of {package!r} on the package index; check the name (pip index versions"
            f" {package})"
        )
    return sorted(found)


def nearest(wanted: Version, releases: Sequence[Version], upwards: bool) -> Version:
    """``wanted`` where it is among the ascending ``releases``, else its neighbour there.

    ``upwards`` says on which side the neighbour is looked for first.
    """
    above = [each for each in releases if each >= wanted]
    below = [each for each in releases if each <= wanted]
    if above and (upwards or not below):
        return above[0]
    return below[-1]


def _from_pip(package: str) -> list[Version]:
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "index"]
    try:
        # pip takes what begins with a dash for an option.
        ended = subprocess.run(
            [*command, "versions", "--pre", "--", package],
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"the package index has not answered pip for {_ANSWERS_WITHIN_S:.0f} s; list the"
            " candidates with --versions"
        ) from error
    told = re.search(r"^Available versions: (.+)$", ended.stdout, flags=re.MULTILINE)
    if told:
        return _versions(told[1].split(","))
    errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR:")]
    why = redaction.redact(errors[-1].removeprefix("ERROR:").strip()) if errors else "no answer"
    raise UsageError(
        f"no release of {package!r} was found on the package index; pip: {why.rstrip('.')}; check"
        " the name and that the index can be reached, or list the candidates with --versions"
    )


def _versions(texts: Sequence[str]) -> list[Version]:
    found = []
    for text in texts:
        try:
            found.append(Version(text.strip()))
        except InvalidVersion:
            # Older than the rules for versions: no resolver can be asked for it either.
            continue
    return found


def _from_index(package: str) -> list[Version]:
    index = next((os.environ[name] for name in _INDEXES if os.environ.get(name)), _PYPI)
    return of_index(package, index)


def of_index(package: str, index: str) -> list[Version]:
    """The releases that a simple index (JSON or HTML) has of ``package``, without withdrawn ones.

    Raises ``UsageError`` where it has none, or does not answer.
    """
    url = f"{index.rstrip('/')}/{urllib.parse.quote(canonicalize_name(package))}/"
    try:
        kind, text = _read(url)
    except (OSError, ValueError) as error:
        shown = redaction.redact(f"{url}: {error}")
        raise UsageError(
            f"no release of {package!r} was found on the package index: {shown}; check the name and"
            " that the index can be reached, or list the candidates with --versions"
        ) from error
    files = _files_of_json(json.loads(text)) if kind == _JSON else _files_of_page(text)
    found = {_version_of(name) for name, withdrawn in files.items() if not withdrawn}
    return sorted(each for each in found if each is not None)


def _read(url: str) -> tuple[str, str]:
    """The type and the text of an index' page."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        folder = Path(urllib.request.url2pathname(parts.path))
        page = folder / "index.html"
        if page.exists():
            return "text/html", page.read_text()
        # A tree of files without pages, as pip takes it.
        return "text/html", "".join(f"<a>{each.name}</a>" for each in sorted(folder.iterdir()))
    if parts.scheme not in ("http", "https"):
        raise ValueError("neither http, https nor file")
    host = parts.netloc.rpartition("@")[2]
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host))
    accept = {"Accept": f"{_JSON}, text/html;q=0.5"}
    request = urllib.request.Request(plain, headers=accept)  # noqa: S310 - checked above
    if parts.username:
        import base64

        login = f"{parts.username}:{parts.password or ''}".encode()
        request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    with urllib.request.urlopen(request, timeout=_ANSWERS_WITHIN_S) as answer:  # noqa: S310
        return answer.headers.get_content_type(), answer.read().decode()


def _files_of_json(page: Mapping[str, Any]) -> dict[str, bool]:
    return {each["filename"]: bool(each.get("yanked")) for each in page.get("files", ())}


def _files_of_page(text: str) -> dict[str, bool]:
    links = _Links()
    links.feed(text)
    return links.files


class _Links(html.parser.HTMLParser):
    """The files that a page links to: whether they were withdrawn, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bool] = {}
        self._withdrawn: bool | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._withdrawn = "data-yanked" in dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._withdrawn is not None and data.strip():
            self.files[data.strip()] = self._withdrawn

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._withdrawn = None


def _version_of(name: str) -> Version | None:
    """The version that a file is of; None where it is no package."""
    try:
        return parse_wheel_filename(name)[1]
    except InvalidWheelFilename:
        pass
    try:
        return parse_sdist_filename(name)[1]
    except InvalidSdistFilename:
        return None
