"""Options in files: those that nobody knows, and where a value comes from."""

from typing import Any

from omrig.drivers import files, known
from omrig.drivers.configuration import Configuration
from omrig.model.errors import UsageError


def unknown(found: Configuration) -> list[str]:
    """Options of oslo.messaging's groups in the files that the installed version does not know.

    In the form ``[group] name (file)``; never their values, which may be secrets.
    """
    names_of: dict[str, set[str]] = {}
    for group, options in known.options():
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
