"""Upstream's compiled module has this name; some programs import from it, and pickles of its exception name it."""

from depickle.safetensors import (  # noqa: F401
    SafetensorError,
    TensorSpec,
    __version__,
    _safe_open_handle,
    deserialize,
    safe_open,
    serialize,
    serialize_file,
)
