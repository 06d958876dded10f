"""Releases of a package on an index that the test serves."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version

from omrig.experiment import releases
from omrig.model.errors import UsageError

_FILES = {
    "A_b-1.0-py3-none-any.whl": False,
    "a_b-1.0.tar.gz": False,
    "a-b-2.0.tar.gz": False,
    "a_b-10.0-py3-none-any.whl": False,
    "a_b-3.0-py3-none-any.whl": True,
    "a_b-11.0rc1-py3-none-any.whl": False,
    "a_b-1.0.exe": False,
}
"""Whether it was withdrawn, by file."""


class _Index(http.server.BaseHTTPRequestHandler):
    kind = "text/html"

    def do_GET(self) -> None:
        if self.path != "/simple/a-b/":
            self.send_error(404)
            return
        mark = {True: ' data-yanked="broken"', False: ""}
        text = "".join(f'<a href="/{n}"{mark[gone]}>{n}</a>\n' for n, gone in _FILES.items())
        if self.kind != "text/html":
            files = [{"filename": name, "yanked": gone} for name, gone in _FILES.items()]
            text = json.dumps({"files": files})
        self.send_response(200)
        self.send_header("Content-Type", f"{self.kind}; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(params=["text/html", "application/vnd.pypi.simple.v1+json"])
def index(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (_Index,), {"kind": request.param})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


def test_an_index_tells_its_releases_in_order_without_those_withdrawn(index: str) -> None:
    found = releases.of_index("A.b", index)
    assert list(map(str, found)) == ["1.0", "2.0", "10.0", "11.0rc1"]


def test_a_package_that_is_not_there_is_refused(index: str) -> None:
    with pytest.raises(UsageError, match=r"^no release of 'nothing' .*404"):
        releases.of_index("nothing", index)


def test_a_folder_of_files_is_an_index(tmp_path: Path) -> None:
    (tmp_path / "a-b").mkdir()
    for name in ("a_b-1.5.tar.gz", "a_b-1.6-py3-none-any.whl", "notes.txt"):
        (tmp_path / "a-b" / name).touch()
    found = releases.of_index("a_b", tmp_path.as_uri())
    assert list(map(str, found)) == ["1.5", "1.6"]
    with pytest.raises(UsageError, match=r"^no release of 'c'"):
        releases.of_index("c", tmp_path.as_uri())


def test_an_index_that_is_no_url_of_one_is_refused() -> None:
    with pytest.raises(UsageError, match="neither http, https nor file"):
        releases.of_index("a", "ftp://example.org/simple")


def test_a_login_for_the_index_is_not_told() -> None:
    with pytest.raises(UsageError) as caught:
        releases.of_index("a", "http://me:geheim@127.0.0.1:1/simple")
    assert "geheim" not in str(caught.value)


def test_pip_is_asked_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.5", "1.10", "2.0b1"):
        (tmp_path / f"plainly_mine-{version}-py3-none-any.whl").touch()
    for name in ("PIP_NO_INDEX", "PIP_DISABLE_PIP_VERSION_CHECK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert list(map(str, releases.listed("plainly-mine"))) == ["1.5", "1.10"]
    assert list(map(str, releases.listed("plainly-mine", True))) == ["1.5", "1.10", "2.0b1"]
    with pytest.raises(UsageError, match=r"^no release of 'not-mine' was found .*; pip: No match"):
        releases.listed("not-mine")
    with pytest.raises(UsageError, match=r"^no release of '--help' was found"):
        releases.listed("--help")


@pytest.mark.parametrize(
    ("wanted", "upwards", "found"),
    [
        ("2", True, "2"),
        ("2", False, "2"),
        ("2.5", True, "3"),
        ("2.5", False, "2"),
        ("0.5", False, "1"),
        ("9", True, "3"),
    ],
)
def test_the_nearest_release_is_looked_for_on_one_side_first(
    wanted: str, upwards: bool, found: str
) -> None:
    there = [Version(text) for text in ("1", "2", "3")]
    assert releases.nearest(Version(wanted), there, upwards) == Version(found)
