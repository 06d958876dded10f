"""What the tests of the stamps have in common: both implementations, and a watcher that is none."""

import importlib.util

from omrig.measured.probes import stamp_python

C_MODULE = "omrig.measured.probes._stamp"
IS_BUILT = importlib.util.find_spec(C_MODULE) is not None

IMPLEMENTATIONS = ["python", "c"] if IS_BUILT else ["python"]


def implementation(name):
    """The module of the stamps in C, or of those in Python."""
    return importlib.import_module(C_MODULE) if name == "c" else stamp_python


class NoWatcher:
    """Takes the commands that a watcher would."""

    capturing = False

    def add(self, *_):
        pass

    watch = drop = add
