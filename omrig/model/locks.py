"""Folders that processes hold, so that others do not delete them."""

import fcntl
import os
from pathlib import Path


def is_held(folder: Path) -> bool:
    """Whether any process has a lock on ``folder``. Raises ``OSError`` where that is gone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
