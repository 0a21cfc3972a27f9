"""A drop-in replacement for the package `safetensors` 0.8: the same functions, arguments and files, and more.

`torch`, `numpy`, `flax`, `tensorflow`, `paddle` and `mlx` are submodules, as upstream; each is imported at its first
use. `install()` replaces `safetensors` by this package for the whole process.
"""

TYPE_CHECKING = False  # importing typing takes longer than importing this package
if TYPE_CHECKING:
    from depickle._core import (
        SafetensorError,
        TensorSpec,
        _safe_open_handle,
        deserialize,
        safe_open,
        serialize,
        serialize_file,
    )
    from depickle.safetensors._install import Installed

__version__ = "0.8.0"
"""The version of safetensors whose API this package implements."""

__all__ = [
    "SafetensorError",
    "TensorSpec",
    "__version__",
    "_safe_open_handle",
    "deserialize",
    "install",
    "safe_open",
    "serialize",
    "serialize_file",
    "uninstall",
]

_COMPILED = {
    "SafetensorError",
    "TensorSpec",
    "_safe_open_handle",
    "deserialize",
    "safe_open",
    "serialize",
    "serialize_file",
}


def __getattr__(name: str) -> object:
    """Loads the extension module at the first use of one of its names, and copies all of them to this module."""
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from depickle import _core

    globals().update({each: getattr(_core, each) for each in _COMPILED})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def install() -> "Installed":
    """Replaces `safetensors` by this package, for the whole process.

    `import safetensors`, `from safetensors.torch import load_file` and so on then import this package, whether the real
    one is installed or not. Modules that imported the real package before are changed too: their global names for its
    modules, functions and classes refer to ours. Other references (default arguments, closures, attributes of objects)
    stay as they are. Upstream's SafetensorError becomes a base class of ours, so `except` clauses with upstream's class
    catch both.

    Returns a context manager that undoes the installation. A second call does nothing.
    """
    from depickle.safetensors import _install

    return _install.install()


def uninstall() -> None:
    """Undoes `install`: restores `safetensors` and the names of other modules that referred to it.

    Modules that were imported in between keep their names for our package. Without a previous `install`, nothing
    happens.
    """
    from depickle.safetensors import _install

    _install.uninstall()
