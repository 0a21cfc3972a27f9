"""`safetensors.numpy`: numpy arrays in safetensors files. Loaded arrays point into the mapped file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from depickle.safetensors import SafetensorError, TensorSpec, _files, deserialize, safe_open, serialize


def save(tensor_dict: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file. Strides and byte order are handled as in `save_file`."""
    alive: list[Any] = []
    return serialize(_flatten(tensor_dict, alive), metadata)


def save_file(
    tensor_dict: Mapping[str, np.ndarray],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the arrays to a path, atomically, or to an open file.

    Strided, Fortran-ordered and big-endian arrays are converted to little-endian C order in a copy. All others are
    written without a copy and must not change meanwhile. The bytes are synced to the disk only with `durable`.
    """
    alive: list[Any] = []
    _files.save(_flatten(tensor_dict, alive), filename, metadata, durable)


def load(data: _files.Data) -> dict[str, np.ndarray]:
    """Returns copies of the arrays of a safetensors file in memory (any buffer) or of an open file."""
    return _view2np(deserialize(_files.content(data)))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of a file, ordered by offset; an open file is read from its current position.

    The arrays point into a private mapping, so writing to one does not change the file. BF16 and F8 need the package
    ml_dtypes.
    `backend` is that of `safe_open`.
    """
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="np", backend=backend) as file:
        return file.get_tensors()


_TYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "U64": np.uint64,
    "I32": np.int32,
    "U32": np.uint32,
    "I16": np.int16,
    "U16": np.uint16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": bool,
    "C64": np.complex64,
}

_OF_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}


def _getdtype(dtype_str: str) -> Any:
    if dtype_str in _TYPES:
        return _TYPES[dtype_str]
    if dtype_str not in _OF_ML_DTYPES:
        raise SafetensorError(f"Dtype not understood: {dtype_str}")
    name = _OF_ML_DTYPES[dtype_str]
    try:
        import ml_dtypes
    except ImportError as error:
        text = f"numpy has no dtype for {dtype_str}: install ml_dtypes, which has {name}"
        raise SafetensorError(text) from error
    return getattr(ml_dtypes, name)


def _view2np(safeview: Iterable[tuple[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(v["data"], _getdtype(v["dtype"])).reshape(v["shape"]) for name, v in safeview}


def _is_little_endian(tensor: np.ndarray) -> bool:
    order = tensor.dtype.byteorder
    if order not in "=|<>":
        raise ValueError(f"Unexpected byte order {order}")
    return order != ">" and (order != "=" or sys.byteorder == "little")


def _as_stored(name: str, tensor: Any) -> np.ndarray:
    """Returns the array in little-endian C order, as a copy if necessary."""
    if not isinstance(tensor, (np.ndarray, np.generic)):
        raise ValueError(f"Key `{name}` is invalid, expected np.ndarray but received {type(tensor)}")
    return np.asarray(tensor.astype(tensor.dtype.newbyteorder("<"), order="C", copy=False))


def _flatten(tensor_dict: Mapping[str, np.ndarray], keep_alive_buffer: list[Any]) -> dict[str, TensorSpec]:
    """Returns the argument of `serialize`. Its pointers are valid while `keep_alive_buffer` exists."""
    flattened = {}
    for name, tensor in tensor_dict.items():
        stored = _as_stored(name, tensor)
        keep_alive_buffer.append(stored)
        flattened[name] = TensorSpec(
            dtype=stored.dtype.name,
            shape=stored.shape,
            data_ptr=stored.ctypes.data,
            data_len=stored.nbytes,
        )
    return flattened
