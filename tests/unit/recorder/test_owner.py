"""What root writes into somebody's folder is theirs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SOMEBODY = 65534 if os.geteuid() == 0 else os.geteuid()
"""Another user, where we may be one."""


def in_a_process(folder: Path, what: str) -> str:
    """Run ``what`` in a process of its own: it changes its user."""
    imports = "from pathlib import Path\nfrom omrig.recorder import owner"
    program = f"{imports}\nfolder = Path({str(folder)!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{what}"], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """Somebody's folder, in one that they may pass."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        path = Path(place, "theirs")
        path.mkdir(0o700)
        os.chown(path, SOMEBODY, -1)
        yield path


def test_what_is_written_belongs_to_the_folder_s_owner_and_who_wrote_it_is_root_again(
    folder: Path,
) -> None:
    what = """
import os
before = os.getresuid(), os.getresgid(), os.getgroups()
with owner.of(folder):
    (folder / "file").write_text("theirs")
    inside = os.geteuid()
    with owner.root_again():
        again = os.geteuid()
    assert os.geteuid() == inside
assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
print(inside, again == before[0][1])
"""
    assert in_a_process(folder, what) == f"{SOMEBODY} True\n"
    assert (folder / "file").stat().st_uid == SOMEBODY


def test_a_link_of_theirs_leads_to_no_file_that_is_not(folder: Path) -> None:
    mine = folder.parent / "mine"
    mine.write_text("mine")
    mine.chmod(0o400)
    (folder / "file").symlink_to(mine)
    what = """
with owner.of(folder):
    try:
        (folder / "file").write_text("theirs")
    except PermissionError:
        print("refused")
"""
    assert in_a_process(folder, what) == "refused\n"
    assert mine.read_text() == "mine"
