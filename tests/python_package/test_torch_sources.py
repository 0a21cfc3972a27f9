"""Sources, map_location and arguments of depickle.torch.load."""

import io
import os
import pickle
import tempfile

import pytest
import torch

import depickle.torch
from same import assert_same


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pt"


def file_objects(path):
    yield open(path, "rb")
    yield open(path, "rb", buffering=0)
    yield io.BytesIO(path.read_bytes())
    named = tempfile.NamedTemporaryFile()
    named.write(path.read_bytes())
    named.seek(0)
    yield named

    class Reader:
        def __init__(self):
            self.inner = io.BytesIO(path.read_bytes())

        def read(self, *size):
            return self.inner.read(*size)

    yield Reader()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_file_objects(path, zipped):
    torch.save({"a": torch.randn(100)}, path, _use_new_zipfile_serialization=zipped)
    for f in file_objects(path):
        ours = depickle.torch.load(f)
        f.close() if hasattr(f, "close") else None
        assert_same(ours, torch.load(path))
        ours["a"][0] = 1


def test_file_names(path):
    torch.save([1], path)
    odd = os.fsencode(path.parent) + b"/w\xff.pt"
    os.rename(path, odd)
    for name in (odd, os.fsdecode(odd)):
        assert depickle.torch.load(name) == [1]
    with pytest.raises(FileNotFoundError) as caught:
        depickle.torch.load(path)
    assert caught.value.filename == str(path)
    with pytest.raises(TypeError):
        depickle.torch.load(io.StringIO("text"))
    with pytest.raises(AttributeError):
        depickle.torch.load(3)


def test_gzip_files_are_decompressed(path, tmp_path):
    import gzip

    torch.save([torch.ones(3)], path)
    packed = tmp_path / "w.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with gzip.open(packed) as f:
        assert_same(depickle.torch.load(f), [torch.load(path)[0]])


def test_writing_to_a_tensor_does_not_change_the_file(path):
    torch.save({"a": torch.ones(1000)}, path)
    before = path.read_bytes()
    depickle.torch.load(path)["a"].zero_()
    assert path.read_bytes() == before


def test_tensors_stay_valid_after_the_file_is_deleted(path):
    torch.save({"a": torch.full((3000,), 5.0)}, path)
    tensor = depickle.torch.load(path)["a"]
    path.unlink()
    assert bool((tensor == 5).all())


# map_location


@pytest.mark.parametrize("location", ["cpu", torch.device("cpu"), "meta", {"cpu": "meta"}, {"cuda:0": "cpu"}])
def test_map_location(path, location):
    t = torch.randn(3, 4)
    torch.save([t, t.t(), torch.nn.Parameter(t)], path)
    ours, theirs = depickle.torch.load(path, location), torch.load(path, location)
    assert [x.device for x in ours] == [x.device for x in theirs]
    if theirs[0].device.type == "cpu":
        assert_same(ours, theirs)


def test_map_location_is_called_once_per_storage(path):
    t = torch.randn(3, 4)
    torch.save([t, t.t(), torch.randn(2)], path)
    calls = []
    ours = depickle.torch.load(path, lambda storage, location: calls.append((storage.nbytes(), location)))
    assert calls == [(48, "cpu"), (8, "cpu")]
    assert_same(ours, torch.load(path))
    assert_same(depickle.torch.load(path, lambda storage, _: storage.clone()), torch.load(path))


def test_map_location_that_raises(path):
    torch.save([torch.ones(2)], path)

    def broken(storage, location):
        raise ValueError("from the callback")

    with pytest.raises(ValueError, match="from the callback"):
        depickle.torch.load(path, broken)
    with pytest.raises(TypeError, match="UntypedStorage"):
        depickle.torch.load(path, lambda storage, location: 3)
    with pytest.raises(TypeError, match="map_location"):
        depickle.torch.load(path, 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_saved_on_cuda(path):
    torch.save([torch.ones(2)], path, _use_new_zipfile_serialization=False)
    data = path.read_bytes().replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    path.write_bytes(data)
    for loader in (torch.load, depickle.torch.load):
        with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
            loader(path)
    assert_same(depickle.torch.load(path, "cpu"), torch.load(path, "cpu"))


# Arguments


def test_unsupported_arguments(path):
    torch.save([1], path)
    for kwargs, message in [({"pickle_module": pickle}, "pickle_module"), ({"encoding": "latin1"}, "encoding"),
                         ({"fix_imports": False}, "fix_imports")]:  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=message):
            depickle.torch.load(path, **kwargs)
    assert depickle.torch.load(path, weights_only=False, mmap=True, encoding="utf-8") == [1]


def test_safetensors_by_extension(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "m.safetensors")
    assert torch.equal(depickle.torch.load(tmp_path / "m.safetensors")["a"], torch.ones(2))
