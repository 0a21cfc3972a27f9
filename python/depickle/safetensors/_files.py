"""Where a path is taken, an open file is taken too: what has `write`, to save to, or `read`, to load from.

What is a path and also has these (os.PathLike) is a path, as upstream sees it.
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
    """The bytes of `data`: of a file, all from its position on."""
    whole: Any = data
    try:
        return memoryview(whole)
    except TypeError:
        return whole.read() if is_readable(data) else whole


def save(specs: dict[str, TensorSpec], target: Target, metadata: dict[str, str] | None, durable: bool) -> None:
    """Writes a file, or to one; with `durable` the bytes are on the disk when this returns."""
    if not is_writable(target):
        serialize_file(specs, target, metadata, durable=durable)
        return
    rest = memoryview(serialize(specs, metadata))
    while rest:
        written = target.write(rest)  # a raw file may take a part; what returns nothing took all
        rest = rest[len(rest) if written is None else written :]
    if durable:
        file: Any = target
        file.flush()
        os.fsync(file.fileno())
