from . import safetensors as safetensors
from . import torch as torch
from ._core import __version__ as __version__
from ._forbid import forbid_pickle as forbid_pickle
from ._jobs import check as check
from ._jobs import compare as compare
from ._jobs import convert as convert
from ._jobs import download as download
from ._jobs import from_pretrained as from_pretrained
from ._jobs import inspect as inspect
from ._jobs import scan as scan
from ._jobs import verify as verify
from ._weights import open as open

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
