"""The names of methods and of who sends and serves them, in the room that there is."""

import difflib
from collections.abc import Sequence

from omrig.model.service import Method, ServiceResult

_ELLIPSIS = "…"

_HEAD = 2 / 5
"""So much of a shortened name is its beginning: the end, a method's own name, tells more."""

_NAMED = 2
"""So many processes are named at each end; more are counted."""

_NEAREST = 3
_SIMILAR = 0.4


def shortened(name: str, width: int) -> str:
    """``name`` in ``width`` letters at most: what is too long lacks its middle."""
    if len(name) <= width:
        return name
    room = max(0, width - len(_ELLIPSIS))
    head = int(room * _HEAD)
    return f"{name[:head]}{_ELLIPSIS}{name[len(name) - (room - head) :]}"


def ends(method: Method) -> str:
    """Who sends it and who serves it."""
    return f"{_joined(method.senders)} -> {_joined(method.servers)}"


def _joined(names: Sequence[str]) -> str:
    if not names:
        return "nobody seen"
    alike: dict[str, list[str]] = {}
    for name in names:
        # Of several processes that are called so each has its pid.
        alike.setdefault(name.partition("[")[0], []).append(name)
    told = [
        each[0] if len(each) == 1 else f"{len(each)} {common}" for common, each in alike.items()
    ]
    return ", ".join(told) if len(told) <= _NAMED else f"{len(names)} processes"


def nearest(result: ServiceResult, name: str) -> list[str]:
    """The labels of the methods whose names are the most like ``name``, the nearest first."""
    labels: dict[str, str] = {}
    for method in result.methods:
        own = method.name
        for each in (own.label, own.method, f"{own.namespace}.{own.method}"):
            labels.setdefault(each.lower(), own.label)
    asked = name.lower()
    within = [label for each, label in labels.items() if asked and asked in each]
    alike = difflib.get_close_matches(asked, labels, n=2 * _NEAREST, cutoff=_SIMILAR)
    return list(dict.fromkeys([*within, *(labels[each] for each in alike)]))[:_NEAREST]
