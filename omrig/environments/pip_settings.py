"""What pip is set to on this host, in the words of uv, which does not read pip's settings."""

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType

from omrig.model import interpreter

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
        "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
        "find-links": ("UV_FIND_LINKS",),
        "no-index": ("UV_NO_INDEX",),
        "cert": ("SSL_CERT_FILE",),
        "client-cert": ("SSL_CLIENT_CERT",),
        "trusted-host": ("UV_INSECURE_HOST",),
        "proxy": ("ALL_PROXY", "HTTPS_PROXY"),
        "constraint": ("UV_CONSTRAINT",),
        "timeout": ("UV_HTTP_TIMEOUT",),
        "default-timeout": ("UV_HTTP_TIMEOUT",),
    }
)
"""By pip's option: the variable that says the same to uv, and others that would, too."""

_SEPARATED_BY_COMMA = frozenset({"find-links"})


def for_uv() -> dict[str, str]:
    """Variables that tell uv what pip is told, where nothing else tells uv."""
    found: dict[str, str] = {}
    for option, value in _of_pip().items():
        names = _NAMES.get(option, ())
        if names and value and not any(os.environ.get(name) for name in names):
            words = value.split()
            found[names[0]] = ("," if option in _SEPARATED_BY_COMMA else " ").join(words)
    if "UV_INDEX" in found and not os.environ.get("UV_INDEX_STRATEGY"):
        # pip takes the best of all indexes, uv by itself the first that knows the package.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


@functools.cache
def _of_pip() -> Mapping[str, str]:
    """The options of pip's files and variables; none where there is no pip."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        env={n: v for n, v in interpreter.without_options().items() if n != "PYTHONPATH"},
        stdin=subprocess.DEVNULL,
    )
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        name, equals, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if equals and section in found:
            found[section][option] = str(ast.literal_eval(value))
    # The nearest last: it says what holds.
    return {**found["global"], **found["install"], **found[":env:"]}
