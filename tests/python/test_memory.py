"""More than 4 GiB in one storage, 100,000 tensors: correct bit for bit, with at most 64 MiB of memory."""
import pathlib
import time
import zipfile

import pytest
import torch
from safetensors import safe_open

import big
from program import YES, run, start
from tensors import header

pytestmark = [pytest.mark.release, pytest.mark.large]
LIMIT_KIB = 64 << 10
ROWS, COLUMNS = 40_000, 30_200  # of float32: 4.5 GiB
BYTES = ROWS * COLUMNS * 4
# Bytes at both ends, around 4 GiB, and in between.
MARKS = {
    offset: offset.to_bytes(8, "little")
    for offset in (0, 4096 * 7, BYTES // 3 // 8 * 8, (1 << 32) - 8, 1 << 32, BYTES - 8)
}


def anonymous_kib(pid):
    """Returns the anonymous memory (RssAnon) of a process and its descendants."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
        tasks = [task.read_text() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return own + sum(anonymous_kib(child) for children in tasks for child in children.split())


def peak_anonymous_kib(process):
    """Returns the maximum of it, sampled every two milliseconds until the process ends."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous_kib(process.pid))
        time.sleep(0.002)
    return peak


def assert_converts_in_little_memory(source, target, *options):
    process = start("convert", source, "-o", target, *options)
    peak = peak_anonymous_kib(process)
    _, err = process.communicate()
    assert process.returncode == YES, err
    assert 0 < peak <= LIMIT_KIB, f"{peak} KiB"


def assert_has_marks(tensor, place=lambda index: index):
    """Asserts that each mark is at the index that `place` returns for its index in the source, and all else is 0."""
    left = {
        place((offset + part) // 4): int.from_bytes(data[part : part + 4], "little", signed=True)
        for offset, data in MARKS.items()
        for part in (0, 4)
    }
    flat, step = tensor.view(torch.int32).view(-1), 1 << 26
    for begin in range(0, flat.numel(), step):
        block = flat[begin:begin + step]
        for index in block.nonzero().view(-1).tolist():
            assert left.pop(begin + index) == block[index].item()
    assert all(bits == 0 for bits in left.values())


def transposed(index):
    row, column = divmod(index, COLUMNS)
    return column * ROWS + row


@pytest.fixture(scope="module")
def folder():
    with big.folder_with_space(3 * BYTES) as folder:
        big.save_sparse(
            {"w": big.empty(torch.float32, ROWS, COLUMNS), "after": big.empty(torch.int16, 5)}, folder / "plain.pt"
        )
        big.fill(folder / "plain.pt", "data/0", MARKS)
        big.fill(folder / "plain.pt", "data/1", {0: b"0123456789"})
        yield folder


def test_more_than_4_gib_in_one_storage(folder):
    source, target = folder / "plain.pt", folder / "plain.safetensors"
    loaded = torch.load(source, mmap=True)
    assert_has_marks(loaded["w"])  # torch reads the marks there too
    assert_converts_in_little_memory(source, target)
    with safe_open(target, "pt") as file:
        assert file.get_tensor("after").view(torch.uint8).tolist() == list(b"0123456789")
        assert_has_marks(file.get_tensor("w"))
    target.unlink()


def test_more_than_4_gib_transposed(folder):
    """The same storage, transposed; the elements are at the places that torch's transposition gives."""
    source, target = folder / "transposed.pt", folder / "transposed.safetensors"
    big.save_sparse({"w": big.empty(torch.float32, ROWS, COLUMNS).t()}, source)
    big.fill(source, "data/0", MARKS)
    assert_has_marks(torch.load(source, mmap=True)["w"].t())
    assert_converts_in_little_memory(source, target)
    with safe_open(target, "pt") as file:
        assert file.get_tensor("w").shape == (COLUMNS, ROWS)
        assert_has_marks(file.get_tensor("w"), transposed)
    target.unlink()


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
def test_100_000_tensors(options, tmp_path):
    tensors = {
        f"model.layers.{index // 10}.block.{index % 10}.weight": torch.tensor([index, -index], dtype=torch.int32)
        for index in range(100_000)
    }
    torch.save(tensors, tmp_path / "many.pt", **options)
    assert_converts_in_little_memory(tmp_path / "many.pt", tmp_path / "many.safetensors")
    with safe_open(tmp_path / "many.safetensors", "pt") as file:
        assert len(header(tmp_path / "many.safetensors")) == 100_001
        for name in list(tensors)[::997]:
            assert torch.equal(file.get_tensor(name), tensors[name])
    assert run("compare", tmp_path / "many.pt", tmp_path / "many.safetensors").code == YES


def test_memory_does_not_depend_on_the_declared_size_of_a_tensor(tmp_path):
    """Sixty tensors of 1 MiB, expanded from 1 KiB, and one of 60 MiB."""
    tensors = {f"e{index}": torch.arange(256.0).expand(1024, 256) for index in range(60)} | {
        "large": torch.ones(1).expand(15 << 20)
    }
    torch.save(tensors, tmp_path / "expanded.pt")
    assert_converts_in_little_memory(tmp_path / "expanded.pt", tmp_path / "expanded.safetensors")


def test_a_deflated_storage_of_half_a_gib(tmp_path):
    torch.save({"w": torch.zeros(1 << 27), "v": torch.ones(3)}, tmp_path / "stored.pt")
    with (
        zipfile.ZipFile(tmp_path / "stored.pt") as old,
        zipfile.ZipFile(tmp_path / "deflated.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for info in old.infolist():
            with old.open(info) as source, new.open(info.filename, "w", force_zip64=True) as record:
                while block := source.read(1 << 22):
                    record.write(block)
    assert_converts_in_little_memory(tmp_path / "deflated.pt", tmp_path / "model.safetensors")
