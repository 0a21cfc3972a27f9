"""Failing and slow system calls: the target is the old or the new file, and no other file remains."""
import errno
import os
import subprocess
import time

import pytest
import torch

import faults
from program import COULD_NOT, PROGRAM, YES, run, snapshot
from tensors import load

pytestmark = pytest.mark.hostile

RUNS = 204


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def source(tmp_path):
    torch.save({"a": torch.arange(900_000.0), "b": torch.ones(3)}, tmp_path / "source.pt")
    return tmp_path / "source.pt"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def convert_with_fault(library, log, call, number, error, *arguments):
    """Returns the result and whether the fault happened."""
    log.unlink(missing_ok=True)
    fault = faults.prefix(library, FAULT_CALL=f"{call}:{number}:{error}", FAULT_LOG=log)
    # A sandboxed process gets no environment. Some faults are before the program's own error handling, hence the limit.
    done = run("convert", *arguments, "--no-sandbox", prefix=fault)
    return done, log.exists()


FAULTS = [
    ("open", errno.ENOSPC),
    ("fallocate", errno.ENOSPC),
    ("pwrite", errno.ENOSPC),
    ("pwrite", errno.EIO),
    ("fsync", errno.EIO),
    ("flock", errno.EIO),
    ("renameat2", errno.EIO),
    ("renameat2", errno.ENOSPC),
]


@pytest.mark.parametrize("existing", [None, "the old file"])
@pytest.mark.parametrize("call, error", FAULTS, ids=lambda value: errno.errorcode.get(value, value))
def test_a_failed_call_leaves_the_old_target_and_no_other_file(library, source, folder, call, error, existing):
    target, receipt = folder / "x.safetensors", folder / "receipt.json"
    for number in range(1, 100):
        for path in (target, receipt):
            path.unlink(missing_ok=True)
        if existing:
            target.write_text(existing)
        arguments = [source, "-o", target, "--receipt", receipt] + (["--force"] if existing else [])
        done, happened = convert_with_fault(library, folder.parent / "log", call, number, error, *arguments)
        if done.code == YES:
            assert set(snapshot(folder)) == {"x.safetensors", "receipt.json"}
            assert torch.equal(load(target)[0]["a"], torch.arange(900_000.0))
            if not happened:
                assert number > 1
                return
            continue  # the sync of the folder, after the rename
        line = [line for line in done.err.splitlines() if line.startswith("error: ")][0]
        assert done.code == COULD_NOT and happened, done
        assert str(folder) in line and (os.strerror(error) in line or "not enough space" in line), line
        # If the receipt fails, after the target, the target is complete.
        left = set(snapshot(folder)) - {"x.safetensors"}
        assert left == set(), line
        if target.exists() and not (existing and target.read_text(errors="replace") == existing):
            assert "receipt.json" in line and torch.equal(load(target)[0]["a"], torch.arange(900_000.0))
    raise AssertionError(f"every {call} failed")


@pytest.mark.parametrize("call, error", FAULTS, ids=lambda value: errno.errorcode.get(value, value))
def test_a_failed_call_leaves_only_complete_files_in_a_folder(library, source, folder, call, error, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    weight_map = ""
    for index in (1, 2):
        name = f"pytorch_model-0000{index}-of-00002.bin"
        torch.save({f"t{index}": torch.full((5,), index)}, shards / name)
        weight_map += f'{", " if weight_map else ""}"t{index}": "{name}"'
    (shards / "pytorch_model.bin.index.json").write_text(f'{{"metadata": {{}}, "weight_map": {{{weight_map}}}}}')
    complete = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}
    for number in range(1, 100):
        for path in folder.iterdir():
            path.unlink()
        done, happened = convert_with_fault(library, tmp_path / "log", call, number, error, shards, "-o", folder)
        assert set(snapshot(folder)) <= complete
        for path in folder.glob("*.safetensors"):
            assert len(load(path)[0]) == 1
        if done.code == YES:
            assert set(snapshot(folder)) == complete
            if not happened:
                return
            continue
        assert done.code == COULD_NOT and happened
        lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and (os.strerror(error) in lines[0] or "not enough space" in lines[0]), lines
        assert any(name in lines[0] for name in complete), lines
        if "model.safetensors.index.json" in snapshot(folder):
            assert set(snapshot(folder)) == complete
    raise AssertionError(f"every {call} failed")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failed_write_to_a_pipe_is_an_error(library, source, tmp_path, error):
    done, happened = convert_with_fault(library, tmp_path / "log", "write", 1, error, source, "-o", "-")
    assert happened and done.code == COULD_NOT and f"stdout: cannot write: {os.strerror(error)}" in done.err


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS])
def test_without_rename_noreplace_an_existing_target_is_kept(library, source, folder, error):
    """As on NFS. The target appears after the check, while the file is written."""
    target = folder / "x.safetensors"
    fault = faults.prefix(library, FAULT_CALL=f"renameat2:0:{error}")
    assert run("convert", source, "-o", target, "--no-sandbox", prefix=fault).code == YES
    assert torch.equal(load(target)[0]["a"], torch.arange(900_000.0)) and len(snapshot(folder)) == 1
    target.unlink()
    slow = faults.prefix(library, FAULT_CALL=f"renameat2:0:{error}", DELAY_CALL="renameat2:900")
    process = subprocess.Popen(
        [*slow, PROGRAM, "convert", source, "-o", target, "--no-sandbox"], stderr=subprocess.PIPE, text=True
    )
    temporary, size = folder / ".x.safetensors.depickle-tmp", 0
    while process.poll() is None and not (size and time.monotonic() > stable_since + 0.2):
        now = temporary.stat().st_size if temporary.exists() else 0
        if now != size:
            size, stable_since = now, time.monotonic()
        time.sleep(0.005)
    target.write_text("of another program")
    err = process.communicate(timeout=60)[1]
    assert process.returncode == COULD_NOT and "already exists" in err, err
    assert target.read_text() == "of another program" and len(snapshot(folder)) == 1


