"""The extension module. What is public of it is re-exported by `depickle` and `depickle.safetensors`."""

import os
from collections.abc import Callable, Iterator, Mapping as MappingOf, Sequence
from types import TracebackType
from typing import Any, Protocol, final

from typing_extensions import Buffer, Self

__version__: str

class SafetensorError(Exception):
    """What is wrong with a safetensors file, or with what was to become one."""

class FileNotFound(FileNotFoundError):
    """A safetensors file that does not exist."""

@final
class Mapping:
    """A mapped file that tensors live in: a writable buffer of its bytes. Writing to it never changes the file."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

class _OpenFile(Protocol):
    @property
    def name(self) -> Any: ...
    def fileno(self) -> int: ...

@final
class TensorSpec:
    """Where the bytes of a tensor lie, in C order. The caller keeps the memory alive while it is written.

    `shape` is the framework's: the last dimension of float4_e2m1fn_x2 counts pairs.
    """

    def __init__(self, *, dtype: str, shape: Sequence[int], data_ptr: int, data_len: int) -> None: ...
    @property
    def dtype(self) -> str:
        """In the format's own spelling: "F32"."""
    @property
    def shape(self) -> list[int]:
        """As the header will say it."""
    @property
    def data_ptr(self) -> int: ...
    @property
    def data_len(self) -> int: ...

@final
class PySafeSlice:
    """A tensor of which only what an index takes is read: slice[2:, :8]."""

    def get_shape(self) -> list[int]:
        """The shape as the file says it."""
    def get_dtype(self) -> str:
        """The dtype in the format's own spelling, as "F32"."""
    def __getitem__(self, index: Any, /) -> Any: ...

class safe_open:
    """A safetensors file, opened lazily: tensors are made when they are asked for.

    framework  pt, torch, pytorch; np, numpy; tf, tensorflow; jax, flax; mlx; paddle
    device     where the tensors go, by name, number or torch.device
    backend    "mmap": tensors lie in the file, which is mapped; "pread": they are read, by several threads;
               None or "auto": pread on network file systems, mmap on others
    """

    def __init__(
        self, filename: str | os.PathLike[str], framework: str, device: Any = "cpu", *, backend: str | None = None
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    def close(self) -> None:
        """Gives the file back. Tensors and slices made of it stay valid."""
    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order of their bytes."""
    def metadata(self) -> dict[str, str] | None:
        """`__metadata__` of the file; None where there is none."""
    def get_tensor(self, name: str) -> Any:
        """A whole tensor."""
    def get_tensors(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Tensors by name, in the order of `names`; all of them in the order of their bytes where None."""
    def get_slice(self, name: str) -> PySafeSlice:
        """The tensor to be indexed: only what is taken is read."""
    def __len__(self) -> int: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

def _safe_open_handle(f: _OpenFile, framework: str, device: Any = "cpu", *, backend: str | None = None) -> safe_open:
    """safe_open of what a file object with fileno() and name has open."""

def serialize(
    tensor_dict: MappingOf[str, TensorSpec | dict[str, Any]], metadata: dict[str, str] | None = None
) -> bytes:
    """A safetensors file of {name: TensorSpec} (or of 0.7's {name: {"dtype", "shape", "data"}}), as bytes."""

def serialize_file(
    tensor_dict: MappingOf[str, TensorSpec | dict[str, Any]],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Writes the same to a file, which appears complete or not at all; `durable` waits until it is on the disk."""

def deserialize(bytes: Buffer) -> list[tuple[str, dict[str, Any]]]:
    """[(name, {"shape", "dtype", "data"}), ...] of a whole file in memory, in the order of its bytes."""

def is_model_file_name(path: str | os.PathLike[str]) -> bool:
    """Returns whether the name is that of a model's file (weights, an index, JSON), not of a repository ORG/NAME."""

class OpenWeights:
    """The table behind depickle.open."""

    def __init__(self, path: str | os.PathLike[str], framework: str, root: str) -> None: ...
    def tensor(self, name: str) -> Any: ...
    def info(self, name: str) -> tuple[str, tuple[int, ...], tuple[int, ...], int]: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __len__(self) -> int: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def container(self) -> str: ...
    @property
    def files(self) -> list[str]: ...
    @property
    def root(self) -> str: ...
    @property
    def leftovers(self) -> dict[str, str]: ...
    @property
    def unsupported(self) -> dict[str, str]: ...
    @property
    def notes(self) -> list[str]: ...

def torch_load(
    source: str | int | bytearray,
    name: str,
    restore: Callable[[Any, str], Any] | None,
    also_of_cpu: bool,
    inert: Callable[[str, str, Any, Any], Any] | None,
) -> Any:
    """What torch.load would return of a torch file; nothing in it is imported or called."""
