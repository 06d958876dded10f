"""An operating system that refuses, without privileges."""

import contextlib
import os
import resource


@contextlib.contextmanager
def limited_files(size_bytes):
    """No file may become larger: as on a full disk, but EFBIG. (Python ignores SIGXFSZ.)"""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def closed(folder):
    """Nobody may do anything with what is in the folder; root is somebody else meanwhile."""
    before, user = folder.stat().st_mode, os.geteuid()
    folder.chmod(0)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        folder.chmod(before)
