"""Tests the package in DEPICKLE_PYTHON_DIR, else that in build/release."""

import os
import pathlib
import signal
import sys

import numpy as np
import pytest

BUILT = pathlib.Path(__file__).parents[2] / "build/release/python"

# Before the root of the repository, whose folder `depickle` looks like a package of the same name.
sys.path.insert(0, os.path.abspath(os.environ.get("DEPICKLE_PYTHON_DIR", BUILT)))

# A shell starts background processes with SIGINT ignored, and child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def gpt():
    """The state dict of a small GPT-2, as numpy arrays in the order of the model."""
    random = np.random.default_rng(6)
    shapes = {"wte.weight": (97, 16), "wpe.weight": (32, 16)}
    for layer in range(3):
        shapes |= {
            f"h.{layer}.ln_1.weight": (16,),
            f"h.{layer}.ln_1.bias": (16,),
            f"h.{layer}.attn.c_attn.weight": (16, 48),
            f"h.{layer}.attn.c_attn.bias": (48,),
            f"h.{layer}.mlp.c_fc.weight": (16, 64),
            f"h.{layer}.mlp.c_proj.weight": (64, 16),
        }
    return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
