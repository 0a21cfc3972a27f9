"""`open` opens the weights at a path or an address, `from_pretrained` those that a model library would load."""

from __future__ import annotations

import os
import pickle

from depickle import _commands, _core
from depickle._commands import Address, Progress, Token
from depickle._weights import Weights


def open(addr: str | os.PathLike[str], framework: str = "pt", root: str = "") -> Weights:
    """Opens the weights in a safetensors or torch file, an index of shards, or a folder with one model.

    The format is detected from the content. `addr` may also be on the Hub (hf://ORG/NAME[@REV][/PATH], the URL of a
    page, or ORG/NAME[@REV] if no such path exists): it is downloaded into the cache first. `framework` selects the
    type of the tensors: "pt", "np", "tf", "jax", "mlx", "paddle". `root` is the part of a nested checkpoint
    ("state_dict"; "." is all of it); without it, the part with the model's weights is searched. Nothing in a pickle is
    executed.
    """
    address = os.fsdecode(addr)
    is_url = address.startswith(("hf://", "https://", "http://"))
    if is_url or (not os.path.exists(address) and _is_repository(address)):
        address = _download(address)
    return Weights(_core.OpenWeights(address, framework, root))


def _is_repository(addr: str) -> bool:
    """Whether `addr` has the form ORG/NAME[@REV] and does not look like a path."""
    parts = addr.split("/")
    if len(parts) != 2 or _core.is_model_file_name(addr):
        return False
    return all(part and not part.startswith((".", "~")) for part in parts)


def _download(address: str) -> str:
    """Downloads the model or the file at `address` and returns its path in the cache."""
    found = _commands.download(address, only_weights=True)
    if len(found.models) > 1:
        names = ", ".join(model.name for model in found.models)
        raise ValueError(f"{address}: is a pipeline of several models ({names})\nhint: name the file of one model")
    return found.models[0].path if found.models else found.path


def from_pretrained(
    repo_or_path: Address,
    *,
    revision: str | None = None,
    framework: str = "pt",
    variant: str | None = None,
    subfolder: str | None = None,
    paranoid: bool = False,
    cache_dir: Address | None = None,
    token: Token = None,
    progress: Progress = None,
) -> Weights:
    """Opens the weights that a model library would load from a repository (through the cache) or from an existing path.

    safetensors files are preferred. A pickle is read without executing it; with `paranoid` it is refused.
    """
    address = os.fsdecode(repo_or_path)
    if os.path.exists(address):
        if revision or variant:
            raise ValueError(f"{address}: is a path (revision and variant need a repository)")
        path = os.path.join(address, subfolder) if subfolder else address
        if paranoid:
            _refuse_pickles(path)
        return open(path, framework=framework)
    found = _commands.download(
        address,
        revision=revision,
        variant=variant,
        subfolder=subfolder,
        paranoid=paranoid,
        only_weights=True,
        cache_dir=cache_dir,
        token=token,
        progress=progress,
    )
    if len(found.models) > 1:
        names = ", ".join(model.name for model in found.models)
        raise ValueError(f"{address}: is a pipeline of several models\nhint: choose one with subfolder=: {names}")
    return open(found.models[0].path if found.models else found.path, framework=framework)


def _refuse_pickles(path: str) -> None:
    container = _commands.inspect(path).container
    if not container.startswith("safetensors"):
        raise pickle.UnpicklingError(f"{path}: is a pickle\nhint: depickle.convert converts it to safetensors")
