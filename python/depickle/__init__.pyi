from . import safetensors as safetensors
from . import torch as torch
from ._core import __version__ as __version__
from ._forbid import forbid_pickle as forbid_pickle
from ._commands import check as check
from ._commands import compare as compare
from ._commands import convert as convert
from ._commands import download as download
from ._load import from_pretrained as from_pretrained
from ._commands import inspect as inspect
from ._commands import scan as scan
from ._commands import verify as verify
from ._load import open as open

__all__ = [
    "__version__",
    "check",
    "compare",
    "convert",
    "download",
    "forbid_pickle",
    "from_pretrained",
    "inspect",
    "open",
    "scan",
    "verify",
    "safetensors",
    "torch",
]
