"""Makes mistral's tables as its models have them: its migrations are not for sqlite.

python mistral_database.py CONFIG
"""

import sys

from mistral import config

config.parse_args(["--config-file", sys.argv[1]])

from mistral.db.v2 import api  # noqa: E402

api.setup_db()
