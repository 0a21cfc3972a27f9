"""Helpers for tests of the program's commands as functions."""
import pytest
import torch
from safetensors.torch import load_file

from depickle import _program


@pytest.fixture
def checkpoint(tmp_path):
    """A training checkpoint with tied tensors."""
    weight = torch.arange(600.0).view(20, 30)
    torch.save({"state_dict": {"weight": weight, "lm_head.weight": weight}, "epoch": 3}, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Replaces the program by a shell script."""
    def replace(script):
        program = tmp_path / "fake"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        monkeypatch.setattr(_program, "_BUNDLED", str(tmp_path / "missing"))
        monkeypatch.setenv("DEPICKLE_PROGRAM", str(program))
    return replace


def bits(tensor):
    return tensor.dtype, tensor.shape, tensor.contiguous().view(torch.uint8).numpy().tobytes()


def converted_as(checkpoint, target):
    ours, theirs = load_file(target), torch.load(checkpoint, weights_only=True)["state_dict"]
    return all(bits(ours[name]) == bits(theirs[name]) for name in ours)
