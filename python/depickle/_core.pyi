"""The extension module. `depickle` and `depickle.safetensors` re-export its public names."""

import os
from collections.abc import Callable, Iterator, Mapping as MappingOf, Sequence
from types import TracebackType
from typing import Any, Protocol, final

from typing_extensions import Buffer, Self

__version__: str

class SafetensorError(Exception):
    """A safetensors file is invalid, or its tensors cannot be saved."""

class FileNotFound(FileNotFoundError):
    """A safetensors file that does not exist."""

@final
class Mapping:
    """A private mapping of a file, as a writable buffer. Writing to it does not change the file."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

class _OpenFile(Protocol):
    @property
    def name(self) -> Any: ...
    def fileno(self) -> int: ...

@final
class TensorSpec:
    """A tensor to save: dtype, shape, and the address of its bytes in C order.

    The caller keeps the memory alive until it is written. `shape` is that of the framework: the last dimension of
    float4_e2m1fn_x2 counts pairs.
    """

    def __init__(self, *, dtype: str, shape: Sequence[int], data_ptr: int, data_len: int) -> None: ...
    @property
    def dtype(self) -> str:
        """The dtype in the format's spelling: "F32"."""
    @property
    def shape(self) -> list[int]:
        """The shape in the header."""
    @property
    def data_ptr(self) -> int: ...
    @property
    def data_len(self) -> int: ...

@final
class PySafeSlice:
    """A tensor that is read only as far as it is indexed: slice[2:, :8]."""

    def get_shape(self) -> list[int]:
        """The shape in the file's header."""
    def get_dtype(self) -> str:
        """The dtype in the format's spelling, such as "F32"."""
    def __getitem__(self, index: Any, /) -> Any: ...

class safe_open:
    """An open safetensors file, whose tensors are created on request.

    framework  pt, torch, pytorch; np, numpy; tf, tensorflow; jax, flax; mlx; paddle
    device     the device of the tensors: a name, a number or a torch.device
    backend    "mmap": tensors point into a mapping of the file; "pread": several threads read them into memory;
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
        """Closes the file. Its tensors and slices stay valid."""
    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
    def offset_keys(self) -> list[str]:
        """The names of the tensors, in the order of their bytes."""
    def metadata(self) -> dict[str, str] | None:
        """The `__metadata__` of the file; None if it has none."""
    def get_tensor(self, name: str) -> Any:
        """Returns a whole tensor."""
    def get_tensors(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Returns tensors by name, in the order of `names`; if None, all tensors in the order of their bytes."""
    def get_slice(self, name: str) -> PySafeSlice:
        """Returns a tensor to index; only the indexed part is read."""
    def __len__(self) -> int: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

def _safe_open_handle(f: _OpenFile, framework: str, device: Any = "cpu", *, backend: str | None = None) -> safe_open:
    """Returns safe_open of an open file, which has `fileno()` and `name`."""

def serialize(
    tensor_dict: MappingOf[str, TensorSpec | dict[str, Any]], metadata: dict[str, str] | None = None
) -> bytes:
    """Returns a safetensors file with the tensors {name: TensorSpec}, or 0.7's {name: {"dtype", "shape", "data"}}."""

def serialize_file(
    tensor_dict: MappingOf[str, TensorSpec | dict[str, Any]],
    filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Writes a safetensors file atomically; with `durable` the call returns after the file is synced."""

def deserialize(bytes: Buffer) -> list[tuple[str, dict[str, Any]]]:
    """Returns [(name, {"shape", "dtype", "data"}), ...] for a file in memory, in the order of its bytes."""

def is_model_file_name(path: str | os.PathLike[str]) -> bool:
    """Returns whether the name is that of a model's file (weights, an index, JSON), not of a repository ORG/NAME."""

class OpenWeights:
    """The implementation of depickle.open."""

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
    """Returns the values that torch.load would return; nothing that the file names is imported or called."""
