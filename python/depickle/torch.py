"""Loads torch checkpoints without unpickling: `load` returns the same values as `torch.load` and executes nothing.

    state_dict = depickle.torch.load("pytorch_model.bin")

Tensors point into a private mapping of the file: loading only reads the table of contents, and writing to a tensor does
not change the file. Nothing that a file names is imported or called. Objects of classes outside a closed list (tensors,
parameters, containers, plain values, numpy arrays) are returned as `Inert` records.

`install()` replaces `torch.load` by this loader, for programs that cannot be changed.
"""

from __future__ import annotations

import functools
import io
import os
import stat
import threading
from collections.abc import Callable
from typing import IO, Any

import torch

from depickle import _core
from depickle._rebind import rebind, undo

__all__ = ["Inert", "install", "load", "uninstall"]

MapLocation = Callable[[Any, str], Any] | torch.device | str | dict[str, str] | None


class Inert:
    """An immutable record of a name in the file, or of an object of an unknown class.

    `args` and `kwargs` are the arguments of the call to the class or function (`args` is None for a bare name), `state`
    is the argument of `__setstate__` or the update of `__dict__`, `items` are the appended items and `pairs` the
    assigned items.
    """

    __slots__ = ("module", "name", "args", "kwargs", "state", "items", "pairs", "__weakref__")

    module: str
    name: str
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None
    state: Any
    items: tuple[Any, ...]
    pairs: tuple[tuple[Any, Any], ...]

    def __init__(
        self, module: str, name: str, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None
    ) -> None:
        set_attribute = functools.partial(object.__setattr__, self)
        set_attribute("module", module)
        set_attribute("name", name)
        set_attribute("args", args)
        set_attribute("kwargs", kwargs)
        set_attribute("state", None)
        set_attribute("items", ())
        set_attribute("pairs", ())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Inert records are immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Inert records are immutable")

    def __repr__(self) -> str:
        return f"Inert({self.module}.{self.name})" if self.module else f"Inert({self.name})"


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: MapLocation = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    inert: bool = True,
    **pickle_load_args: Any,
) -> Any:
    """Returns the same values as `torch.load` for a path or a binary file object, and executes nothing.

    A path, or a regular file that is open at its first byte, is mapped; any other object is read to its end.
    `map_location` is that of torch.load. Malformed files raise pickle.UnpicklingError; with `inert=False`, objects of
    unknown classes do too. `weights_only` and `mmap` are accepted and ignored.
    """
    if pickle_module is not None:
        raise ValueError("pickle_module is not supported: depickle does not unpickle")
    encoding = pickle_load_args.pop("encoding", "utf-8")
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "ascii"):
        raise ValueError(f"encoding is {encoding!r} (expected 'utf-8': strings of Python 2 are read as UTF-8)")
    if pickle_load_args:
        raise TypeError(f"unsupported arguments: {', '.join(sorted(pickle_load_args))}")

    if isinstance(f, (str, os.PathLike)) and os.fspath(f).endswith(".safetensors"):
        return _load_safetensors(f, map_location)
    source, name = _source_of(f)
    restore, also_of_cpu = _restore(map_location)
    return _core.torch_load(source, name, restore, also_of_cpu, Inert if inert else None)


def _source_of(f: Any) -> tuple[str | int | bytearray, str]:
    """Returns the source for `_core.torch_load`, and its name for errors."""
    if isinstance(f, (str, bytes, os.PathLike)):
        return os.fsdecode(f), ""
    if not hasattr(f, "read"):
        raise AttributeError(f"f is a {type(f).__name__} (expected a path or a binary file object)")
    name = getattr(f, "name", None)
    name = name.encode("utf-8", "replace").decode() if isinstance(name, str) else f"<{type(f).__name__}>"
    try:
        descriptor = f.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and f.tell() == 0 and _is_plain(f):
            return descriptor, name
    except (AttributeError, OSError):  # includes io.UnsupportedOperation
        pass
    content = f.getbuffer()[f.tell() :] if isinstance(f, io.BytesIO) else f.read()
    if isinstance(content, str):
        raise TypeError("f is open in text mode (expected binary mode)")
    return bytearray(content), name


def _is_plain(f: Any) -> bool:
    """Whether reading f returns its descriptor's bytes. Not so for gzip files, which have descriptors too."""
    if type(f).__module__ == "tempfile":
        f = getattr(f, "file", f)
    return isinstance(getattr(f, "raw", f), io.FileIO)


def _restore(map_location: Any) -> tuple[Callable[[Any, str], Any] | None, bool]:
    """Returns (function that moves a storage, whether to call it for storages saved from the CPU)."""
    default = torch.serialization.default_restore_location
    if map_location is None:
        return default, False
    if isinstance(map_location, dict):
        return lambda storage, location: default(storage, map_location.get(location, location)), "cpu" in map_location
    if isinstance(map_location, bytes):
        map_location = map_location.decode("ascii")
    if isinstance(map_location, (str, torch.device)):
        device = str(map_location)
        return (None, False) if device == "cpu" else (lambda storage, location: default(storage, device), True)
    if not callable(map_location):
        raise TypeError(f"map_location is a {type(map_location).__name__} (expected a device, str, dict or callable)")

    def restore(storage: Any, location: str) -> Any:
        moved = map_location(storage, location)
        return default(storage, location) if moved is None else moved

    return restore, True


def _load_safetensors(f: str | os.PathLike[str], map_location: MapLocation) -> dict[str, Any]:
    from depickle.safetensors.torch import load_file

    if map_location is not None and not isinstance(map_location, (str, torch.device)):
        raise RuntimeError("map_location of a safetensors file must be a device or its name")
    return load_file(f, device="cpu" if map_location is None else str(map_location))


_lock = threading.Lock()
_rebound: list[Any] = []
_original = torch.serialization.load


@functools.wraps(_original)
def _replacement(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    del weights_only, mmap
    return load(f, map_location, pickle_module, inert=False, **pickle_load_args)


def install() -> None:
    """Replaces `torch.load` by `load` in the whole process, also in modules that imported it by name.

    The replacement raises pickle.UnpicklingError for objects of unknown classes, whatever `weights_only` is, and raises
    if `pickle_module` or arguments for it are given. A second call does nothing.
    """
    with _lock:
        if not _rebound:
            _rebound.extend(rebind(torch.serialization.load, _replacement))


def uninstall() -> None:
    """Undoes `install`."""
    with _lock:
        undo(_rebound)
