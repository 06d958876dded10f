"""Names that come from others' messages, made safe for a terminal."""

from collections.abc import Mapping, Sequence

from omrig.model.service import ServiceResult
from omrig.model.values import Json


def printable(result: ServiceResult) -> ServiceResult:
    """``result`` with what a terminal would obey (escapes, line breaks) shown as ``\\x1b``.

    A method is called what a message says, and anybody with a login may have sent that.
    """
    return ServiceResult.from_json(_shown(result.to_json()))


def _shown(data: Json) -> Json:
    if isinstance(data, str):
        return data if data.isprintable() else "".join(map(_letter, data))
    if isinstance(data, Mapping):
        return {str(_shown(name)): _shown(each) for name, each in data.items()}
    if isinstance(data, Sequence):
        return [_shown(each) for each in data]
    return data


def _letter(letter: str) -> str:
    return letter if letter.isprintable() else ascii(letter)[1:-1]
