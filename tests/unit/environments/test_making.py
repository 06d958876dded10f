"""An environment is found by what it holds, or made whole; by an installer without a network."""

import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from omrig.environments import cache, installers, making, own_code, sources
from omrig.environments.refusals import NotInstallable
from omrig.model.errors import UsageError
from omrig.model.software import NOTE
from tests.unit.environments import repositories


class Fake:
    """An installer that writes down what it is asked, and installs nothing but names."""

    name = "fake"

    def __init__(self):
        self.requirements = []
        self.wanted = {}
        self.sources = []
        self.resolved = {"kombu": "5.4.2"}
        self.extra = {}
        self.refuses = ""

    def create(self, folder, _python):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / "lib" / "python3.99" / "site-packages").mkdir(parents=True)

    def build(self, source, out, _folder):
        self.sources.append((source, sorted(each.name for each in source.iterdir())))
        (source / "omrig_sample.egg-info").mkdir()
        out.mkdir()
        return repositories.wheel(out)

    def install(self, requirements, wanted, folder):
        if self.refuses:
            raise installers.Refused(self.refuses)
        self.requirements, self.wanted = list(requirements), dict(wanted)
        site = folder / "lib" / "python3.99" / "site-packages"
        for line in [*requirements, *(f"{n}=={v}" for n, v in self.extra.items())]:
            name, at, url = line.partition(" @ ")
            pin, _, version = name.partition("==")
            about = site / f"{pin}-1.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(f"Name: {pin}\nVersion: {version or '1.2'}\n")
            if at:
                (about / "direct_url.json").write_text(json.dumps({"url": url}))

    def newest(self, _requirements, _python):
        return self.resolved


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_held", {})
    made = Fake()
    monkeypatch.setattr(installers, "choose", lambda _uv: made)
    return made


def make(*requirements, modes=()):
    said = []
    return making.make(requirements, "", modes, said.append), said


def test_an_environment_is_made_once(fake):
    first, said = make("oslo.messaging==14.7.0")
    assert first.made
    assert said[0].startswith("making an environment with oslo.messaging==14.7.0, Python")
    assert first.described == {"oslo.messaging": "14.7.0"}
    assert first.python.exists()
    again, said = make("oslo.messaging==14.7.0")
    assert (again.made, said) == (False, [])
    assert again.folder == first.folder
    assert make("oslo.messaging==14.8.0")[0].folder != first.folder


def test_all_else_is_as_the_command_has_it(fake):
    make("oslo.messaging==14.7.0")
    assert "oslo-messaging" not in fake.wanted
    assert "kombu" in fake.wanted
    assert "omrig" not in fake.wanted
    assert any(line.startswith("eventlet>=") for line in fake.requirements)


def test_what_could_not_be_kept_is_said_each_time(fake):
    fake.extra = {"kombu": "4.0"}
    for _ in range(2):
        _, said = make("oslo.messaging==14.7.0")
        assert said[-1].startswith("not the command's own versions, with oslo.messaging==14.7.0 on")
        assert "kombu 4.0 (the command has " in said[-1]


def test_a_mode_brings_what_it_needs(fake):
    plain = make("oslo.messaging==14.7.0")[0]
    assert not any(line.startswith("memray") for line in fake.requirements)
    profiled = make("oslo.messaging==14.7.0", modes=["stages", "memray"])[0]
    assert any(line.startswith("memray") for line in fake.requirements)
    assert profiled.folder != plain.folder


def test_a_range_is_known_by_what_it_comes_to_now(fake):
    first = make("kombu<5.5")[0]
    assert make("kombu<5.5")[0].folder == first.folder
    fake.resolved = {"kombu": "5.4.3"}
    assert make("kombu<5.5")[0].folder != first.folder