def test_without_hard_links_and_rename_noreplace_the_file_is_complete(library, source, folder, tmp_path):
    """As on exFAT: renameat2() with flags and link() fail."""
    target = folder / "x.safetensors"
    both = library.with_name("both.so")
    text = faults.SOURCE.replace('fails("link") ? -1', '(errno = EPERM, -1) ? -1')
    (tmp_path / "both.c").write_text(text)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", both, tmp_path / "both.c"], check=True)
    fault = faults.prefix(both, FAULT_CALL=f"renameat2:0:{errno.EINVAL}")
    assert run("convert", source, "-o", target, "--no-sandbox", prefix=fault).code == YES
    assert torch.equal(load(target)[0]["a"], torch.arange(900_000.0)) and len(snapshot(folder)) == 1


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_flock_two_writers_have_their_own_temporary_files(library, source, folder, error):
    fault = faults.prefix(library, FAULT_CALL=f"flock:0:{error}")
    target, other = folder / "x.safetensors", folder / ".x.safetensors.depickle-tmp"
    other.write_text("of another process")
    assert run("convert", source, "-o", target, "--no-sandbox", prefix=fault).code == YES
    assert torch.equal(load(target)[0]["a"], torch.arange(900_000.0)) and other.read_text() == "of another process"
    assert set(snapshot(folder)) == {target.name, other.name}


@pytest.mark.parametrize("options", [[], ["--force"]], ids=["refuse", "force"])
def test_two_processes_at_one_target_publish_only_whole_files(library, folder, tmp_path, options):
    target = folder / "x.safetensors"
    contents = []
    for index in range(2):
        torch.save({"w": torch.full((50_000,), index)}, tmp_path / f"{index}.pt")
        expected = tmp_path / f"{index}.safetensors"
        assert run("convert", tmp_path / f"{index}.pt", "-o", expected).code == YES
        contents.append(expected.read_bytes())
    calls = ["open", "flock", "fstat", "lstat", "renameat2", "unlink"]
    for number in range(RUNS // 2):
        delay = faults.prefix(library, DELAY_CALL=f"{calls[number % len(calls)]}:15")
        target.unlink(missing_ok=True)
        processes = []
        for index in range(2):
            command = [*delay, PROGRAM, "convert", tmp_path / f"{index}.pt", "-o", target, "--no-sandbox", "--no-sync"]
            processes.append(subprocess.Popen([*map(str, command), *options], stderr=subprocess.PIPE, text=True))
            time.sleep(number % 5 * 0.004 * (index == 0))
        errors = [process.communicate(timeout=60)[1] for process in processes]
        codes = [process.returncode for process in processes]
        winners = [index for index in range(2) if codes[index] == YES]
        assert winners and (options or len(winners) == 1), (number, codes, errors)
        assert any(target.read_bytes() == contents[index] for index in winners), (number, codes, errors)
        for index in range(2):
            if index not in winners:
                is_named = "already exists" in errors[index] or "another process is writing" in errors[index]
                assert codes[index] == COULD_NOT and is_named, (number, errors)
        assert set(snapshot(folder)) == {"x.safetensors"}, (number, snapshot(folder))
