"""`safetensors.paddle`: Paddle tensors in safetensors files."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import paddle

from depickle.safetensors import SafetensorError, TensorSpec, _files, deserialize, numpy, safe_open, serialize


def save(tensors: dict[str, paddle.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file with the tensors. Raises as `save_file` does."""
    alive: list[Any] = []
    return serialize(_flatten(tensors, alive), metadata)


def save_file(
    tensors: dict[str, paddle.Tensor],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the tensors to a path, atomically, or to an open file.

    Tensors on the CPU are written without a copy; those on other devices are copied to the CPU first. Raises ValueError
    for tensors that are not contiguous. The bytes are synced to the disk only with `durable`.
    """
    alive: list[Any] = []
    _files.save(_flatten(tensors, alive), filename, metadata, durable)


def load(data: _files.Data, device: str = "cpu") -> dict[str, paddle.Tensor]:
    """Returns the tensors of a safetensors file in memory (any object with the buffer protocol) or of an open file."""
    if _reads_buffers():
        return _view2paddle(deserialize(_files.content(data)), device)
    return _np2paddle(numpy.load(data), device)


def load_file(filename: _files.Source, device: str = "cpu", *, backend: str | None = None) -> dict[str, paddle.Tensor]:
    """Returns the tensors of a file; an open file is read from its current position.

    `device` and `backend` are those of `safe_open`.
    """
    if _files.is_readable(filename):
        return load(filename, device)
    if not _reads_buffers():
        return _np2paddle(numpy.load_file(filename, backend=backend), device)
    with safe_open(filename, framework="paddle", device=device, backend=backend) as file:
        return file.get_tensors()


def _reads_buffers() -> bool:
    """Whether Paddle supports buffers (since 3.2; 0.0.0 is a build of its main branch)."""
    major, minor = map(int, paddle.__version__.split(".")[:2])
    return (major, minor) >= (3, 2) or (major, minor) == (0, 0)


def _np2paddle(numpy_dict: Mapping[str, np.ndarray], device: str = "cpu") -> dict[str, paddle.Tensor]:
    return {name: paddle.to_tensor(array, place=device) for name, array in numpy_dict.items()}


def _paddle2np(paddle_dict: Mapping[str, paddle.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in paddle_dict.items()}


_SIZE = {
    paddle.int64: 8,
    paddle.float32: 4,
    paddle.int32: 4,
    paddle.bfloat16: 2,
    paddle.float16: 2,
    paddle.int16: 2,
    paddle.uint8: 1,
    paddle.int8: 1,
    paddle.bool: 1,
    paddle.float64: 8,
    paddle.float8_e4m3fn: 1,
    paddle.float8_e5m2: 1,
    paddle.complex64: 8,
}

_TYPES = {
    "F64": paddle.float64,
    "F32": paddle.float32,
    "F16": paddle.float16,
    "BF16": paddle.bfloat16,
    "I64": paddle.int64,
    "I32": paddle.int32,
    "I16": paddle.int16,
    "I8": paddle.int8,
    "U8": paddle.uint8,
    "BOOL": paddle.bool,
    "F8_E4M3": paddle.float8_e4m3fn,
    "F8_E5M2": paddle.float8_e5m2,
    "C64": paddle.complex64,
}

NPDTYPES = {
    paddle.int64: np.int64,
    paddle.float32: np.float32,
    paddle.int32: np.int32,
    paddle.bfloat16: np.float16,
    paddle.float16: np.float16,
    paddle.int16: np.int16,
    paddle.uint8: np.uint8,
    paddle.int8: np.int8,
    paddle.bool: bool,
    paddle.float64: np.float64,
    paddle.float8_e4m3fn: np.uint8,
    paddle.float8_e5m2: np.uint8,
}
"""numpy dtypes of the same width."""


def _getdtype(dtype_str: str) -> Any:
    if dtype_str not in _TYPES:
        raise SafetensorError(f"Dtype not understood: {dtype_str}")
    return _TYPES[dtype_str]


def _view2paddle(safeview: Iterable[tuple[str, Any]], device: str) -> dict[str, paddle.Tensor]:
    """Returns tensors over the buffers that `deserialize` returned."""
    tensors = {}
    for name, view in safeview:
        dtype = _getdtype(view["dtype"])
        if len(view["data"]):
            tensor = paddle.base.core.frombuffer(view["data"], dtype).reshape(view["shape"])
        else:
            tensor = paddle.empty(view["shape"], dtype=dtype)
        tensors[name] = tensor if device == "cpu" else tensor.to(device)
    return tensors


def _to_ndarray(tensor: paddle.Tensor, name: str) -> tuple[np.ndarray, paddle.Tensor]:
    """Returns the bytes as an array of uint8, and the tensor whose memory it uses."""
    if not tensor.is_contiguous():
        raise ValueError(
            f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you"
            " are trying to save tensors which are reference of each other in which case it's recommended to save"
            " only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to"
            " pack it before saving."
        )
    stored = tensor if tensor.place.is_cpu_place() else tensor.cpu()
    size = int(np.prod(stored.shape)) * _SIZE[stored.dtype]
    if size == 0:
        return np.empty(0, np.uint8), stored
    memory = ctypes.cast(stored.data_ptr(), ctypes.POINTER(ctypes.c_ubyte))
    return np.ctypeslib.as_array(memory, (size,)), stored


def _flatten(tensors: dict[str, paddle.Tensor], keep_alive_buffer: list[Any]) -> dict[str, TensorSpec]:
    """Returns the argument of `serialize`. Its pointers are valid while `keep_alive_buffer` exists."""
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, paddle.Tensor] but received {type(tensors)}")
    for name, tensor in tensors.items():
        if not isinstance(tensor, paddle.Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected paddle.Tensor but received {type(tensor)}")

    flattened = {}
    for name, tensor in tensors.items():
        array, stored = _to_ndarray(tensor, name)
        keep_alive_buffer.append((array, stored))
        flattened[name] = TensorSpec(
            dtype=str(tensor.dtype).removeprefix("paddle."),
            shape=tensor.shape,
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
    return flattened
