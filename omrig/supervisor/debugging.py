"""What the messaging libraries log in the process that starts a run."""

import logging

from omrig.model import redaction


def set_up_logging(debug: bool) -> None:
    """Show what the messaging libraries log here only when asked to, and without passwords."""

    class Redacting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return redaction.redact(super().format(record))

    handler = logging.StreamHandler() if debug else logging.NullHandler()
    handler.setFormatter(Redacting("%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"))
    level = logging.DEBUG if debug else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler], force=True)
