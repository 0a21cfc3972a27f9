"""Interruptions and errors during a conversion: the target is the old or the new file, and no other file remains."""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import time

import pytest
import torch

import big
from program import COULD_NOT, INTERRUPTED, PROGRAM, YES, assert_refused, run, snapshot, start
from tensors import load, raw

pytestmark = pytest.mark.hostile

BYTES = 1 << 30


@pytest.fixture(scope="module")
def large():
    """A folder with a checkpoint whose conversion takes long enough to be interrupted."""
    with big.folder_with_space(4 * BYTES) as folder:
        big.save_sparse({"w": big.empty(torch.uint8, BYTES)}, folder / "large.pt")
        yield folder


@pytest.fixture
def small(tmp_path):
    torch.save({"w": torch.arange(100_000.0)}, tmp_path / "small.pt")
    return tmp_path / "small.pt"


@contextlib.contextmanager
def converting(folder, *options):
    """Starts to convert the large checkpoint, and yields the process and the target while the temporary file grows."""
    target = folder / "out.safetensors"
    process = start("convert", folder / "large.pt", "-o", target, *options)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_blocks for path in folder.glob(".out.safetensors*")):
        assert process.poll() is None, f"it ended before it could be interrupted: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    try:
        yield process, target
    finally:
        process.kill()
        process.communicate()
        for path in [*folder.glob("out.*"), *folder.glob(".out.*")]:
            path.unlink()


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.release
@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_files(large, interrupt):
    with converting(large) as (process, target):
        process.send_signal(interrupt)
        code, err = end(process)
        assert code == (INTERRUPTED if interrupt == signal.SIGINT else code) and code != YES
        assert set(snapshot(large)) == {"large.pt"}, err


@pytest.fixture(scope="module")
def slow_pickle():
    """A pickle that takes a long time to parse: 300 million opcodes, which build nothing."""
    with big.folder_with_space(BYTES) as folder:
        with open(folder / "slow.pkl", "wb") as file:
            file.write(b"\x80\2")
            for _ in range(300):
                file.write(b"N0" * 500_000)
            file.write(b"N.")
        yield folder / "slow.pkl"


@pytest.mark.release
@pytest.mark.parametrize("interrupt", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["inspect", "scan"])
def test_ctrl_c_ends_a_command_that_parses_a_large_pickle(verb, interrupt, slow_pickle):
    process = start(verb, slow_pickle)
    time.sleep(0.3)
    assert process.poll() is None, "it ended before it could be interrupted"
    process.send_signal(interrupt)
    sent = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == -interrupt and (out, err) == ("", "")
    assert time.monotonic() - sent < 1


@pytest.mark.release
def test_ctrl_c_keeps_the_old_target(large):
    (large / "out.safetensors").write_text("the old file")
    with converting(large, "--force") as (process, target):
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == INTERRUPTED
        assert target.read_text() == "the old file" and set(snapshot(large)) == {"large.pt", "out.safetensors"}


@pytest.mark.release
def test_kill_9_leaves_a_temporary_file_that_the_next_run_removes(large, small):
    with converting(large) as (process, target):
        process.kill()
        end(process)
        assert not target.exists() and list(large.glob(".out.*"))
        assert run("convert", small, "-o", target).code == YES
        assert set(snapshot(large)) == {"large.pt", "out.safetensors"}
        assert raw(load(target)[0]["w"]) == raw(torch.arange(100_000.0))


@pytest.mark.release
def test_kill_9_keeps_the_old_target(large):
    (large / "out.safetensors").write_text("the old file")
    with converting(large, "--force") as (process, target):
        process.kill()
        end(process)
        assert target.read_text() == "the old file"


