"""A row of docs/layouts.md: the checkpoint of a project, and the answer of depickle."""
import dataclasses
import functools
import re
import warnings
from typing import Callable

import torch

from layouts import pieces


@dataclasses.dataclass(frozen=True)
class Layout:
    """One file of one project.

    `names` are the tensors of the part, as pieces.state() reads them. `build` makes the checkpoint from them. `part` is
    the part that is taken: "" for the whole file, None if the file is not a model. If `candidates` are given, depickle
    asks, and `part` is the part that the project itself loads for inference. If `taken` is given, depickle takes that
    part, and `part` is the part that the project loads.
    """

    project: str
    file: str
    source: str
    names: str
    build: Callable
    part: str | None = ""
    candidates: str = ""
    taken: str = ""
    unused: str | None = None
    dtype: torch.dtype = torch.float32
    write: Callable = torch.save

    @property
    def title(self):
        return f"{self.project}: {self.file}"

    @functools.cached_property
    def shown_names(self):
        return re.sub(r"\[[\dx]*\]", "", self.names)

    def make(self, path):
        """Writes the file. Returns (tensors of `part`, paths beside it, the checkpoint)."""
        with pieces.stand_ins(), warnings.catch_warnings(action="ignore", category=UserWarning):
            tensors = pieces.state(self.names, self.dtype)
            checkpoint = self.build(tensors)
            self.write(checkpoint, path)
        return tensors, self.unused_of(checkpoint, self.part), checkpoint

    def unused_of(self, checkpoint, part):
        """Returns `unused`, or the keys beside the path of `part`."""
        if self.unused is not None:
            return self.unused.split()
        paths, prefix = [], ""
        for key in part.split(".") if part else []:
            entries = checkpoint if isinstance(checkpoint, dict) else vars(checkpoint)
            paths += [f"{prefix}{name}" for name in entries if name != key]
            checkpoint, prefix = entries[key], f"{prefix}{key}."
        return paths

    def tensors_of(self, checkpoint, part):
        """Returns the state dict at the path `part` of the checkpoint."""
        for key in part.split("."):
            checkpoint = checkpoint[key]
        return checkpoint.state_dict() if isinstance(checkpoint, torch.nn.Module) else checkpoint
