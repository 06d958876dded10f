"""Who else has put something around the functions of the stages."""

import functools
import types

import pytest

from omrig.drivers.maps import Site
from omrig.measured.attached import others
from omrig.model.actions import Action
from omrig.model.stage_map import Probe


def function():
    """The function at a site."""


def wrapper_of(module, inner):
    """As a tracer defines one in its module."""
    made = types.ModuleType(module)
    made.functools, made.inner = functools, inner
    code = "@functools.wraps(inner)\ndef wrapper(*given):\n return inner(*given)\n"
    exec(code, made.__dict__)
    return made.wrapper


class OfWrapt:
    """As wrapt's: an object that calls a function of somebody else's."""

    def __init__(self, inner, made):
        self.__wrapped__ = inner
        self._self_wrapper = made


@pytest.fixture
def site():
    owner = types.SimpleNamespace(function=function)
    probe = Probe(Action("stamp", {}), "oslo_messaging.server:Server.start", "oslo.messaging")
    return Site(probe, owner, "function", (), function)


def test_nobody(site) -> None:
    assert others.names([site]) == []


def test_what_a_library_puts_around_its_own(site) -> None:
    site.owner.function = wrapper_of("oslo_messaging.server", function)
    assert others.names([site]) == []


def test_a_tracer_once_for_all_its_wrappers(site) -> None:
    inner = wrapper_of("ddtrace.contrib.oslo", wrapper_of("ddtrace", function))
    site.owner.function = inner
    assert others.names([site, site]) == ["ddtrace"]


def test_one_that_uses_wrapt_by_its_own_name(site) -> None:
    theirs = wrapper_of("opentelemetry.instrumentation.oslo", function)
    site.owner.function = OfWrapt(function, theirs)
    assert others.names([site]) == ["opentelemetry"]
