"""A mapping from tensor names to tensors, for weights of any format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from depickle import _core


class TensorInfo(NamedTuple):
    """A tensor as the file describes it. `dtype` has safetensors' spelling ("BF16"); `strides` count elements."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    nbytes: int


class Weights(Mapping[str, Any]):
    """The tensors of a model by name. Each is created at its first use.

    A tensor whose bytes are contiguous in the file is not copied: it points into a private mapping of the file, and
    writing to it does not change the file. Tensors stay valid after the Weights object is closed or deleted.
    Thread-safe.
    """

    def __init__(self, table: _core.OpenWeights):
        self._table: _core.OpenWeights | None = table

    @property
    def _open(self) -> _core.OpenWeights:
        if self._table is None:
            raise ValueError("weights are closed")
        return self._table

    def __getitem__(self, name: str) -> Any:
        return self._open.tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._open.names)

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._open

    def get_tensor(self, name: str) -> Any:
        """Returns `weights[name]`."""
        return self[name]

    def info(self, name: str) -> TensorInfo:
        """Returns a tensor's dtype, shape and strides without reading its bytes."""
        return TensorInfo(*self._open.info(name))

    def to_dict(self) -> dict[str, Any]:
        """Returns all tensors, in the file's order."""
        return {name: self[name] for name in self}

    @property
    def metadata(self) -> dict[str, str]:
        """`__metadata__` of a safetensors file."""
        return self._open.metadata

    @property
    def container(self) -> str:
        """"safetensors", "torch zip", "torch legacy", "torch tar" or "pickle"."""
        return self._open.container

    @property
    def files(self) -> list[str]:
        """The files that contain the weights; the first is the file that was opened."""
        return self._open.files

    @property
    def root(self) -> str:
        """The part of a nested checkpoint that was opened ("state_dict"); empty for the whole."""
        return self._open.root

    @property
    def leftovers(self) -> dict[str, str]:
        """Values in the file that are not weights: path to description."""
        return self._open.leftovers

    @property
    def unsupported(self) -> dict[str, str]:
        """Tensors in the file that cannot be opened (sparse, quantized …): name to description."""
        return self._open.unsupported

    @property
    def notes(self) -> list[str]:
        """Unusual properties of the container."""
        return self._open.notes

    def close(self) -> None:
        """Closes the files. Tensors stay valid."""
        self._table = None

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._table is None:
            return "Weights(closed)"
        return f"Weights({self.container}, {len(self)} tensors, {self.files[0]!r})"

    # Mapping's own would compare all tensors.
    __eq__ = object.__eq__
    __hash__ = object.__hash__
