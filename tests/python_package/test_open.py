"""depickle.open returns the tensors of any container by name, lazily and without copies."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import depickle
from threads import in_threads


@pytest.fixture
def state():
    base = torch.randn(6, 4)
    return {
        "weight": torch.randn(3, 4), "transposed": base.t(), "base": base, "half": torch.randn(5).to(torch.bfloat16),
        "scalar": torch.tensor(3.0), "empty": torch.empty(0, 2), "bool": torch.tensor([True, False]),
    }  # fmt: skip


def assert_equal(weights, state):
    assert sorted(weights) == sorted(state) == sorted(weights.keys()) and len(weights) == len(state)
    for name, tensor in state.items():
        assert weights[name].dtype == tensor.dtype and torch.equal(weights[name], tensor), name
        assert weights[name].is_contiguous()
        assert weights.get_tensor(name).untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    assert dict(weights.items()).keys() == weights.to_dict().keys()


@pytest.mark.parametrize("zipped", [True, False], ids=["torch zip", "torch legacy"])
def test_torch_files(tmp_path, state, zipped):
    torch.save(state, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    weights = depickle.open(tmp_path / "w.pt")
    assert_equal(weights, state)
    assert weights.container == ("torch zip" if zipped else "torch legacy")
    assert weights.info("transposed") == ("F32", (4, 6), (1, 4), 96)
    assert weights.info("weight") == ("F32", (3, 4), (4, 1), 48)
    assert weights.metadata == {} and weights.files == [str(tmp_path / "w.pt")] and weights.root == ""


def test_safetensors(tmp_path, state):
    whole = {name: tensor.contiguous() for name, tensor in state.items()}
    save_file(whole, tmp_path / "m.safetensors", metadata={"format": "pt"})
    weights = depickle.open(str(tmp_path / "m.safetensors"))
    assert_equal(weights, whole)
    assert weights.container == "safetensors" and weights.metadata == {"format": "pt"}


def test_sharded_index_and_folder(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "model-00002-of-00002.safetensors")
    index = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    for path in (tmp_path, tmp_path / "model.safetensors.index.json"):
        assert_equal(depickle.open(path), {"a": torch.ones(2), "b": torch.zeros(3)})


def test_nested_checkpoint(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(2)}, "epoch": 3, "ema": {"w": torch.zeros(2)}}, tmp_path / "c.ckpt")
    weights = depickle.open(tmp_path / "c.ckpt")
    assert weights.root == "state_dict" and torch.equal(weights["w"], torch.ones(2))
    assert set(weights.leftovers) == {"epoch", "ema"} and weights.leftovers["epoch"] == "int 3"
    assert torch.equal(depickle.open(tmp_path / "c.ckpt", root="ema")["w"], torch.zeros(2))


def test_unsupported_tensors_are_listed(tmp_path):
    torch.save({"w": torch.ones(2), "z": torch.ones(2, dtype=torch.complex128)}, tmp_path / "w.pt")
    weights = depickle.open(tmp_path / "w.pt")
    assert list(weights) == ["w"] and weights.unsupported == {"z": "complex128, shape [2]"}


def test_conjugated_tensors(tmp_path):
    z = torch.tensor([1 + 2j, 3 - 1j])
    torch.save({"z": z.conj()}, tmp_path / "w.pt")
    assert torch.equal(depickle.open(tmp_path / "w.pt")["z"], z.conj().resolve_conj())


def test_tensors_are_not_copied_and_writes_do_not_change_the_file(tmp_path):
    torch.save({"a": torch.zeros(1000), "b": torch.ones(3)}, tmp_path / "w.pt")
    before = (tmp_path / "w.pt").read_bytes()
    weights = depickle.open(tmp_path / "w.pt")
    first = weights["a"]
    assert first.data_ptr() == weights["a"].data_ptr()
    first[0] = 7
    assert weights["a"][0] == 7 and (tmp_path / "w.pt").read_bytes() == before


def test_tensors_stay_valid_after_close(tmp_path):
    torch.save({"a": torch.full((3000,), 5.0)}, tmp_path / "w.pt")
    with depickle.open(tmp_path / "w.pt") as weights:
        tensor = weights["a"]
    (tmp_path / "w.pt").unlink()
    assert bool((tensor == 5).all())
    assert repr(weights) == "Weights(closed)"
    for use in (lambda: weights["a"], lambda: len(weights), lambda: list(weights), lambda: weights.info("a")):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_numpy(tmp_path):
    torch.save({"a": torch.arange(6).reshape(2, 3), "t": torch.arange(6).reshape(2, 3).t()}, tmp_path / "w.pt")
    weights = depickle.open(tmp_path / "w.pt", framework="np")
    assert isinstance(weights["a"], np.ndarray) and weights["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights["t"].tolist() == [[0, 3], [1, 4], [2, 5]] and weights["a"].flags.writeable


def test_mapping_interface(tmp_path):
    model = torch.nn.Linear(3, 2)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    weights = depickle.open(tmp_path / "w.pt")
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(weights)
    assert torch.equal(other.weight, model.weight)
    assert "weight" in weights and "nothing" not in weights and 3 not in weights
    assert weights.get("nothing") is None and hash(weights) and weights != depickle.open(tmp_path / "w.pt")
    with pytest.raises(KeyError, match="nothing"):
        weights["nothing"]
    with pytest.raises(KeyError, match="nothing"):
        weights.info("nothing")


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        depickle.open(tmp_path / "no.pt")
    with pytest.raises(ValueError, match="framework"):
        depickle.open(tmp_path, framework="no")
    (tmp_path / "page.bin").write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(ValueError, match="page.bin"):
        depickle.open(tmp_path / "page.bin")
    save_file({"a": torch.ones(100)}, tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-1])
    with pytest.raises(depickle.safetensors.SafetensorError, match="m.safetensors"):
        depickle.open(tmp_path / "m.safetensors")
    torch.save({"a": torch.ones(100)}, tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:-100])
    with pytest.raises(pickle.UnpicklingError, match="w.pt"):
        depickle.open(tmp_path / "w.pt")


def test_a_truncated_file(tmp_path):
    torch.save({"a": torch.ones(100_000), "t": torch.ones(300, 400).t()}, tmp_path / "w.pt")
    weights = depickle.open(tmp_path / "w.pt")
    with open(tmp_path / "w.pt", "r+b") as f:
        f.truncate(1000)
    with pytest.raises(OSError, match="w.pt"):
        try:
            weights["t"]
        finally:
            for _ in range(100):  # the signal handler's error is raised in the main thread at one of the next bytecodes
                pass


def test_threads(tmp_path, state):
    torch.save(state, tmp_path / "w.pt")
    weights = depickle.open(tmp_path / "w.pt")

    def work(_):
        for _ in range(20):
            assert_equal(weights, state)

    in_threads(work, 4)


def test_addresses_on_the_hub(tmp_path, monkeypatch):
    """open() downloads an address and opens the downloaded model; the download is replaced by a fake."""
    from types import SimpleNamespace

    from depickle import _commands

    torch.save({"a": torch.ones(1)}, tmp_path / "sub.bin")
    model = SimpleNamespace(name="m", path=str(tmp_path / "sub.bin"))
    result = SimpleNamespace(path=str(tmp_path), models=[model])
    calls = []
    monkeypatch.setattr(_commands, "download", lambda address, **options: calls.append(address) or result)
    addresses = ["hf://org/name", "hf://org/name@v1", "hf://org/name@v1/sub.bin", "org/name", "https://host/org/name",
                 "http://127.0.0.1:8080/org/name"]
    for address in addresses:
        assert list(depickle.open(address)) == ["a"]
    assert calls == addresses

    result.models = [model, model]
    with pytest.raises(ValueError, match="several models"):
        depickle.open("org/name")
    with pytest.raises(FileNotFoundError):
        depickle.open("folder/weights.bin")
