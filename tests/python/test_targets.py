"""Targets of convert that are not files, and the standard output as the target. Devices are faked with FIFOs."""
import errno
import os
import pty
import socket
import stat
import subprocess

import pytest
import torch

from program import COULD_NOT, ENVIRONMENT, PROGRAM, YES, assert_refused, error_line, run, snapshot
from tensors import load

pytestmark = pytest.mark.hostile


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    torch.save({"w": torch.arange(200_000.0)}, tmp_path / "in" / "pytorch_model.bin")
    return tmp_path / "in" / "pytorch_model.bin"


@pytest.fixture
def expected(source, tmp_path):
    assert run("convert", source, "-o", tmp_path / "expected").code == YES
    return (tmp_path / "expected").read_bytes()


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_link(path):
    os.mkfifo(path.with_name("far"))
    path.symlink_to("far")


def make_link_to_a_link(path):
    make_link(path.with_name("near"))
    path.symlink_to("near")


KINDS = [make_fifo, make_socket, make_link, make_link_to_a_link]


def modes(folder):
    return {path.name: (stat.S_IFMT(path.lstat().st_mode), path.lstat().st_ino) for path in folder.iterdir()}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("options", [[], ["-f"]], ids=["refuse", "force"])
@pytest.mark.parametrize("role", ["target", "receipt", "in a folder"])
def test_only_regular_files_are_replaced(make, options, role, source, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    name = {"target": "x.safetensors", "receipt": "receipt.json", "in a folder": "model.safetensors"}[role]
    make(folder / name)
    before = modes(folder)
    arguments = {
        "target": [source, "-o", folder / name],
        "receipt": [source, "-o", folder / "x.safetensors", "--receipt", folder / name],
        "in a folder": [source.parent, "-o", folder],
    }[role]
    done = run("convert", *arguments, *options, timeout=20)
    # Without --force, a target in a folder is opened, to be compared with the source; a socket cannot be opened.
    assert_refused(done, folder / name, *([] if role == "in a folder" else ["regular file"]))
    assert modes(folder) == before


@pytest.mark.parametrize("options", [["-o", ""], ["--output", ""], ["--output="], ["--receipt", ""]], ids=str)
def test_an_empty_path_is_a_usage_error(options, source):
    before = snapshot(source.parent)
    done = run("convert", source, *options)
    assert done.code == COULD_NOT and any(word in error_line(done) for word in ("empty", "missing")), done.err
    assert "--help" in done.err and snapshot(source.parent) == before


def streamed(*arguments, **options):
    done = subprocess.run(
        [PROGRAM, "convert", *arguments], stderr=subprocess.PIPE, timeout=60, env=ENVIRONMENT, **options
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
def test_stdout_gets_the_file_if_it_is_a_pipe_or_a_file(output, source, expected, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    code, out, err = streamed(source, "-o", output, stdout=subprocess.PIPE, cwd=folder)
    assert code == YES and out == expected and "1 tensor identical." in err
    with open(tmp_path / "redirected", "wb") as file:
        assert streamed(source, "-o", output, stdout=file, cwd=folder)[0] == YES
    assert (tmp_path / "redirected").read_bytes() == expected
    assert snapshot(folder) == {}


def test_nothing_is_written_to_stdout_if_the_source_is_damaged(source):
    source.write_bytes(source.read_bytes()[:-100])
    code, out, err = streamed(source, "-o", "-", stdout=subprocess.PIPE)
    assert code == COULD_NOT and out == b"" and "pytorch_model.bin" in err


def test_a_pipe_that_closes_ends_the_program(source):
    process = subprocess.Popen([PROGRAM, "convert", source, "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(60) != YES
    process.stderr.close()


def test_a_terminal_gets_no_file(source):
    ours, theirs = pty.openpty()
    code, _, err = streamed(source, "-o", "-", stdout=theirs)
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    assert code == COULD_NOT and "stdout: is a terminal" in err


@pytest.mark.parametrize("options", [["--json"], ["--events"], ["--receipt", "receipt.json"], ["--pr"]], ids=str)
def test_stdout_gets_only_the_file(options, source, tmp_path):
    before = snapshot(source.parent)
    done = run("convert", source, "-o", "-", *options, cwd=tmp_path)
    assert done.code == COULD_NOT and done.err.startswith("error: "), done.err
    assert snapshot(source.parent) == before and not (tmp_path / "receipt.json").exists()


def test_a_folder_is_not_written_to_stdout(source, tmp_path):
    done = run("convert", source.parent, "-o", "-", cwd=tmp_path)
    assert done.code == COULD_NOT and "only one file" in done.err and done.out == ""


def test_the_source_is_not_appended_to_itself(source):
    before = source.read_bytes()
    with open(source, "ab") as file:
        code, _, err = streamed(source, "-o", "-", stdout=file)
    assert code == COULD_NOT and "same file" in err and source.read_bytes() == before


def test_a_dry_run_with_stdout_prints_the_plan(source, tmp_path):
    done = run("convert", source, "-o", "-", "--dry-run", cwd=tmp_path)
    assert done.code == YES and done.out.startswith("would write /dev/stdout: 1 tensor"), done


def test_a_file_can_still_be_called_minus(source, expected, tmp_path):
    assert run("convert", source, "-o", "./-", cwd=tmp_path).code == YES
    assert (tmp_path / "-").read_bytes() == expected and "w" in load(tmp_path / "-")[0]


def test_an_error_has_its_errno(source, tmp_path):
    (tmp_path / "x").write_text("old")
    done = run("convert", source, "-o", tmp_path / "x", "--json")
    assert done.json["errno"] == errno.EEXIST and done.json["reason"] == "target_exists"
