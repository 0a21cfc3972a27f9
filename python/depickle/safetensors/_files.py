"""Functions that take a path also take an open file: an object with `write` to save to, or with `read` to load from.

An os.PathLike object that also has these methods is a path, as upstream.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from depickle.safetensors import TensorSpec, serialize, serialize_file

if TYPE_CHECKING:
    from typing_extensions import Buffer, TypeIs


class Readable(Protocol):
    def read(self) -> bytes: ...


class Writable(Protocol):
    def write(self, data: memoryview, /) -> Any: ...


Path: TypeAlias = "str | os.PathLike[str]"
Source: TypeAlias = "Path | Readable"
Target: TypeAlias = "Path | Writable"
Data: TypeAlias = "Buffer | Readable"


def _is_path(file: object) -> bool:
    return isinstance(file, (str, bytes, os.PathLike))


def is_readable(file: object) -> TypeIs[Readable]:
    return hasattr(file, "read") and not _is_path(file)


def is_writable(file: object) -> TypeIs[Writable]:
    return hasattr(file, "write") and not _is_path(file)


def content(data: Data) -> Buffer:
    """Returns the bytes of `data`; a file is read from its current position to its end."""
    whole: Any = data
    try:
        return memoryview(whole)
    except TypeError:
        return whole.read() if is_readable(data) else whole


def save(specs: dict[str, TensorSpec], target: Target, metadata: dict[str, str] | None, durable: bool) -> None:
    """Saves to a path or to an open file; with `durable` the bytes are synced when the call returns."""
    if not is_writable(target):
        serialize_file(specs, target, metadata, durable=durable)
        return
    rest = memoryview(serialize(specs, metadata))
    while rest:
        written = target.write(rest)  # a raw file may write a part; None means that everything was written
        rest = rest[len(rest) if written is None else written :]
    if durable:
        file: Any = target
        file.flush()
        os.fsync(file.fileno())
