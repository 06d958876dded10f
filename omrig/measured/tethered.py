"""``python -m omrig.measured.tethered PARENT MODULE ARGUMENTS``: a module while PARENT lives."""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Be sent the signal ``number`` when the process ``parent`` ends, or now if it has ended."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def main() -> None:
    """Run what the command line names as if it had been started itself."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    die_with_parent(parent)
    del sys.argv[1:3]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
