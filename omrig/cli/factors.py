"""What ``omrig sweep`` varies, read and checked before anything is measured."""

import argparse
import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from omrig.cli import configurations
from omrig.cli.main import parser_of
from omrig.cli.options import is_repeatable
from omrig.experiment import factors
from omrig.experiment.trials import Configuration
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.option import FieldOption
from omrig.model.pace import Pace
from omrig.model.plan import Plan
from omrig.model.software import Software
from omrig.model.sweep import Factor

ASSIGNED, VARIED = "--set", "--vary"
"""Which option of ``omrig sweep`` names a factor: one of oslo.messaging's, or of ``omrig run``."""

_TWICE = "is varied and set: leave one of them out"


def read(assigned: Sequence[str], varied: Sequence[str], rest: Sequence[str]) -> list[Factor]:
    """The factors that options name; ``rest`` are the options of all runs.

    Raises ``UsageError`` for a factor or a level that cannot be, and for an option that is varied
    twice, or is among ``rest`` as well.
    """
    if not assigned and not varied:
        raise UsageError(
            f"sweep: nothing is varied; give {ASSIGNED} NAME=A,B (an option of oslo.messaging) or"
            f" {VARIED} NAME=A,B (an option of omrig run)"
        )
    plan = configurations.configuration("sweep", rest).plan
    found = [
        *(_assigned(text, plan) for text in assigned),
        *(_varied(text, rest) for text in varied),
    ]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"sweep: {name} is varied twice; leave one of them out")
    return found


def points(found: Sequence[Factor], rest: Sequence[str]) -> list[Configuration]:
    """A configuration for each combination of levels, in the order of :func:`factors.grid`.

    Raises ``UsageError``, which begins with the levels, where one of them cannot be run.
    """
    levels = factors.grid(found)
    names = factors.names(found, levels)
    return [
        configurations.configuration(name, [*rest, *_arguments(found, each)])
        for name, each in zip(names, levels, strict=True)
    ]


def _arguments(found: Sequence[Factor], levels: Iterable[str]) -> Iterator[str]:
    for factor, level in zip(found, levels, strict=True):
        if factor.flag == ASSIGNED:
            yield from (ASSIGNED, f"{factor.name}={level}")
        else:
            yield f"--{factor.name}={level}"


def _assigned(text: str, plan: Plan) -> Factor:
    """An option of oslo.messaging's."""
    from omrig.drivers import assigned, backend

    # As for every other use of oslo.messaging in this process, which comes after this one.
    backend.keep_eventlet_out()
    name, levels = factors.split(text, ASSIGNED)
    if plan.software.has_environment:
        # Which options there are is for the oslo.messaging of that environment to say.
        return factors.factor(name, ASSIGNED, levels)
    ours = assigned.parse([f"{name}={level}" for level in levels])[0]
    if ours.is_secret:
        raise UsageError(f"{ASSIGNED}: {name} is a secret, which would stand in every report")
    for other in assigned.parse(plan.transport.assigned):
        if (other.group, other.name) == (ours.group, ours.name):
            raise UsageError(f"{ASSIGNED}: {name} {_TWICE}")
    if ours.name == "executor_thread_pool_size" and plan.load.executor_pool_size:
        raise UsageError(f"{ASSIGNED}: {name} does nothing beside --executor-pool-size")
    return factors.factor(name, ASSIGNED, levels, _default(ours.group, ours.name))


def _default(group: str | None, name: str) -> str | None:
    """What an option of oslo.messaging's is unless it is set."""
    from omrig.drivers import known

    found = [
        option.default
        for where, options in known.options()
        for option in options
        if (where, option.dest) == (group, name)
    ]
    return str(found[0]) if found and found[0] is not None else None


def _varied(text: str, rest: Sequence[str]) -> Factor:
    """An option of ``omrig run``."""
    name, levels = factors.split(text, VARIED)
    name = name.lstrip("-")
    _, parser = parser_of("run", rest)
    action = parser.action_of(name)
    if action is None:
        near = difflib.get_close_matches(name, parser.long_names())
        told = f"; the nearest: {', '.join(near)}" if near else ""
        raise UsageError(f"{VARIED}: omrig run has no option --{name}{told}")
    if name == ASSIGNED.lstrip("-"):
        raise UsageError(f"{VARIED}: {name}: give {ASSIGNED} OPTION=A,B")
    if action.nargs == 0:
        raise UsageError(f"{VARIED}: --{name} takes no value, and so has no levels")
    if action.dest in parser.given(rest) and not is_repeatable(action):
        raise UsageError(f"{VARIED}: {name} {_TWICE}")
    return factors.factor(name, VARIED, levels, _default_of_run(action))


def _default_of_run(action: argparse.Action) -> str | None:
    for part in (Load, Pace, Software):
        for field in dataclasses.fields(part):
            option: FieldOption | None = field.metadata.get("option")
            if option and option.name == action.dest and option.kind in ("text", "count"):
                default: Any = field.default
                return str(default) if default not in (None, "") else None
    return None
