"""depickle takes machine-learning models out of pickle: nothing in a file is ever executed.

Importing it costs nothing: each name below is loaded when it is first used.

depickle.safetensors    a drop-in for the package `safetensors`
depickle.torch          `load`, which returns what `torch.load` would, and executes nothing
open, from_pretrained   weights of any format, from a path or from the Hub, without copying them
convert, compare, scan, check, verify, inspect, download
                        the commands of the program `depickle`, as functions
forbid_pickle           makes every unpickling of weights raise
"""

_HOMES = {
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
_MODULES = ("safetensors", "torch")

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name):
    from importlib import import_module  # a third of what importing this package would cost

    if name in _MODULES:
        return import_module(f"depickle.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'depickle' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"depickle.{_HOMES[name]}"), name)
    return value


def __dir__():
    return sorted({*globals(), *__all__})
