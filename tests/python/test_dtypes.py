"""Every dtype of torch, in both containers: written as safetensors, or refused by name."""
import pytest
import torch

from program import COULD_NOT, YES, error_line, inspect, run
from tensors import NAMES, assert_converts, header, load, random_bits, raw, save_and_load

ALL = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
UNSAVEABLE = {dtype for dtype in ALL if str(dtype)[6:].rstrip("1234567") in ("int", "uint")} - NAMES.keys()
REFUSED = ALL - NAMES.keys() - UNSAVEABLE
CONTAINERS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


def by_name(dtypes):
    return sorted(dtypes, key=str)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", by_name(NAMES), ids=str)
def test_a_dtype_of_safetensors_keeps_its_bits(dtype, container, tmp_path):
    tensors = {
        "matrix": random_bits(dtype, 3, 10),
        "scalarlike": random_bits(dtype, 1),
        "empty": torch.empty(0, 4, dtype=dtype),
    }
    torch.save(tensors, tmp_path / "model.pt", **CONTAINERS[container])
    assert_converts(
        tmp_path / "model.pt", tensors
    )  # not the result of torch.load, which cannot read every legacy file that torch.save writes
    stored = header(tmp_path / "converted.safetensors")["matrix"]
    assert stored["dtype"] == NAMES[dtype]
    assert stored["shape"] == [3, 20 if NAMES[dtype] == "F4" else 10]


@pytest.mark.parametrize("dtype", by_name(NAMES), ids=str)
def test_a_transposed_tensor_of_each_dtype_is_gathered(dtype, tmp_path):
    base = random_bits(dtype, 37, 41)
    assert_converts(tmp_path / "model.pt", save_and_load({"t": base.t(), "step": base[::3]}, tmp_path / "model.pt"))


@pytest.mark.parametrize("dtype", by_name(REFUSED), ids=str)
def test_a_dtype_that_safetensors_lacks_is_refused_and_can_be_skipped(dtype, tmp_path):
    source, target = tmp_path / "model.pt", tmp_path / "model.safetensors"
    keep = torch.arange(5.0)
    torch.save({"keep": keep, "odd.one": torch.arange(1, 33, dtype=torch.uint8).view(dtype)}, source)

    done = run("convert", source, "-o", target)
    assert done.code == COULD_NOT and "odd.one" in error_line(done) and not target.exists()
    assert [entry["name"] for entry in inspect(source)["unsupported"]] == ["odd.one"]
    assert [tensor["name"] for tensor in inspect(source)["tensors"]] == ["keep"]

    done = run("convert", source, "-o", target, "--skip-unsupported")
    assert done.code == YES and "odd.one" in done.out + done.err
    assert raw(load(target)[0]["keep"]) == raw(keep)


def test_sparse_and_quantized_tensors_are_refused_by_name(tmp_path):
    source = tmp_path / "model.pt"
    quantized = torch.quantize_per_tensor(torch.arange(6.0), 0.1, 3, torch.qint8)
    torch.save(
        {"coo": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(), "q": quantized, "w": torch.ones(2)},
        source,
    )
    done = run("convert", source, "-o", tmp_path / "model.safetensors")
    assert done.code == COULD_NOT and not (tmp_path / "model.safetensors").exists()
    for name in ("coo", "csr", "q"):
        assert name in done.err
    assert {entry["name"] for entry in inspect(source)["unsupported"]} == {"coo", "csr", "q"}


def test_the_lists_cover_every_dtype_of_torch():
    for dtype in UNSAVEABLE:
        with pytest.raises(KeyError):
            torch.save(torch.empty(4, dtype=torch.uint8).view(dtype), "/dev/null")
    assert len(NAMES) + len(REFUSED) + len(UNSAVEABLE) == len(ALL)
    assert torch.complex128 in REFUSED and torch.float32 in NAMES
