"""Which versions a history is to have."""

import subprocess

import pytest
from packaging.version import Version

from omrig.experiment import wanted
from omrig.model.errors import UsageError


def listed(package, pre_releases):
    if package != "oslo.messaging":
        raise UsageError(f"no release of {package!r} on the package index")
    texts = ["13.0.0", "14.0.0", "14.8.0", "18.1.0", *(["19.0.0b1"] if pre_releases else [])]
    return [Version(text) for text in texts]


def test_a_requirement_names_every_release_that_matches():
    package, found = wanted.of_releases("oslo.messaging[kafka]>=14,!=14.8.0", listed)
    assert package == "oslo.messaging"
    assert [(each.name, each.requirement) for each in found] == [
        ("14.0.0", "oslo.messaging[kafka]==14.0.0"),
        ("18.1.0", "oslo.messaging[kafka]==18.1.0"),
    ]


def test_versions_alone_are_of_oslo_messaging():
    package, found = wanted.of_releases("18.1.0, 14.8.0", listed)
    assert package == "oslo.messaging"
    assert [each.name for each in found] == ["14.8.0", "18.1.0"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("oslo.messaging>=", "is no requirement"),
        ("oslo.messaging>=99", "no release of oslo.messaging is >=99; the index has 13.0.0 to"),
        ("nonesuch>=1", "--versions: no release of 'nonesuch'"),
        ("x @ file:///tmp/x", "is not of releases"),
    ],
)
def test_what_names_no_release_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        wanted.of_releases(text, listed)


def test_commits_are_those_between_two_revisions(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)

    git("init", "--quiet")
    for number in range(4):
        git("commit", "--quiet", "--allow-empty", "-m", f"number {number}")
        git("tag", f"v{number}")
    package, found = wanted.of_commits(str(tmp_path), "v1..v3", tmp_path / "copy")
    assert package == "oslo.messaging"
    assert len(found) == 3
    assert all(f"git+file://{tmp_path}@{each.name}" in each.requirement for each in found)
    with pytest.raises(UsageError, match="give two revisions"):
        wanted.of_commits(str(tmp_path), "v1", tmp_path / "copy")
    with pytest.raises(UsageError, match="--versions: "):
        wanted.of_commits(str(tmp_path), "v1..absent", tmp_path / "copy")
