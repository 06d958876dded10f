"""The two ways in which omrig fails for a reason that a person can act on."""


class UsageError(Exception):
    """What was asked cannot be done: exit status 2.

    The text is one line for a person: the option, what was wrong with it, what to do.
    """


class RunError(Exception):
    """The run itself failed: exit status 1. The text is one line for a person."""
