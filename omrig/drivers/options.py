"""The options of the installed oslo.messaging: which there are, and where a value comes from."""

from typing import Any

from omrig.drivers import files
from omrig.drivers.configuration import Configuration
from omrig.drivers.rabbit import GROUP
from omrig.model.errors import UsageError


def known() -> list[tuple[str | None, list[Any]]]:
    """The options of the installed oslo.messaging by group, copies: None for [DEFAULT]."""
    import copy

    from oslo_messaging import opts
    from oslo_messaging._drivers import base

    # Until release 14 those of all drivers were listed under [DEFAULT], and read from the driver's
    # own group.
    moved = copy.deepcopy(getattr(base, "base_opts", []))
    names = {option.dest for option in moved}
    listed = [
        (group, [each for each in options if group or each.dest not in names])
        for group, options in opts.list_opts()
    ]
    return [*listed, (GROUP, moved)]


def unknown(found: Configuration) -> list[str]:
    """Options of oslo.messaging's groups in the files that the installed version does not know.

    In the form ``[group] name (file)``; never their values, which may be secrets.
    """
    names_of: dict[str, set[str]] = {}
    for group, options in known():
        names = names_of.setdefault(group or "DEFAULT", set())
        for option in options:
            names |= {option.name, option.dest} | {each.name for each in option.deprecated_opts}
    beyond = []
    for path in found.read_files():
        for section, names_there in files.sections(path).items():
            if section.lower().startswith("oslo_messaging_"):
                # oslo.config takes an option's name with '_' for '-', and not the other way round.
                strange = names_there - names_of.get(section.lower(), set())
                beyond += [f"[{section}] {name} ({path})" for name in sorted(strange)]
    return beyond


def source_of(found: Configuration, conf: Any, option: Any, group: str | None) -> str | None:
    """Where ``conf`` has the value of an option from: a file or a variable; None for its default.

    Raises ``UsageError`` for a value that the option cannot have.
    """
    from oslo_config import cfg

    name = f"[{group}] {option.name}" if group else option.name
    try:
        location = conf.get_location(option.dest, group)
    except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError):
        raise
    except ValueError:
        where = found.said_by(group or "DEFAULT", {option.name, option.dest})
        raise UsageError(
            f"{where}: the value of {name} is none that it may have; correct it"
        ) from None
    if location is None or not location.location.is_user_controlled:
        return None
    if location.location is cfg.Locations.environment:
        return f"environment variable {location.detail}"
    return str(location.detail)
