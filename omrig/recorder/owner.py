"""What root writes into somebody's folder is written as that user.

It is theirs then, a service of theirs can write beside it, and no link that they put there leads
root to a file that is not theirs.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def of(folder: Path) -> Iterator[None]:
    """Be the user whose ``folder`` it is during the block, where root is somebody else.

    All threads of the process are. Raises ``OSError`` where there is no such folder.
    """
    state = folder.stat()
    if os.geteuid() != 0 or state.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([state.st_gid])
    os.setegid(state.st_gid)
    os.seteuid(state.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextlib.contextmanager
def root_again() -> Iterator[None]:
    """Be root again during a block within such a one, for what needs its rights.

    Without effect for whoever has not been root.
    """
    user = os.geteuid()
    if user == 0 or os.getresuid()[2] != 0:
        yield
        return
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(user)
