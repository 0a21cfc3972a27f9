"""A drop-in for the package `safetensors` 0.8: the same functions, arguments and files, and more.

`torch`, `numpy`, `flax`, `tensorflow`, `paddle` and `mlx` are submodules, as there; none of them is imported before it
is asked for. `install()` puts all of it in the place of `safetensors` for the whole process.
"""

TYPE_CHECKING = False  # typing costs more to import than all of this
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
"""The version of safetensors whose API this is."""

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
    """The extension module is loaded when something of it is first asked for; from then on its names are here."""
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from depickle import _core

    globals().update({each: getattr(_core, each) for each in _COMPILED})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def install() -> "Installed":
    """Puts this package in the place of `safetensors`, for the whole process.

    From now on `import safetensors`, `from safetensors.torch import load_file` and so on give what is here, whether the
    real package is installed or not. Modules that imported the real one before are changed too: what they hold of it
    under a name of their own (a module, a function, a class) becomes ours. Copies elsewhere (default arguments,
    closures, attributes of objects) stay as they were. Upstream's SafetensorError becomes a base class of ours, so that
    whoever catches it catches both.

    What is returned is a context manager that undoes it. Installing twice is installing once.
    """
    from depickle.safetensors import _install

    return _install.install()


def uninstall() -> None:
    """Undoes `install`: what was in the place of `safetensors`, and what others held of it, is there again.

    Modules that were imported in between keep what they imported. Without `install` before, nothing happens.
    """
    from depickle.safetensors import _install

    _install.uninstall()
