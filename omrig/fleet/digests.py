"""Chunks of files as they travel between hosts: compressed, each with the digest of what is in it.

A frame is a byte that names the codec, the SHA-256 of the raw bytes, and these compressed.
"""

import hashlib
import importlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_DIGEST_BYTES = hashlib.sha256().digest_size

_FAST = 1
"""Stamps are times: what a higher level saves is not worth what it takes on a loaded host."""


class _Codec(NamedTuple):
    """How bytes become fewer, and those back; of the latter at most so many."""

    letter: bytes
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]


def _zlib() -> _Codec:
    def back(data: bytes, most: int) -> bytes:
        return zlib.decompressobj().decompress(data, most)

    return _Codec(b"z", lambda raw: zlib.compress(raw, _FAST), back)


def _zstd() -> _Codec:
    library: Any = importlib.import_module("zstandard")

    def back(data: bytes, most: int) -> bytes:
        with library.ZstdDecompressor().stream_reader(data) as reader:
            found: bytes = reader.read(most)
        return found

    return _Codec(b"s", lambda raw: library.ZstdCompressor(_FAST).compress(raw), back)


_MAKERS: dict[str, Callable[[], _Codec]] = {"zstd": _zstd, "zlib": _zlib}


def _known() -> dict[str, _Codec]:
    found = {}
    for name, make in _MAKERS.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


_CODECS = _known()

CODECS = tuple(_CODECS)
"""What can be read here, the best first: ``zstd`` where the package zstandard is there, ``zlib``
always."""


def of_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def packed(raw: bytes, codecs: Sequence[str] = CODECS) -> bytes:
    """The frame of ``raw``, by the first of the reader's ``codecs`` that is here, too."""
    codec = next(_CODECS[name] for name in (*codecs, "zlib") if name in _CODECS)
    return codec.letter + hashlib.sha256(raw).digest() + codec.compress(raw)


def unpacked(frame: bytes, size_bytes: int) -> bytes:
    """The raw bytes of a frame, of which there are to be ``size_bytes``.

    Raises ``ValueError`` where it is not what was packed.
    """
    letter, digest, data = frame[:1], frame[1 : 1 + _DIGEST_BYTES], frame[1 + _DIGEST_BYTES :]
    codec = next((each for each in _CODECS.values() if each.letter == letter), None)
    if codec is None:
        raise ValueError(f"a chunk by a codec that is not known here: {letter!r}")
    try:
        # One more than there is to be: what is longer is not that.
        raw = codec.decompress(data, size_bytes + 1)
    except Exception as error:  # Each codec has its own; all say that it is broken.
        raise ValueError(f"a chunk that cannot be read ({error})") from error
    if len(raw) != size_bytes or hashlib.sha256(raw).digest() != digest:
        raise ValueError("a chunk that is not what was sent")
    return raw
