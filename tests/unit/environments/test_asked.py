"""What a value of ``--with`` asks for, and what it holds now."""

from pathlib import Path

import pytest

from omrig.environments import asked
from omrig.environments.refusals import NotInstallable
from omrig.model.errors import UsageError
from tests.unit.environments import repositories
from tests.unit.environments.repositories import git


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("oslo.messaging==18.1.0", "release"),
        ("oslo.messaging == 18.1.0", "release"),
        ("kombu<5.5", "range"),
        ("kombu==5.*", "range"),
        ("oslo.messaging", "range"),
        ("https://example.org/a/omrig_sample-1.2-py3-none-any.whl", "url"),
    ],
)
def test_a_requirement_is_told_by_its_form(typed, kind):
    assert asked.read(typed).kind == kind


def test_a_checkout_is_named_by_its_description_and_dirty(tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    clean = asked.read(str(folder))
    assert (clean.kind, clean.source) == ("folder", "1.2")
    (folder / "omrig_sample" / "new.py").write_text("x = 1\n")
    changed = asked.read(str(folder))
    assert changed.source == "1.2 dirty"
    assert changed.content != clean.content


def test_what_git_ignores_does_not_count(tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    before = asked.read(str(folder))
    (folder / "build").mkdir()
    (folder / "build" / "x").write_text("")
    assert asked.read(str(folder)) == before


def test_a_commit_without_a_change_is_another_content(tmp_path):
    # The version of a project may come from its tags.
    folder = repositories.checkout(tmp_path / "sample")
    before = asked.read(str(folder))
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "two")
    after = asked.read(str(folder))
    assert after.content != before.content
    assert after.source.startswith("1.2-1-g")


def test_a_folder_without_git_is_known_by_its_files(tmp_path):
    folder = repositories.project(tmp_path / "sample")
    before = asked.read(str(folder))
    (folder / "omrig_sample" / "__init__.py").write_text("x = 1\n")
    assert asked.read(str(folder)).content != before.content
    assert before.source == str(folder)


def test_a_repository_is_known_by_the_commit_of_its_branch(tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    commit = git(folder, "rev-parse", "HEAD")
    url = folder.as_uri()
    for name in ("", "@main", "@fix/one", "@1.2", f"@{commit}", f"@{commit[:8]}"):
        found = asked.read(f"git+{url}{name}")
        assert (found.url, found.commit) == (url, commit)
        assert found.source == f"{url}@{commit[:12]}"
    named = asked.read(f"omrig-sample[x] @ git+{url}@main#subdirectory=a/b")
    assert (named.extras, named.subdirectory) == ("[x]", "a/b")


def test_a_wheel_is_known_by_what_it_holds(tmp_path):
    path = repositories.wheel(tmp_path)
    before = asked.read(str(path))
    assert (before.kind, before.source) == ("file", path.name)
    path.write_bytes(path.read_bytes() + b"\0")
    assert asked.read(str(path)).content != before.content


def test_a_path_may_be_relative_and_have_extras(tmp_path, monkeypatch):
    repositories.project(tmp_path / "sample")
    monkeypatch.chdir(tmp_path)
    found = asked.read("./sample[test]")
    assert (found.path, found.extras) == (tmp_path / "sample", "[test]")


def refused(typed: str) -> str:
    with pytest.raises(UsageError) as caught:
        asked.read(typed)
    text = str(caught.value)
    assert text.startswith("--with: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("oslo.messaging=18", "is no requirement"),
        ("a b c", "is no requirement"),
        ("", "is no requirement"),
        ("./nosuch", "there is no such path"),
        ("nosuch.whl", "there is no such path"),
        ("git+file:///nosuch/repository", "there is no /nosuch/repository"),
        ("rabbit://u:secret@h/", "--transport-url"),
        ("git+https://u:secret@h/x@main", "a login in a URL would be kept in files"),
        ("https://token@h/x.whl", "a login in a URL would be kept in files"),
        ("x @ https://u:secret@h/x.whl", "a login in a URL would be kept in files"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(typed, why):
    text = refused(typed)
    assert why in text
    assert "secret" not in text
    assert "token" not in text


def test_a_folder_without_a_project_is_refused(tmp_path):
    assert "there is no Python project in it" in refused(str(tmp_path))


def test_a_folder_that_is_no_repository_is_refused(tmp_path):
    assert "not a git repository" in refused(f"git+{tmp_path.as_uri()}")


def test_an_unknown_branch_is_refused(tmp_path):
    folder = repositories.checkout(tmp_path / "sample")
    assert "there is no branch, tag or commit nosuch in it" in refused(
        f"git+{folder.as_uri()}@nosuch"
    )


@pytest.mark.parametrize("name", ["x-1.0-py3-none-any.whl", "x.whl", "x.txt"])
def test_a_file_that_is_no_wheel_is_refused(tmp_path, name):
    path = Path(tmp_path, name)
    path.write_text("nothing")
    assert "is no wheel" in refused(str(path)) or "is neither a wheel" in refused(str(path))


def test_git_that_is_not_there_makes_a_checkout_a_folder(tmp_path, monkeypatch):
    folder = repositories.checkout(tmp_path / "sample")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked.read(str(folder)).source == str(folder)
    with pytest.raises(NotInstallable, match="git is not installed"):
        asked.read(f"git+{folder.as_uri()}")
