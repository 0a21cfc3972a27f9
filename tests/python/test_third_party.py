"""Files of other tools: archives that were zipped again, pickles of numpy arrays and of tensors."""
import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from program import inspect, verdict
from tensors import assert_converts, random_bits, save_and_load

pytestmark = pytest.mark.hostile


def zip_again(source, target, change=lambda name: name):
    """Writes the records of `source` into a new archive, stored, unaligned and with zip64 local headers."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            with new.open(zipfile.ZipInfo(change(info.filename)), "w", force_zip64=True) as record:
                record.write(old.read(info))


def deflate(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))


@pytest.fixture
def tensors(tmp_path):
    base = random_bits(torch.float32, 40, 30)
    return save_and_load(
        {
            "w": base,
            "t": base.t(),
            "row": base[3],
            "h": random_bits(torch.bfloat16, 1000),
            "tied": base,
            "e": torch.empty(0),
        },
        tmp_path / "model.pt",
    )


def test_a_deflated_archive(tensors, tmp_path):
    deflate(tmp_path / "model.pt", tmp_path / "deflated.pt")
    assert_converts(tmp_path / "deflated.pt", tensors)
    assert all(
        tensor["offset"] is None for tensor in inspect(tmp_path / "deflated.pt")["tensors"] if tensor["bytes"] > 0
    )


def test_an_archive_of_unaligned_stored_records_with_zip64_headers(tensors, tmp_path):
    zip_again(tmp_path / "model.pt", tmp_path / "stored.pt")
    assert_converts(tmp_path / "stored.pt", tensors)


def test_another_root_folder_and_a_comment(tensors, tmp_path):
    zip_again(tmp_path / "model.pt", tmp_path / "renamed.pt", lambda name: "some other name/" + name.split("/", 1)[1])
    with zipfile.ZipFile(tmp_path / "renamed.pt", "a") as archive:
        archive.comment = b"written by a careful person"
    assert_converts(tmp_path / "renamed.pt", tensors)


def test_records_in_another_order_and_folder_entries(tensors, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt") as old, zipfile.ZipFile(tmp_path / "shuffled.pt", "w") as new:
        infos = old.infolist()
        new.writestr(infos[0].filename.split("/")[0] + "/", b"")
        for info in reversed(infos):
            new.writestr(info.filename, old.read(info))
    assert_converts(tmp_path / "shuffled.pt", tensors)


def test_big_endian_storages_are_swapped(tmp_path):
    """An archive of torch whose storages the test swaps, because no big-endian machine is available."""
    tensors = {
        "f": torch.arange(3.0),
        "d": torch.ones(2).double(),
        "h": torch.ones(2).half(),
        "u": torch.tensor([1, 2], dtype=torch.uint16),
        "c": torch.tensor([1 + 2j, 3]),
        "b": torch.tensor([1, 2], dtype=torch.uint8),
    }
    torch.save(tensors, tmp_path / "little.pt")
    sizes = [4, 8, 2, 2, 4, 1]
    with zipfile.ZipFile(tmp_path / "little.pt") as old, zipfile.ZipFile(tmp_path / "big.pt", "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("/byteorder"):
                data = b"big"
            if "/data/" in info.filename:
                size = sizes[int(info.filename.rsplit("/", 1)[1])]
                data = b"".join(data[at:at + size][::-1] for at in range(0, len(data), size))
            new.writestr(info.filename, data)
    assert_converts(tmp_path / "big.pt", tensors)


ARRAYS = {
    "f8": np.arange(3.0), "fortran": np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i2"), "zero-dim": np.array(3), "bool": np.array([True, False]),
    "c8": np.array([1 + 2j], dtype="c8"), "empty": np.zeros((0, 2)), "strided": np.arange(10, dtype="u1")[::3],
    "f2": np.ones(2, "f2"), "u8": np.array([2**63], dtype="u8"), "above 127": np.arange(256, dtype="u1"),
}


def as_tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).reshape(array.shape))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_numpy_arrays(protocol, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(ARRAYS, protocol=protocol))
    assert_converts(tmp_path / "model.pkl", {name: as_tensor(array) for name, array in ARRAYS.items()})


@pytest.mark.parametrize("protocol", [2, 5])
def test_numpy_arrays_in_a_torch_file(protocol, tmp_path):
    torch.save(ARRAYS | {"w": torch.ones(2)}, tmp_path / "model.pt", pickle_protocol=protocol)
    assert_converts(
        tmp_path / "model.pt",
        {name: as_tensor(array) for name, array in ARRAYS.items()} | {"w": torch.ones(2)},
        "--root",
        ".",
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_of_torch_tensors(protocol, tmp_path):
    """Such storages are legacy containers inside the pickle (torch.storage._load_from_bytes)."""
    base = random_bits(torch.float32, 4, 5)
    tensors = {"w": base, "t": base.t(), "h": random_bits(torch.bfloat16, 7), "p": torch.nn.Parameter(torch.ones(2))}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(tensors, protocol=protocol))
    assert_converts(tmp_path / "model.pkl", tensors)


def test_numpy_objects_and_strings_are_not_tensors(tmp_path):
    arrays = {
        "object": np.array([1, "a", None], dtype=object),
        "text": np.array(["a", "bc"]),
        "record": np.zeros(2, dtype=[("a", "<i4")]),
        "date": np.array(["2020-01-01"], dtype="M8[D]"),
        "w": np.ones(3),
    }
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(arrays))
    assert [tensor["name"] for tensor in inspect(tmp_path / "model.pkl", "--root", ".")["tensors"]] == ["w"]


def test_ordinary_files_are_tensors_only(tensors, tmp_path):
    deflate(tmp_path / "model.pt", tmp_path / "deflated.pt")
    (tmp_path / "arrays.pkl").write_bytes(pickle.dumps(ARRAYS))
    buffer = io.BytesIO()
    torch.save(tensors, buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "legacy.pt").write_bytes(buffer.getvalue())
    for name in ("model.pt", "deflated.pt", "arrays.pkl", "legacy.pt"):
        assert verdict(tmp_path / name) == "tensors-only"
