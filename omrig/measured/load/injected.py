"""The error that an endpoint is told to raise, as its callers get it."""

EXCEPTIONS_OF = [__name__]
"""The modules whose exceptions are the same to who calls, as services name theirs."""


class InjectedError(Exception):
    """What the endpoint raises where it was told to; its argument is the message's number."""