def test_a_checkout_is_built_from_a_copy(fake, tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    (folder / "new.py").write_text("")
    (folder / "omrig_sample" / "__init__.py").unlink()
    before = repositories.git(folder, "status", "--porcelain", "--ignored")
    index = (folder / ".git" / "index").read_bytes()
    made = make(str(folder))[0]
    assert made.described == {"omrig-sample": "1.2 dirty"}
    ((source, listed),) = fake.sources
    assert source != folder
    assert {".git", "new.py", "pyproject.toml"} <= set(listed)
    assert repositories.git(folder, "status", "--porcelain", "--ignored") == before
    assert (folder / ".git" / "index").read_bytes() == index
    assert json.loads((made.folder / NOTE).read_text())["sources"] == {"omrig-sample": "1.2 dirty"}


def test_a_part_of_a_checkout_is_built_where_it_lies(tmp_path):
    top = repositories.checkout(tmp_path / "sample")
    repositories.project(top / "part")
    wanted = making.asked.read(str(top / "part"))
    assert sources.copied(wanted, tmp_path / "copy") == tmp_path / "copy" / "part"
    assert (tmp_path / "copy" / "part" / "pyproject.toml").exists()


def test_the_commit_of_a_repository_is_what_is_built(fake, tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    (folder / "later.py").write_text("")
    repositories.git(folder, "add", "--all")
    repositories.git(folder, "commit", "--quiet", "-m", "two")
    made = make(f"git+{folder.as_uri()}@1.2")[0]
    ((_, listed),) = fake.sources
    assert "later.py" not in listed
    commit = repositories.git(folder, "rev-parse", "1.2^{commit}")
    assert made.described == {"omrig-sample": f"{folder.as_uri()}@{commit[:12]}"}


def test_what_is_refused_leaves_nothing(fake):
    fake.refuses = "ERROR: no luck today"
    with pytest.raises(NotInstallable, match=r"^--with: oslo\.messaging==14\.7\.0: no luck today$"):
        make("oslo.messaging==14.7.0")
    assert [each for each in cache.stored() if not each.key.startswith(cache.CODE)] == []
    fake.refuses = ""
    assert make("oslo.messaging==14.7.0")[0].made


def test_one_without_its_note_is_not_used(fake):
    folder = make("oslo.messaging==14.7.0")[0].folder
    (folder / NOTE).unlink()
    assert make("oslo.messaging==14.7.0")[0].made


def test_an_environment_notes_when_it_was_used(fake):
    folder = make("oslo.messaging==14.7.0")[0].folder
    os.utime(folder / NOTE, (1, 1))
    make("oslo.messaging==14.7.0")
    assert time.time() - (folder / NOTE).stat().st_mtime < 60


def test_a_cache_that_cannot_be_written_is_said(fake, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"^--with: .*file.*: Not a directory; .*XDG_CACHE_HOME"):
        make("oslo.messaging==14.7.0")


def test_pruning_spares_what_is_used_and_what_is_not_ours(fake, tmp_path):
    made = make("oslo.messaging==14.7.0")[0]
    other = tmp_path / "cache" / "omrig" / "service-nova"
    other.mkdir()
    removed, used = cache.prune(print)
    assert removed == []
    assert {each.path for each in used} == {made.folder, made.code}
    for descriptor in cache._held.values():
        os.close(descriptor)
    cache._held.clear()
    (cache.folder() / f"{cache.MAKING}half").mkdir()
    removed, used = cache.prune(print)
    assert used == []
    assert {each.key for each in removed} == {made.folder.name, made.code.name, "making-half"}
    assert other.exists()


def test_the_code_is_the_commands_own_and_nothing_else(fake):
    code = own_code.kept(making.interpreters.own(), print).folder
    package = Path(making.__file__).parents[1]
    assert (code / "omrig/cli/run.py").read_bytes() == (package / "cli/run.py").read_bytes()
    assert (code / "omrig/profiles/impl_rabbit.toml").exists()
    assert (code / "omrig/scenarios/nova-boot.toml").exists()
    assert {path.name.partition("-")[0] for path in code.iterdir()} == {"omrig"}
    built = list((package / "measured/probes").glob("_stamp.*.so"))
    assert len(list((code / "omrig/measured/probes").glob("_stamp.*.so"))) == min(len(built), 1)


def test_another_python_without_a_compiler_has_its_stamps_in_python(fake, tmp_path, monkeypatch):
    other = dataclasses.replace(making.interpreters.own(), suffix=".other.so", include=tmp_path)
    spec = own_code.util.find_spec("omrig.measured.probes._stamp")
    if spec is None:
        pytest.fail("the tests are made with the C module: tools/setup")
    assert "has no headers" in own_code.kept(other, print).note
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert "there is no compiler" in own_code.kept(other, print).note
