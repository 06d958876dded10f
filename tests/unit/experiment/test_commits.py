"""Commits of a repository that the test makes."""

import os
import subprocess
from pathlib import Path

import pytest

from omrig.experiment import commits
from omrig.model.errors import UsageError


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{name}_{what}": "x" for name in ("AUTHOR", "COMMITTER") for what in ("NAME",)}
    who |= {"GIT_AUTHOR_EMAIL": "x@x", "GIT_COMMITTER_EMAIL": "x@x", "HOME": str(folder)}
    who |= {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05+00:00"}
    ended = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=os.environ | who,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commits 0 to 4 on master, a side branch merged between 2 and 3, a tag on 1."""
    folder = tmp_path_factory.mktemp("a checkout")
    git(folder, "init", "--quiet", "--initial-branch", "master")
    for number in range(3):
        git(folder, "commit", "--quiet", "--allow-empty", "-m", f"number {number}\n\nbody")
        if number == 1:
            git(folder, "tag", "v1")
    git(folder, "checkout", "--quiet", "-b", "side", "v1")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "on the side")
    git(folder, "checkout", "--quiet", "master")
    git(folder, "merge", "--quiet", "--no-ff", "-m", "merged", "side")
    for number in (3, 4):
        git(folder, "commit", "--quiet", "--allow-empty", "-m", f"number {number}")
    git(folder, "checkout", "--quiet", "-b", "apart", "v1")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "apart")
    git(folder, "checkout", "--quiet", "master")
    (folder / "not committed").write_text("mine")
    return folder


def test_commits_between_two_are_those_by_first_parents(checkout: Path) -> None:
    good = commits.commit(checkout, "v1", "--good")
    bad = commits.commit(checkout, "master", "--bad")
    found = commits.between(checkout, good, bad)
    subjects = [each.subject for each in found]
    assert subjects == ["number 1", "number 2", "merged", "number 3", "number 4"]
    assert found[0].authored_at == "2026-01-02T03:04:05+00:00"
    assert found[-1].sha == git(checkout, "rev-parse", "HEAD")
    assert found[-1].sha.startswith(found[-1].short)


def test_the_newer_one_may_be_the_good_one(checkout: Path) -> None:
    good = commits.commit(checkout, "HEAD", "--good")
    bad = commits.commit(checkout, "HEAD~2", "--bad")
    subjects = [each.subject for each in commits.between(checkout, good, bad)]
    assert subjects == ["number 4", "number 3", "merged"]


def test_two_that_parted_are_refused_with_where_they_did(checkout: Path) -> None:
    good = commits.commit(checkout, "apart", "--good")
    bad = commits.commit(checkout, "master", "--bad")
    parted = commits.commit(checkout, "v1", "--good").short
    with pytest.raises(UsageError, match=f"^--good: .* no ancestor of .*--good {parted}$"):
        commits.between(checkout, good, bad)


@pytest.mark.parametrize("revision", ["nowhere", "", "--all", "0" * 40])
def test_a_revision_that_is_none_is_refused(checkout: Path, revision: str) -> None:
    with pytest.raises(UsageError, match=r"^--bad: .*a branch, a tag or a"):
        commits.commit(checkout, revision, "--bad")


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--source: git: not a git repository"):
        commits.opened(str(tmp_path), tmp_path / "runs")
    with pytest.raises(UsageError, match=r"^--source: .*nowhere is no folder"):
        commits.opened(str(tmp_path / "nowhere"), tmp_path / "runs")
    with pytest.raises(UsageError, match=r"^--source: git: "):
        commits.opened(f"file://{tmp_path}/nowhere", tmp_path / "runs")


def test_a_url_is_copied_and_the_copy_used_again(checkout: Path, tmp_path: Path) -> None:
    url = f"git+file://{checkout}".replace(" ", "%20")
    copy = commits.opened(url, tmp_path / "source.git")
    assert copy == tmp_path / "source.git"
    assert commits.commit(copy, "side", "--good").subject == "on the side"
    assert commits.opened("https://gone.invalid/x.git", copy) == copy


def test_nothing_of_a_checkout_is_touched(checkout: Path) -> None:
    before = [git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "HEAD")]
    inside = checkout / "deep"
    inside.mkdir(exist_ok=True)
    assert commits.opened(str(inside), checkout) == checkout
    found = commits.commit(checkout, "side", "--good")
    commits.between(checkout, found, commits.commit(checkout, "master", "--bad"))
    assert before == [git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "HEAD")]
    assert not (checkout / "source.git").exists()


def test_a_commit_is_required_by_its_whole_hash_from_a_path_with_blanks(checkout: Path) -> None:
    sha = git(checkout, "rev-parse", "HEAD")
    wanted = commits.requirement(checkout, sha)
    assert wanted == f"git+file://{checkout}@{sha}".replace(" ", "%20")
