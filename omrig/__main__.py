"""``python -m omrig``."""

import sys

from omrig.cli import main

if __name__ == "__main__":
    sys.exit(main())
