"""Values that cross from room to room as JSON: frozen dataclasses whose fields are the keys."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""What a JSON file can hold."""


def key(name: str) -> Mapping[str, str]:
    """The metadata of a field that has another name in the files."""
    return {"key": name}


UNLESS_NONE: Mapping[str, bool] = types.MappingProxyType({"unless_none": True})
"""The metadata of a field that is not in the files where it is None."""


@dataclasses.dataclass(frozen=True)
class Value:
    """The base of every such dataclass.

    A field may be a value, a plain type, ``X | None``, ``tuple[X, ...]`` or ``Mapping[str, X]``.
    Its type must not be in quotes, nor all annotations of its module be strings.
    """

    def to_json(self) -> dict[str, Json]:
        """The fields in their order, ready for :func:`json.dumps`."""
        fields = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {
            _key(field): encode(value)
            for field, value in fields
            if value is not None or "unless_none" not in field.metadata
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """The value that :meth:`to_json` wrote.

        A key that an older omrig did not write has its field's default; one that is not known is
        left alone. Raises ``ValueError`` where one is missing or is not what it should be.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"{cls.__name__}: {_short(data)} is no JSON object")
        found: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            has_default = _has_default(field)
            value = data.get(_key(field))
            if value is None and has_default:
                continue
            if _key(field) not in data:
                raise ValueError(f"{cls.__name__}: there is no {_key(field)!r}")
            try:
                found[field.name] = decode(field.type, value)
            except ValueError as error:
                raise ValueError(f"{_key(field)}: {error}") from error
        return cls(**found)


def encode(value: object) -> Json:
    """A value, or a plain one, as JSON. Raises ``TypeError`` for what JSON has no word for."""
    if isinstance(value, Value):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(name): encode(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{_short(value)} is nothing that JSON can hold")


def decode(hint: object, data: Json) -> object:
    """``data`` as a field with this type hint takes it; plain values as they are.

    Raises ``ValueError`` where a value, a list or an object was expected and is not there.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(arguments, data)
    if origin is tuple:
        if isinstance(data, str) or not isinstance(data, Sequence):
            raise ValueError(f"{_short(data)} is no list")
        return tuple(decode(arguments[0], each) for each in data)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise ValueError(f"{_short(data)} is no JSON object")
        return {name: decode(arguments[1], each) for name, each in data.items()}
    if isinstance(hint, type) and issubclass(hint, Value):
        return hint.from_json(data)
    return data


def _decode_union(members: Sequence[object], data: Json) -> object:
    """Of several members only None can be told apart here: the others are taken as they are."""
    named = [member for member in members if member is not types.NoneType]
    if data is None and len(named) < len(members):
        return None
    return decode(named[0], data) if len(named) == 1 else data


def _key(field: "dataclasses.Field[object]") -> str:
    return str(field.metadata.get("key", field.name))


def _has_default(field: "dataclasses.Field[object]") -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


_LONGEST = 60


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
