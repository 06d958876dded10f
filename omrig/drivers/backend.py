"""The concurrency that the oslo libraries are built on in this process: native threads."""

import importlib
import sys
from typing import Any


def keep_eventlet_out() -> None:
    """Have the oslo libraries use native threads; has to come before they are imported.

    They import eventlet when it is installed, even where they do not use it: with it comes a
    warning, and much that has no place in a process that does not patch. Releases of oslo.service
    before 4.2 cannot do without: they get it, unpatched.
    """
    modules: dict[str, Any] = sys.modules
    modules["eventlet"] = None
    try:
        backend = importlib.import_module("oslo_service.backend")
    except ImportError:
        del modules["eventlet"]
    else:
        backend.init_backend(backend.BackendType.THREADING)
