"""The result of a recording of services, read back."""

from pathlib import Path

from omrig.model.errors import UsageError, naming
from omrig.model.service import KIND, ServiceResult
from omrig.recordings import folder as run_folder


def is_one(folder: Path) -> bool:
    """Whether ``folder`` holds the result of a recording."""
    try:
        value = run_folder.read_json(folder / run_folder.RESULT)
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.get("kind") == KIND


def read(folder: Path, argument: str) -> ServiceResult:
    """The result of the recording in ``folder``; ``argument`` is named in errors.

    Raises ``UsageError`` where there is none, or none that this omrig reads.
    """
    path = folder / run_folder.RESULT
    try:
        with naming(argument):
            value = run_folder.read_json(path)
        if value is None:
            raise UsageError(
                f"{argument}: {folder} holds no result of a recording (no {run_folder.RESULT});"
                " give one that omrig record wrote, like DIR/rec-1"
            )
        return ServiceResult.from_json(value)
    except ValueError as error:
        raise UsageError(
            f"{argument}: {path} cannot be read ({error}); give a recording, like DIR/rec-1"
        ) from error
