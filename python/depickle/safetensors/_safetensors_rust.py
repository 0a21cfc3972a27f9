"""The name of upstream's compiled module, which some import from, and which old pickles of its exception name."""

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
