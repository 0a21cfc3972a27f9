"""Loads and converts machine-learning models without executing their pickles.

Importing the package is cheap: each name below is loaded at its first use.

depickle.safetensors    a drop-in replacement for the package `safetensors`
depickle.torch          `load`, which returns the same values as `torch.load` and executes nothing
open, from_pretrained   open weights of any format, from a path or from the Hub, without copying them
convert, compare, scan, check, verify, inspect, download
                        the commands of the program `depickle`, as functions
forbid_pickle           makes every unpickling of weights raise
"""

_MODULE_OF_NAME = {
    "__version__": "_core",
    "check": "_commands",
    "compare": "_commands",
    "convert": "_commands",
    "download": "_commands",
    "forbid_pickle": "_forbid",
    "from_pretrained": "_load",
    "inspect": "_commands",
    "open": "_load",
    "scan": "_commands",
    "verify": "_commands",
}
_SUBMODULES = ("safetensors", "torch")

__all__ = [*_MODULE_OF_NAME, *_SUBMODULES]


def __getattr__(name):
    from importlib import import_module  # importing importlib takes as long as a third of this package

    if name in _SUBMODULES:
        return import_module(f"depickle.{name}")
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'depickle' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"depickle.{_MODULE_OF_NAME[name]}"), name)
    return value


def __dir__():
    return sorted({*globals(), *__all__})
