"""What is wrong with what was asked for, in the words of who asked for it."""

import re
from collections.abc import Callable, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from omrig.environments import refusals
from omrig.environments.asked import Asked
from omrig.environments.refusals import NotInstallable

_NO_WHEEL = re.compile(
    r"has no wheels with a matching ([\w ]+?) tag \(e\.g\., `([^`]+)`\)"
    r"|is not a supported wheel on this platform"
    r"|dependency is incompatible with the current platform"
)


def refuse_below(wanted: Sequence[Asked], omrig: Sequence[Requirement]) -> None:
    """Raise :class:`NotInstallable` for a release that omrig itself cannot run with."""
    for each in wanted:
        if each.requirement is None or each.kind != "release":
            continue
        pins = [pin.version for pin in each.requirement.specifier if pin.operator == "=="]
        for version in pins:
            _refuse(each, each.requirement.name, version, omrig)


def refuse_built_below(built: Mapping[str, Asked], omrig: Sequence[Requirement]) -> None:
    """The same of wheels, by the lines in which an installer takes them."""
    for line, each in built.items():
        name, at, url = line.partition(" @ ")
        if at and url.endswith(".whl") and each.kind != "url":
            version = str(parse_wheel_filename(url.rpartition("/")[2].replace("%2B", "+"))[1])
            _refuse(each, name.partition("[")[0], version, omrig)


def _refuse(each: Asked, name: str, version: str, omrig: Sequence[Requirement]) -> None:
    for need in omrig:
        if canonicalize_name(need.name) != canonicalize_name(name):
            continue
        if not need.specifier.contains(version, prereleases=True):
            is_checkout = each.kind in ("folder", "git")
            hint = "; a checkout without its tags counts as 0.0.1: git fetch --tags"
            is_untagged = is_checkout and Version(version) < Version("0.1")
            what = f"its version is {version}, and " if is_checkout or each.kind == "file" else ""
            raise each.refused(
                f"{what}omrig itself needs {need.name}{need.specifier}{hint * is_untagged}"
            )


def refusal(
    said: str,
    wanted: Sequence[Asked],
    omrig: Sequence[Requirement],
    newest: Callable[[str], str | None],
) -> NotInstallable:
    """The error for what an installer ``said``; ``newest`` tells a package's newest release."""
    flat = " ".join(said.split())
    for each in wanted:
        if each.requirement is None:
            continue
        name = each.requirement.name
        if not re.search(rf"(?<![\w.\-]){_spelt(name)}(?![\w\-])", flat, re.IGNORECASE):
            continue
        if refusals.is_no_package(said) and _is_about(name, said):
            return each.refused(f"the package index knows no package {name}")
        if refusals.is_no_release(said) and _is_about(name, said):
            last = newest(name)
            known = f"; the newest is {last}" if last else ""
            return each.refused(f"there is no such release{known}")
    if found := _NO_WHEEL.search(flat):
        return _of(wanted, _no_wheel(found))
    text = refusals.sentence(said)
    for need in omrig:
        is_asked = any(_names(each) == canonicalize_name(need.name) for each in wanted)
        if is_asked and need.specifier and str(need.specifier) in flat.replace(" ", ""):
            text = f"{text} (omrig itself needs {need.name}{need.specifier})"
    return _of(wanted, text)


def _of(wanted: Sequence[Asked], text: str) -> NotInstallable:
    typed = " ".join(refusals.without_logins(each.typed) for each in wanted)
    return NotInstallable(f"--with: {typed}: {text}" if typed else f"--python: {text}")


def _no_wheel(found: "re.Match[str]") -> str:
    if found[1]:
        return f"it has no wheel for this interpreter: no {found[1]} tag {found[2]}"
    return "it is a wheel for another platform or another Python"


def _names(each: Asked) -> str:
    return canonicalize_name(each.requirement.name) if each.requirement else ""


def _is_about(name: str, said: str) -> bool:
    """Whether it is this package that is not there, and not one that it needs."""
    spelt = _spelt(name)
    return bool(
        re.search(
            rf"(?:because (?:only )?|no versions? of |satisfies the requirement |distribution found"
            rf" for ){spelt}(?![\w\-])",
            " ".join(said.split()),
            re.IGNORECASE,
        )
    )


def _spelt(name: str) -> str:
    return re.escape(canonicalize_name(name)).replace(r"\-", "-").replace("-", "[-_.]+")
