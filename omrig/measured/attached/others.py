"""Who else has put something around the functions of the stages."""

from collections.abc import Iterable
from typing import Any

from omrig.drivers.maps import Site


def names(sites: Iterable[Site]) -> list[str]:
    """The packages of which there is a wrapper around a function at ``sites``, now.

    A wrapper stays outside: what is grafted is the function's own code.
    """
    found: set[str] = set()
    for site in sites:
        own = site.probe.function.partition(".")[0]
        thing: Any = vars(site.owner).get(site.name)
        if isinstance(thing, staticmethod | classmethod):
            thing = thing.__func__
        while (inner := getattr(thing, "__wrapped__", None)) is not None:
            package = _package(thing)
            # What a library has put around its own functions belongs to it.
            if package and package not in (own, "functools", "contextlib"):
                found.add(package)
            thing = inner
    return sorted(found)


def _package(wrapper: Any) -> str:
    """Whose a wrapper is: of wrapt's the function that it calls, else what it was defined in."""
    made = getattr(wrapper, "_self_wrapper", wrapper)
    module = getattr(made, "__globals__", {}).get("__name__") or type(made).__module__
    return str(module).partition(".")[0]
