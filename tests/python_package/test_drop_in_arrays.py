"""Memory and layout of tensors that depickle.safetensors loads and saves, also where upstream is wrong."""

import gc

import ml_dtypes
import numpy as np
import pytest
import torch

from drop_in import MODULES, ours, ours_np, raised_by, theirs


def test_numpy_arrays_point_into_the_file_and_are_writable(gpt, tmp_path):
    ours_np.save_file(gpt, tmp_path / "x")
    before = (tmp_path / "x").read_bytes()
    loaded = ours_np.load_file(tmp_path / "x")
    gc.collect()
    assert all(array.flags.writeable and not array.flags.owndata for array in loaded.values())
    loaded["wte.weight"][:] = 1
    assert (loaded["wte.weight"] == 1).all() and (tmp_path / "x").read_bytes() == before


@pytest.mark.parametrize("load", [lambda path: ours.load_file(path), lambda path: ours.load(path.read_bytes())])
def test_each_storage_has_exactly_the_bytes_of_its_tensor(gpt, tmp_path, load):
    ours_np.save_file(gpt, tmp_path / "x")
    for tensor in load(tmp_path / "x").values():
        assert ours.storage_size(tensor) == tensor.nbytes and tensor.storage_offset() == 0


def test_load_copies_its_input():
    data = ours.save({"a": torch.ones(4)})
    ours.load(data)["a"].zero_()
    ours_np.load(data)["a"][:] = 0
    assert (ours_np.load(data)["a"] == 1).all()


def test_load_takes_a_device():
    assert ours.load(ours.save({"a": torch.ones(4)}), device="meta")["a"].device.type == "meta"


# Cases that upstream gets wrong

STRIDED = {
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "step": np.arange(24, dtype=np.int16)[::3],
    "backwards": np.arange(24, dtype=np.int16)[::-1],
    "broadcast": np.broadcast_to(np.float32(3), (2, 5)),
    "column": np.arange(12, dtype=ml_dtypes.bfloat16).reshape(3, 4)[:, 1],
    "big": np.arange(6, dtype=">f8"),
    "big strided": np.arange(6, dtype=">c8").reshape(2, 3).T,
    "big scalar": np.array(7, dtype=">i4"),
    "memmap": np.ones((2, 3), np.float32).view(np.memmap),
}


@pytest.mark.parametrize("case", STRIDED)
def test_strided_and_big_endian_arrays_are_saved_correctly(case, tmp_path):
    array = STRIDED[case]
    before = array.tobytes("A"), array.dtype, array.strides
    ours_np.save_file({"x": array}, tmp_path / "x")
    loaded = ours_np.load_file(tmp_path / "x")["x"]
    assert loaded.dtype == array.dtype.newbyteorder("<") and loaded.shape == array.shape
    assert loaded.tolist() == np.asarray(array).tolist()
    assert (array.tobytes("A"), array.dtype, array.strides) == before


def test_lazily_conjugated_tensors_are_resolved():
    tensor = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    loaded = ours.load(ours.save({"conj": tensor.conj(), "neg": tensor.conj().imag.contiguous()}))
    assert torch.equal(loaded["conj"], tensor.conj().resolve_conj()) and loaded["neg"].tolist() == [-2.0, 4.0]


def test_overlap_is_found_after_a_small_view():
    base = torch.arange(10.0)
    names = {"all": base, "inner": base[2:3], "tail": base[5:]}
    assert theirs._find_shared_tensors(names) == [{"all", "inner"}, {"tail"}]
    assert ours._find_shared_tensors(names) == [{"all", "inner", "tail"}]
    assert raised_by(ours.save, names)[0] is RuntimeError


@pytest.mark.parametrize("module", MODULES)
def test_save_does_not_change_its_arguments(module, tmp_path):
    tensors = {"a": np.asfortranarray(np.ones((2, 3)))} if module == "numpy" else {"a": torch.ones(2, 3)}
    before, metadata = dict(tensors), {"k": "v"}
    MODULES[module][0].save(tensors, metadata)
    MODULES[module][0].save_file(tensors, tmp_path / "x", metadata)
    assert list(tensors) == list(before) and tensors["a"] is before["a"] and metadata == {"k": "v"}


@pytest.mark.parametrize("wrong, kind", [([1.0], "list"), (1.5, "float"), (torch.ones(2), "torch.Tensor")])
def test_numpy_names_the_key_of_a_value_that_is_not_an_array(wrong, kind):
    assert raised_by(ours_np.save, {"a": np.ones(1), "b": wrong}) == (
        ValueError,
        f"Key `b` is invalid, expected np.ndarray but received <class '{kind}'>",
    )