@pytest.mark.release
def test_a_killed_sandboxed_process_is_an_error_and_leaves_no_files(large):
    with converting(large) as (process, target):
        worker, = map(int, pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
        os.kill(worker, signal.SIGKILL)
        code, err = end(process)
        assert code == COULD_NOT and "large.pt: the sandboxed process was killed" in err
        assert set(snapshot(large)) == {"large.pt"}


@pytest.mark.release
def test_a_second_run_for_the_same_target_is_refused_while_the_first_runs(large, small):
    with converting(large) as (process, target):
        assert_refused(run("convert", small, "-o", target), target, "another process")
        process.send_signal(signal.SIGINT)
        end(process)


@pytest.mark.release
@pytest.mark.parametrize("change", ["cut short", "changed"])
def test_a_source_that_changes_during_the_conversion_is_an_error(large, change):
    source = large / "large.pt"
    size = source.stat().st_size
    try:
        with converting(large) as (process, target):
            if change == "cut short":
                os.truncate(source, size // 3)
            else:
                with open(source, "r+b") as file:
                    file.seek(size - 4096)
                    file.write(b"x")
            code, err = end(process)
            assert code == COULD_NOT and "large.pt" in err and "error: " in err, err
            assert set(snapshot(large)) == {"large.pt"}
    finally:
        os.truncate(source, 0)
        big.save_sparse({"w": big.empty(torch.uint8, BYTES)}, source)


def test_a_missing_file(tmp_path):
    for verb in (["inspect"], ["scan"], ["convert"]):
        done = run(*verb, tmp_path / "gone.bin")
        assert done.code == COULD_NOT and "gone.bin" in done.out + done.err
    (tmp_path / "dangling.bin").symlink_to(tmp_path / "gone.bin")
    assert_refused(run("convert", tmp_path / "dangling.bin", "-o", tmp_path / "x"), tmp_path / "dangling.bin")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/proc/self/mem"])
def test_a_special_file_is_refused(path, tmp_path):
    assert_refused(run("convert", path, "-o", tmp_path / "x", timeout=10), path)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert_refused(run("convert", tmp_path / "pipe", "-o", tmp_path / "x", timeout=10), tmp_path / "pipe")


def drop_rights():
    """Runs in the child process: drops the rights of root, who can read every file."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


@pytest.fixture
def open_folder():
    """A folder in which every user may write."""
    with big.folder_with_space(1 << 20) as folder:
        folder.chmod(0o777)
        command = [PROGRAM, "version"]
        if os.geteuid() == 0 and subprocess.run(command, preexec_fn=drop_rights, capture_output=True).returncode != 0:
            pytest.skip("only root can run the program")
        yield folder


def test_an_unreadable_file_is_refused(open_folder):
    source = open_folder / "secret.pt"
    torch.save({"w": torch.ones(2)}, source)
    source.chmod(0)
    assert_refused(run("convert", source, "-o", open_folder / "x", preexec_fn=drop_rights), source, "permission denied")
    assert set(snapshot(open_folder)) == {"secret.pt"}


def test_a_read_only_folder_is_refused(open_folder, small):
    torch.save({"w": torch.ones(2)}, open_folder / "model.pt")
    (open_folder / "model.pt").chmod(0o644)
    (open_folder / "sealed").mkdir(mode=0o555)
    target = open_folder / "sealed" / "x.safetensors"
    assert_refused(
        run("convert", open_folder / "model.pt", "-o", target, preexec_fn=drop_rights), target, "permission denied"
    )
    assert snapshot(open_folder / "sealed") == {}


def test_an_existing_target_is_kept_unless_forced(small, tmp_path):
    target = tmp_path / "x.safetensors"
    target.write_text("precious")
    assert_refused(run("convert", small, "-o", target), target, "exists", hint="--force")
    assert target.read_text() == "precious"
    assert run("convert", small, "-o", target, "--force").code == YES
    assert "w" in load(target)[0]


def test_a_link_as_target_is_followed(small, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "model").write_text("old")
    (tmp_path / "link").symlink_to("real/model")
    assert run("convert", small, "-o", tmp_path / "link", "--force").code == YES
    assert (tmp_path / "link").is_symlink() and "w" in load(tmp_path / "real" / "model")[0]


def test_the_umask_is_respected(small, tmp_path):
    assert run("convert", small, "-o", tmp_path / "x", preexec_fn=lambda: os.umask(0o027)).code == YES
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_the_source_is_never_the_target(small):
    before = small.read_bytes()
    done = run("convert", small, "-o", small, "--force")
    assert done.code == COULD_NOT and small.read_bytes() == before


def test_a_dry_run_writes_nothing(small, tmp_path):
    done = run("convert", small, "-o", tmp_path / "x.safetensors", "--dry-run")
    assert done.code == YES and "x.safetensors" in done.out and set(snapshot(tmp_path)) == {"small.pt"}


def limit_file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_limit_on_the_file_size_leaves_no_files(small, tmp_path):
    done = run("convert", small, "-o", tmp_path / "x.safetensors", preexec_fn=limit_file_size, restore_signals=False)
    assert_refused(done, tmp_path / "x.safetensors")
    assert set(snapshot(tmp_path)) == {"small.pt"}


def test_a_full_disk_leaves_no_files(small, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
        ).returncode
        != 0
    ):
        pytest.skip("cannot mount a small disk; the test above covers a limit on the file size")
    try:
        assert_refused(
            run("convert", small, "-o", disk / "x.safetensors"), disk / "x.safetensors", "space", hint="space"
        )
        assert snapshot(disk) == {}
    finally:
        subprocess.run(["umount", disk], check=True)
