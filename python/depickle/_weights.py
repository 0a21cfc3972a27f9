"""Weights in any format, by tensor name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from depickle import _core


class TensorInfo(NamedTuple):
    """What the file says of a tensor. `dtype` as safetensors spells it ("BF16"), `strides` in elements."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    nbytes: int


class Weights(Mapping[str, Any]):
    """The tensors of a model by name, each made when it is asked for.

    Tensors that lie in a file as they are needed are not copied: they live in the mapped file, and writing to them
    never changes it. A tensor outlives its Weights. May be used from several threads.
    """

    def __init__(self, table: _core.OpenWeights):
        self._table: _core.OpenWeights | None = table

    @property
    def _open(self) -> _core.OpenWeights:
        if self._table is None:
            raise ValueError("these weights are closed")
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
        """The same as `weights[name]`."""
        return self[name]

    def info(self, name: str) -> TensorInfo:
        """What the file says of a tensor; its bytes are not touched."""
        return TensorInfo(*self._open.info(name))

    def to_dict(self) -> dict[str, Any]:
        """All tensors, in the file's order."""
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
        """The files that are read; the first is the one that was named, or found."""
        return self._open.files

    @property
    def root(self) -> str:
        """The part of a nested checkpoint that this is ("state_dict"); empty for the whole."""
        return self._open.root

    @property
    def leftovers(self) -> dict[str, str]:
        """What is in the file and is no weight, by its path, in words."""
        return self._open.leftovers

    @property
    def unsupported(self) -> dict[str, str]:
        """Tensors that are in the file and not here (sparse, quantized …), in words."""
        return self._open.unsupported

    @property
    def notes(self) -> list[str]:
        """What a careful reader should know about the container."""
        return self._open.notes

    def close(self) -> None:
        """Lets go of the files. Tensors stay valid."""
        self._table = None

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._table is None:
            return "Weights(closed)"
        return f"Weights({self.container}, {len(self)} tensors, {self.files[0]!r})"

    # Of a Mapping these would compare all tensors.
    __eq__ = object.__eq__
    __hash__ = object.__hash__
