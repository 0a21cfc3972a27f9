"""`safetensors.tensorflow`: TensorFlow tensors in safetensors files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from depickle.safetensors import _files, numpy, safe_open


def save(tensors: Mapping[str, tf.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Returns the bytes of a safetensors file with the tensors."""
    return numpy.save(_tf2np(tensors), metadata)


def save_file(
    tensors: Mapping[str, tf.Tensor],
    filename: _files.Target,
    metadata: dict[str, str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Saves the tensors to a path, atomically, or to an open file.

    The bytes are synced to the disk only with `durable`.
    """
    numpy.save_file(_tf2np(tensors), filename, metadata, durable=durable)


def load(data: _files.Data) -> dict[str, tf.Tensor]:
    """Returns the tensors of a safetensors file in memory (any object with the buffer protocol) or of an open file."""
    return _np2tf(numpy.load(data))


def load_file(filename: _files.Source, *, backend: str | None = None) -> dict[str, tf.Tensor]:
    """Returns the tensors of a file; an open file is read from its position. `backend` is that of `safe_open`."""
    if _files.is_readable(filename):
        return load(filename)
    with safe_open(filename, framework="tf", backend=backend) as file:
        return file.get_tensors()


def _np2tf(numpy_dict: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(array) for name, array in numpy_dict.items()}


def _tf2np(tf_dict: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: np.asarray(tensor.numpy()) for name, tensor in tf_dict.items()}
