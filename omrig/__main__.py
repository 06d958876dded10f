"""``python -m omrig``, and the command ``omrig``."""

import sys

import omrig

# Python put the working directory first. Nothing else may be imported from there, unless omrig
# itself was, in a checkout: so this comes before all other imports.
is_module = __name__ == "__main__" and not sys.flags.safe_path
if is_module and omrig.__path__[0] != f"{sys.path[0]}/omrig":
    del sys.path[0]


def main() -> int:
    """Run the command in the process' arguments; the exit status, also while Python imports."""
    try:
        from omrig import cli
    except KeyboardInterrupt:
        # Without it CPython ends the process by SIGINT, where it came in the exec() of a string.
        exec("")  # noqa: S102
        sys.stderr.write("omrig: interrupted\n")
        return 130
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
