"""Recordings of services on the terminal."""

from omrig.report.terminal.services.recording import show, text

__all__ = ["show", "text"]
