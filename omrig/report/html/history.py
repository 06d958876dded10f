"""A history as one page that opens anywhere, offline: each metric and stage over the versions."""

from omrig.history.events import Event
from omrig.history.reading import History


def render(history: History, events: list[Event]) -> str:
    """The page."""
    return ""
