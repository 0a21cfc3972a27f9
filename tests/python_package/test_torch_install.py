"""depickle.torch.install replaces torch.load in the whole process."""

import os
import pickle

import pytest
import torch

import depickle.torch


class RunsACommand:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pt"


@pytest.fixture
def installed():
    depickle.torch.install()
    yield
    depickle.torch.uninstall()


def test_install_and_uninstall(path):
    original = torch.load
    depickle.torch.install()
    depickle.torch.install()
    assert torch.load is not original and torch.serialization.load is torch.load
    depickle.torch.uninstall()
    assert torch.load is original and torch.serialization.load is original
    depickle.torch.uninstall()
    assert torch.load is original


def test_torch_load_after_install(path, installed):
    torch.save({"a": torch.ones(3)}, path)
    for kwargs in ({}, {"weights_only": True}, {"weights_only": False}, {"mmap": True, "map_location": "cpu"}):
        assert torch.equal(torch.load(path, **kwargs)["a"], torch.ones(3))
    assert torch.load(path, "meta")["a"].device.type == "meta"
    with pytest.raises(ValueError, match="pickle_module"):
        torch.load(path, None, pickle)
    with pytest.raises(ValueError, match="encoding"):
        torch.load(path, encoding="bytes")


def test_unknown_classes_are_refused_after_install(path, tmp_path, installed):
    torch.save([torch.ones(2), RunsACommand(f"touch {tmp_path / 'marker'}")], path)
    for weights_only in (None, True, False):
        with pytest.raises(pickle.UnpicklingError, match="system"):
            torch.load(path, weights_only=weights_only)
    assert not (tmp_path / "marker").exists()


def test_torchscript_is_refused_after_install(path, installed):
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(pickle.UnpicklingError, match="TorchScript"):
        torch.load(path)


def test_other_functions_use_the_replacement(path, installed):
    """Functions that call torch.load indirectly."""
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    found = torch.hub.load_state_dict_from_url("http://nowhere/weights.pt", model_dir=str(path.parent))
    assert set(found) == {"weight", "bias"}
    assert torch.equal(pickle.loads(pickle.dumps(torch.ones(2))), torch.ones(2))
