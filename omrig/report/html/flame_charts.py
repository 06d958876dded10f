"""A differential flame graph, as plotly draws it: as wide as it takes, coloured by the change."""

import html
from collections import defaultdict
from typing import Any

from omrig.report.flames import Flames

LEAST_SHARE = 0.002
"""A frame of less than this share of the whole, and changed by less, is not drawn."""

_LEVEL_HEIGHT = 19
_MOST_LEVELS = 45
_US = 1e3

Path = tuple[str, ...]


def name(flames: Flames) -> str:
    """The name of the figure."""
    return f"flames-{flames.mode}-{flames.side}"


def draw(flames: Flames) -> dict[str, Any]:
    """The figure: frames from the outermost, at the top, down; no frame is wider than its caller.

    A frame is as wide as the mean of BASE and NEW, so that what is gone is seen as well, and
    coloured by NEW less BASE, with all that it called.
    """
    base, new = _cumulated(flames)
    (root,) = (path for path in base if len(path) == 1)
    whole = (base[root] + new[root]) / 2
    kept = [
        path
        for path in base
        if len(path) <= _MOST_LEVELS
        and max(base[path] + new[path], 2 * abs(new[path] - base[path])) >= 2 * LEAST_SHARE * whole
    ]
    kept.sort()
    numbers = {path: str(number) for number, path in enumerate(kept)}
    inner = [abs(new[path] - base[path]) for path in kept if len(path) > 2]
    most = max(inner, default=1.0) / _US or 1.0
    trace = {
        "type": "icicle",
        "branchvalues": "total",
        "ids": list(numbers.values()),
        "parents": [numbers.get(path[:-1], "") for path in kept],
        "labels": [html.escape(path[-1].rpartition(":")[2]) for path in kept],
        "values": [_short((base[path] + new[path]) / 2 / _US) for path in kept],
        "customdata": [
            [
                html.escape(path[-1]),
                _short(base[path] / _US),
                _short(new[path] / _US),
                _short((new[path] - base[path]) / _US),
            ]
            for path in kept
        ],
        "hovertemplate": "%{customdata[0]}<br>BASE %{customdata[1]:,.4~g} \u00b5s, NEW"
        " %{customdata[2]:,.4~g} \u00b5s a message: %{customdata[3]:+,.3~g} \u00b5s<extra></extra>",
        "marker": {
            "colors": [_short((new[path] - base[path]) / _US) for path in kept],
            "colorscale": [[0, "var(--link)"], [0.5, "var(--panel)"], [1, "var(--bad)"]],
            "cmin": -most,
            "cmax": most,
            "line": {"color": "var(--rule)", "width": 1},
            "showscale": True,
            "colorbar": {
                "title": {"text": "\u00b5s a message, NEW less BASE", "side": "right"},
                "thickness": 10,
            },
        },
        "tiling": {"orientation": "v", "pad": 0},
        "pathbar": {"visible": True},
        "sort": False,
        "textposition": "middle left",
    }
    depth = max(map(len, kept))
    layout = {
        "margin": {"l": 0, "r": 0, "t": 28, "b": 8},
        "uniformtext": {"minsize": 9, "mode": "hide"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--ink)", "size": 11},
        "hoverlabel": {"bgcolor": "var(--paper)", "font": {"color": "var(--ink)"}},
    }
    return {"height": 60 + _LEVEL_HEIGHT * depth, "data": [trace], "layout": layout}


def _cumulated(flames: Flames) -> tuple[dict[Path, float], dict[Path, float]]:
    """What each frame took with all that it called, by the names down to it."""
    base: defaultdict[Path, float] = defaultdict(float)
    new: defaultdict[Path, float] = defaultdict(float)
    for stack, (before, after) in flames.stacks.items():
        names = tuple(frame.name for frame in stack)
        for depth in range(1, len(names) + 1):
            base[names[:depth]] += before
            new[names[:depth]] += after
    return base, new


def _short(value: float) -> float:
    """Six digits are more than a screen shows."""
    return float(f"{value:.6g}")
