"""A saved model, for tests with threads, processes and changing files."""

import pytest
import torch

from depickle.safetensors.torch import save_file

BACKENDS = ["mmap", "pread"]
TENSORS = {
    f"layer.{index}": torch.arange(index, index + 6000, dtype=torch.float32).view(60, 100) for index in range(40)
}


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
