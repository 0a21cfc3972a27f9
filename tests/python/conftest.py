"""Tests of the program with real torch and the real safetensors.

The program is build/release/bin/depickle, or the one in the folder DEPICKLE_BIN_DIR.
"""
import signal
import warnings

import pytest
import torch

from program import PROGRAM


def pytest_configure(config):
    # A shell starts a background process with SIGINT ignored, and the programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.filterwarnings(
        "ignore", message=".*(TypedStorage|quantize|Sparse|nested|complex32|ComplexHalf|non-writable).*"
    )
    if not PROGRAM.exists():
        raise pytest.UsageError(f"{PROGRAM} is not built: ./test builds it")


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(3)
