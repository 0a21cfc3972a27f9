"""safe_open returns the same tensors as upstream, with fewer copies."""

import json
import os

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

from depickle import _core
from depickle._core import SafetensorError, safe_open
from threads import in_threads

DTYPES = [
    getattr(torch, name)
    for name in "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 bfloat16 "
    "float8_e4m3fn float8_e4m3fnuz "
    "float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 complex64".split()
]
BACKENDS = ["mmap", "pread"]


def bits(tensor):
    if isinstance(tensor, np.ndarray):
        return tensor.dtype, tensor.shape, tensor.tobytes()
    flat = tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.numpy().tobytes()


def write_raw(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def path(tmp_path):
    random = torch.Generator().manual_seed(6)
    tensors = {
        str(dtype): torch.randint(0, 2, (3, 4 * max(1, dtype.itemsize)), generator=random, dtype=torch.uint8).view(
            dtype
        )
        for dtype in DTYPES
    }
    tensors |= {
        "scalar": torch.tensor(7.5),
        "empty": torch.zeros(0, 3, dtype=torch.bfloat16),
        "ü/\x01": torch.arange(5),
    }
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("backend", BACKENDS)
def test_torch_tensors_equal_upstream(path, backend):
    with safetensors.safe_open(path, "pt") as theirs, safe_open(path, "pt", backend=backend) as ours:
        assert ours.keys() == theirs.keys() and ours.offset_keys() == theirs.offset_keys()
        assert ours.metadata() == theirs.metadata()
        for name in theirs.keys():
            assert bits(ours.get_tensor(name)) == bits(theirs.get_tensor(name))
            assert ours.get_slice(name).get_shape() == theirs.get_slice(name).get_shape()
            assert ours.get_slice(name).get_dtype() == theirs.get_slice(name).get_dtype()
        together = ours.get_tensors()
        assert list(together) == theirs.offset_keys()
        assert all(bits(tensor) == bits(theirs.get_tensor(name)) for name, tensor in together.items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_numpy_arrays_have_the_same_bits_as_torch_tensors(path, backend):
    with safe_open(path, "pt") as torch_file, safe_open(path, "np", backend=backend) as file:
        for name in file:
            if "float4" not in name:
                assert bits(file.get_tensor(name))[1:] == bits(torch_file.get_tensor(name))[1:]
        with pytest.raises(SafetensorError, match="Dtype not understood: F4"):
            file.get_tensor("torch.float4_e2m1fn_x2")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_storage_has_exactly_the_tensor_s_bytes_and_is_writable(path, backend):
    before = path.read_bytes()
    with safe_open(path, "pt", backend=backend) as file:
        for tensor in file.get_tensors().values():
            assert tensor.untyped_storage().nbytes() == tensor.nbytes and tensor.storage_offset() == 0
        tensor = file.get_tensor("torch.float32")
        tensor += 1
        array = safe_open(path, "np", backend=backend).get_tensor("torch.float32")
        array[:] = 9
    assert path.read_bytes() == before


def test_mapped_arrays_are_not_copies(path):
    with safe_open(path, "np", backend="mmap") as file:
        assert isinstance(file.get_tensor("torch.int64").base, _core.Mapping)
        assert isinstance(file.get_slice("torch.int64")[1:, ::2].base.base, _core.Mapping)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_stay_valid_after_the_file_is_deleted(path, backend):
    with safe_open(path, "pt", backend=backend) as file:
        tensor, part = file.get_tensor("torch.int64"), file.get_slice("torch.int64")
        expected = bits(tensor)
    os.unlink(path)
    assert bits(tensor) == expected == bits(part[:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_unaligned_tensors(tmp_path, backend):
    header = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F64", "shape": [2], "data_offsets": [1, 17]},
    }
    file = write_raw(tmp_path / "odd.safetensors", header, b"\x07" + np.array([1.5, -2.5]).tobytes())
    assert safe_open(file, "pt", backend=backend).get_tensor("b").tolist() == [1.5, -2.5]
    assert safe_open(file, "np", backend=backend).get_tensor("b").tolist() == [1.5, -2.5]


def test_container_interface(path):
    with safe_open(path, "np") as file:
        assert len(file) == 23 and list(file) == file.keys()
        assert "scalar" in file and "absent" not in file and 3 not in file
        assert list(file.get_tensors(["scalar", "empty"])) == ["scalar", "empty"]


def test_a_closed_file_raises(path):
    file = safe_open(path, "np")
    file.close()
    file.close()
    for use in (
        file.keys,
        file.offset_keys,
        file.metadata,
        file.get_tensors,
        lambda: len(file),
        lambda: file.get_tensor("scalar"),
    ):
        with pytest.raises(SafetensorError, match="^File is closed$"):
            use()


def test_devices_and_their_errors_match_upstream(path):
    for device in ("cpu", None, torch.device("cpu"), torch.device("cpu", 0)):
        assert safe_open(path, "pt", device=device).get_tensor("scalar").device.type == "cpu"
    for device in ("meta", "mps:1", "cpu:0", 1.5):
        with pytest.raises(safetensors.SafetensorError) as theirs:
            safetensors.safe_open(path, "pt", device=device)
        with pytest.raises(SafetensorError) as ours:
            safe_open(path, "pt", device=device)
        assert str(ours.value) == str(theirs.value)
    for device in ("cuda:", "cuda:x", torch.device("meta")):
        with pytest.raises(SafetensorError, match=f"^device {device} is invalid$"):
            safe_open(path, "pt", device=device)


def test_safe_open_handle_reads_the_descriptor(path):
    with open(path, "rb") as file:
        os.unlink(path)
        assert _core._safe_open_handle(file, "np").get_tensor("scalar") == 7.5


def test_threads_share_one_handle(tmp_path):
    arrays = {str(i): np.full((512, 1024), i, "f4") for i in range(24)}
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors")
    for backend in BACKENDS:
        file = safe_open(tmp_path / "m.safetensors", "np", backend=backend)

        def read(_):
            for name, array in arrays.items():
                assert np.array_equal(file.get_tensor(name), array)
                assert np.array_equal(file.get_slice(name)[:, 5], array[:, 5])

        in_threads(read, 4)
