"""depickle.safetensors with open files and with buffers of any type."""

import io
import zipfile

import numpy as np
import pytest
import torch

from drop_in import MODULES, ours, ours_np, raised_by


@pytest.mark.parametrize("module", MODULES)
def test_open_files_are_accepted_instead_of_paths(module, gpt, tmp_path):
    tested = MODULES[module][0]
    tensors = gpt if module == "numpy" else {name: torch.from_numpy(array) for name, array in gpt.items()}
    expected = tested.save(tensors, {"k": "v"})

    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    tested.save_file(tensors, buffer, {"k": "v"})
    assert buffer.getvalue() == b"before" + expected
    buffer.seek(6)
    assert same(tested.load_file(buffer), tensors)
    buffer.seek(6)
    assert same(tested.load(buffer), tensors)

    for buffering in 0, -1:
        with open(tmp_path / "x", "wb", buffering=buffering) as file:
            tested.save_file(tensors, file, {"k": "v"}, durable=True)
        assert (tmp_path / "x").read_bytes() == expected
        with open(tmp_path / "x", "rb", buffering=buffering) as file:
            assert same(tested.load_file(file), tensors)

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, archive.open("member", "w") as member:
        tested.save_file(tensors, member, {"k": "v"})
    with zipfile.ZipFile(tmp_path / "x.zip") as archive, archive.open("member") as member:
        assert same(tested.load_file(member), tensors)


def same(one, other):
    one, other = ({name: np.asarray(value).tobytes() for name, value in each.items()} for each in (one, other))
    return one == other


def test_save_file_to_a_raw_file_with_partial_writes():
    class Slow(io.RawIOBase):
        written = b""

        def writable(self):
            return True

        def write(self, data):
            self.written += bytes(data[:7])
            return min(7, len(data))

    slow = Slow()
    ours.save_file({"a": torch.arange(9)}, slow)
    assert slow.written == ours.save({"a": torch.arange(9)})


def test_exceptions_of_a_file_pass_through():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    assert raised_by(ours.save_file, {"a": torch.ones(1)}, Full()) == (OSError, "[Errno 28] No space left on device")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_load_accepts_any_buffer(kind):
    data = kind(ours.save({"a": torch.arange(5)}))
    assert ours.load(data)["a"].tolist() == ours_np.load(data)["a"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("wrong", ["text", 5, None, io.StringIO("text")])
def test_load_raises_type_error_for_other_types(module, wrong):
    assert raised_by(MODULES[module][0].load, wrong)[0] is TypeError


@pytest.mark.parametrize("module", MODULES)
def test_durable_is_keyword_only_and_writes_the_same_file(module, tmp_path):
    tensors = {"a": np.ones(3)} if module == "numpy" else {"a": torch.ones(3)}
    for durable in True, False:
        MODULES[module][0].save_file(tensors, tmp_path / str(durable), durable=durable)
    assert (tmp_path / "True").read_bytes() == (tmp_path / "False").read_bytes()
    with pytest.raises(TypeError):
        MODULES[module][0].save_file(tensors, tmp_path / "x", None, True)
    with pytest.raises(io.UnsupportedOperation):
        MODULES[module][0].save_file(tensors, io.BytesIO(), durable=True)
