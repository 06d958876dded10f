"""The options of the installed oslo.messaging: which there are, and what they take."""

from typing import Any

from omrig.drivers.rabbit import GROUP

SECRET_NAMES = ("password", "passwd", "secret", "secret_key", "auth_token", "transport_url")
"""How the names of options end whose values are secrets, in whatever service."""


def options() -> list[tuple[str | None, list[Any]]]:
    """The options of the installed oslo.messaging by group, copies: None for [DEFAULT]."""
    import copy

    from oslo_messaging import opts
    from oslo_messaging._drivers import base

    # Until release 14 those of all drivers were listed under [DEFAULT], and read from the driver's
    # own group.
    moved = copy.deepcopy(getattr(base, "base_opts", []))
    names = {option.dest for option in moved}
    now = [
        (group, [each for each in listed if group or each.dest not in names])
        for group, listed in opts.list_opts()
    ]
    return [*now, (GROUP, moved)]


def is_secret(option: Any) -> bool:
    """Whether the value of an option is a secret: that of some is, though nobody said so."""
    return bool(option.secret) or option.dest.endswith(SECRET_NAMES)


def type_name(kind: Any) -> str:
    """What an option takes, in words, as oslo.config's types know it."""
    names = {"Integer": "whole number", "Float": "number"}
    words = names.get(type(kind).__name__, "value that it may have")
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f"{words} from {least:g} to {most:g}"
    return f"{words} of {least:g} or more" if least is not None else words
