"""``python -m omrig``."""

import sys

import omrig

# Python put the working directory first. Nothing else may be imported from there, unless omrig
# itself was, in a checkout: so this comes before all other imports.
if not sys.flags.safe_path and omrig.__path__[0] != f"{sys.path[0]}/omrig":
    del sys.path[0]

from omrig.cli import main

if __name__ == "__main__":
    sys.exit(main())
