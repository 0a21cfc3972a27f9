"""serialize and serialize_file write the same bytes as upstream; deserialize reads any buffer."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch

import depickle._core as ours
from depickle._core import SafetensorError, deserialize, serialize, serialize_file
from threads import in_threads

TORCH_DTYPES = (
    "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 bfloat16 "
    "float8_e4m3fn float8_e4m3fnuz "
    "float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 complex64"
).split()


@pytest.fixture(scope="module")
def tensors():
    made = {
        f"{name}.{i}": torch.arange(24 * getattr(torch, name).itemsize, dtype=torch.uint8)
        .remainder(2)
        .view(getattr(torch, name))
        .view(4, 6)
        for name in TORCH_DTYPES
        for i in range(2)
    }
    return made | {"scalar": torch.tensor(3), "empty": torch.empty(0, 7), '\u00fc\n"': torch.ones(3)}


def specs(module, tensors):
    return {
        name: module.TensorSpec(
            dtype=str(tensor.dtype).removeprefix("torch."),
            shape=tensor.shape,
            data_ptr=tensor.data_ptr(),
            data_len=tensor.nbytes,
        )
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"\u00e4": "\x00\u2028\\/"}])
def test_the_bytes_equal_upstream(tensors, tmp_path, metadata):
    expected = safetensors.serialize(specs(safetensors, tensors), metadata)
    assert serialize(specs(ours, tensors), metadata) == expected
    serialize_file(specs(ours, tensors), tmp_path / "m.safetensors", metadata)
    assert (tmp_path / "m.safetensors").read_bytes() == expected


def test_metadata_is_sorted(tensors):
    keys = [f"k{i}" for i in range(20)]
    forwards = serialize(specs(ours, tensors), {key: "v" for key in keys})
    assert forwards == serialize(specs(ours, tensors), {key: "v" for key in reversed(keys)})


def test_large_and_many_tensors(tmp_path):
    arrays = {f"{i:04}": np.full(i, i, "i2") for i in range(2000)} | {"large": np.arange(5_000_001, dtype="i4")}
    given = {
        name: ours.TensorSpec(
            dtype=array.dtype.name, shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes
        )
        for name, array in arrays.items()
    }
    serialize_file(given, tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == serialize(given) == safetensors.numpy.save(arrays)


def test_dicts_of_0_7():
    array = np.arange(6, dtype="f4")
    for data in (array.tobytes(), bytearray(array), memoryview(array)):
        made = serialize({"a": {"dtype": "float32", "shape": [2, 3], "data": data}}, {"x": "y"})
        assert made == safetensors.numpy.save({"a": array.reshape(2, 3)}, {"x": "y"})
    for missing in ("dtype", "shape"):
        old = {"dtype": "float32", "shape": [1], "data": b"1234"}
        del old[missing]
        with pytest.raises(SafetensorError, match=f"^Missing `{missing}` in "):
            serialize({"a": old})
    with pytest.raises(TypeError, match="'dict' object is not an instance of 'TensorSpec'"):
        serialize({"a": {"dtype": "float32", "shape": [1], "data_ptr": 0, "data_len": 0}})


def test_file_modes_follow_the_umask_and_symlinks_are_kept(tensors, tmp_path):
    (tmp_path / "link").symlink_to("target")
    before = os.umask(0o027)
    try:
        serialize_file(specs(ours, tensors), tmp_path / "link", durable=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o640
    assert (tmp_path / "link").is_symlink() and sorted(os.listdir(tmp_path)) == ["link", "target"]


def test_tensors_can_overwrite_their_own_file(tmp_path):
    path = tmp_path / "m.safetensors"
    safetensors.numpy.save_file({"a": np.arange(100_000)}, path)
    array = ours.safe_open(path, "np").get_tensor("a")
    array += 1
    serialize_file(
        {"a": ours.TensorSpec(dtype="int64", shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes)},
        path,
    )
    assert np.array_equal(safetensors.numpy.load_file(path)["a"], np.arange(100_000) + 1)


def test_specs_match_upstream():
    for arguments in (
        {"dtype": "float32", "shape": (2, 3), "data_ptr": 8, "data_len": 24},
        {"dtype": "float4_e2m1fn_x2", "shape": [2, 4], "data_ptr": 0, "data_len": 8},
    ):
        assert repr(ours.TensorSpec(**arguments)) == repr(safetensors.TensorSpec(**arguments))
    spec = ours.TensorSpec(dtype="bfloat16", shape=[2], data_ptr=8, data_len=4)
    assert (spec.dtype, spec.shape, spec.data_ptr, spec.data_len) == ("BF16", [2], 8, 4)
    with pytest.raises(AttributeError):
        spec.shape = [1]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_deserialize_returns_the_order_of_the_bytes(tensors, kind):
    data = serialize(specs(ours, tensors))
    mine, theirs = deserialize(kind(data)), safetensors.deserialize(data)
    assert sorted(mine, key=lambda item: item[0]) == sorted(theirs, key=lambda item: item[0])
    assert all(type(info["data"]) is bytearray for _, info in mine)
    assert b"".join(info["data"] for _, info in mine) == data[8 + int.from_bytes(data[:8], "little") :]


def test_other_threads_run_while_a_file_is_written(tmp_path):
    """This thread runs in the middle of a write, which it could not if the writer kept the interpreter's lock."""
    array = np.ones(32 << 20, "u1")
    spec = {"a": ours.TensorSpec(dtype="uint8", shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes)}

    def write():
        begin = time.perf_counter()
        serialize_file(spec, tmp_path / "m")
        return begin, time.perf_counter()

    def runs_meanwhile(writer):
        written, steps = writer.submit(write), []
        while not written.done():
            steps.append(time.perf_counter())
        begin, end = written.result()
        quarter = (end - begin) / 4
        return any(begin + quarter < step < end - quarter for step in steps)

    with ThreadPoolExecutor(1) as writer:
        assert any(runs_meanwhile(writer) for _ in range(10))


def test_concurrent_writes_leave_a_complete_file(tmp_path):
    arrays = [np.full(2_000_000, i, "i4") for i in range(3)]
    given = [
        {"a": ours.TensorSpec(dtype="int32", shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes)}
        for array in arrays
    ]
    in_threads(lambda number: serialize_file(given[number % 3], tmp_path / "m"), 9)
    assert (tmp_path / "m").read_bytes() in [serialize(spec) for spec in given]
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("seed", range(8))
def test_small_and_large_tensors_in_any_order_equal_upstream(tmp_path, seed):
    """The writer combines tensors up to 256 KiB in a buffer, and splits tensors above 4 MiB."""
    random = np.random.default_rng(seed)
    sizes = random.choice([0, 1, 1000, 200_000, 262_144, 262_145, 900_000], random.integers(1, 60))
    sizes[random.integers(len(sizes), size=2)] = 4 << 20, (8 << 20) + 1
    arrays = {f"k{i}": random.integers(0, 255, size, np.uint8) for i, size in enumerate(sizes)}
    specs = {name: {"dtype": "uint8", "shape": list(a.shape), "data": a.tobytes()} for name, a in arrays.items()}
    serialize_file(specs, tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == safetensors.numpy.save(arrays)
