"""Configurations of an experiment: options of ``omrig run``, of which each becomes a plan."""

from collections.abc import Sequence

from omrig.cli.main import parsed
from omrig.experiment.trials import Configuration
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES, Plan

_NOT_THERE = {
    "--output": "output",
    "--json": "json",
    "--quiet": "quiet",
    "--shared-assets": "shared_assets",
}


def configuration(name: str, arguments: Sequence[str]) -> Configuration:
    """The configuration that options of ``omrig run`` ask for; its folder is called ``name``.

    Raises ``UsageError``, which begins with the name, where they ask for none.
    """
    try:
        return Configuration(name, tuple(arguments), _plan(arguments))
    except UsageError as error:
        raise UsageError(f"{name.upper() if len(name) == 1 else name}: {error}") from error


def _plan(arguments: Sequence[str]) -> Plan:
    module, options = parsed("run", arguments)
    for option, attribute in _NOT_THERE.items():
        if getattr(options, attribute):
            raise UsageError(f"{option}: goes before the first --, it is of the whole experiment")
    if options.find_rate:
        raise UsageError("--find-rate: a configuration is measured as it is")
    plan: Plan = module.make_plan(options, SIDES)
    return plan


def split(rest: Sequence[str]) -> list[list[str]]:
    """The arguments after each ``--``."""
    parts: list[list[str]] = []
    for argument in rest:
        if argument == "--":
            parts.append([])
        else:
            parts[-1].append(argument)
    return parts
