"""Opens weights: `open`, of a path or an address, and `from_pretrained`, of what a model library would load."""

from __future__ import annotations

import os
import pickle

from depickle import _commands, _core
from depickle._commands import Address, Progress, Token
from depickle._weights import Weights


def open(addr: str | os.PathLike[str], framework: str = "pt", root: str = "") -> Weights:
    """Opens weights, whatever holds them: a safetensors or torch file, an index of shards, a folder with one model.

    What it is is found by content. `addr` may also be on the Hub (hf://ORG/NAME[@REV][/PATH], a page's address, or
    ORG/NAME[@REV] where there is no such path): it is fetched into the cache first. `framework` makes the tensors:
    "pt", "np", "tf", "jax", "mlx", "paddle". `root` is the part of a nested checkpoint ("state_dict"; "." is all of
    it); without it, the model's weights are looked for. Nothing in a pickle is executed.
    """
    place = os.fsdecode(addr)
    if place.startswith(("hf://", "https://")) or (not os.path.exists(place) and _is_repository(place)):
        place = _fetched(place)
    return Weights(_core.OpenWeights(place, framework, root))


def _is_repository(addr: str) -> bool:
    """ORG/NAME[@REV], and by its look no path."""
    parts = addr.split("/")
    if len(parts) != 2 or _core.is_model_file_name(addr):
        return False
    return all(part and not part.startswith((".", "~")) for part in parts)


def _fetched(address: str) -> str:
    """Where the model, or the file that the address names, is in the cache."""
    found = _commands.download(address, only_weights=True)
    if len(found.models) > 1:
        names = ", ".join(model.name for model in found.models)
        raise ValueError(f"{address}: is a pipeline of several models ({names})\nhint: name the file of one")
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
    """Opens the weights that a model library would load: of a repository, through the cache, or of a path that exists.

    safetensors is taken where there is any; a pickle is read without executing it, or with `paranoid` refused.
    """
    place = os.fsdecode(repo_or_path)
    if os.path.exists(place):
        if revision or variant:
            raise ValueError(f"{place}: is a path; a revision or a variant is chosen in a repository")
        place = os.path.join(place, subfolder) if subfolder else place
        if paranoid:
            _refuse_pickles(place)
        return open(place, framework=framework)
    found = _commands.download(
        place,
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
        raise ValueError(f"{place}: is a pipeline of several models\nhint: choose one as subfolder: {names}")
    return open(found.models[0].path if found.models else found.path, framework=framework)


def _refuse_pickles(place: str) -> None:
    container = _commands.inspect(place).container
    if not container.startswith("safetensors"):
        raise pickle.UnpicklingError(f"{place}: is a pickle\nhint: depickle.convert makes safetensors of it")
