"""Callbacks that raise, Ctrl-C and subinterpreters: the right exception is raised and the process continues."""

import os
import sys

import pytest
import torch

import depickle
import depickle.torch
import fresh
from depickle.safetensors import safe_open
from depickle.safetensors.numpy import load_file as load_numpy
from depickle.safetensors.torch import load_file, save_file
from saved_model import BACKENDS, TENSORS, path, same  # noqa: F401


# Callbacks

class CallbackError(Exception):
    pass


class Raising:
    """A path or an index whose conversion raises."""

    def fail(self, *_):
        raise CallbackError

    __fspath__ = __index__ = fail


class RaisingFile:
    """An open file whose reads and writes raise."""

    def fail(self, *_):
        raise CallbackError

    read = readinto = write = fail


class RaisingMapping(dict):
    def items(self):
        raise CallbackError

    __iter__ = keys = __getitem__ = items


@pytest.mark.parametrize("call", [
    lambda path: safe_open(Raising(), "pt"),
    lambda path: load_file(Raising()),
    lambda path: save_file({"a": torch.ones(3)}, Raising()),
    lambda path: load_file(RaisingFile()),
    lambda path: load_numpy(RaisingFile()),
    lambda path: save_file({"a": torch.ones(3)}, RaisingFile()),
    lambda path: depickle.torch.load(RaisingFile()),
    lambda path: save_file(RaisingMapping(), path),
    lambda path: safe_open(path, "pt").get_slice("layer.0")[Raising():],
    lambda path: safe_open(path, "np").get_slice("layer.0")[Raising():],
    lambda path: safe_open(path, "np", backend="pread").get_slice("layer.0")[Raising()],
])
def test_exceptions_of_callbacks_pass_through(path, call):
    with pytest.raises(CallbackError):
        call(path)
    assert same(load_file(path), TENSORS)


def test_an_exception_of_a_progress_callback_stops_the_conversion(tmp_path):
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")

    def progress(*_, **__):
        raise CallbackError

    with pytest.raises(CallbackError):
        depickle.convert(tmp_path / "pytorch_model.bin", progress=progress)
    # So small a file may be converted before the exception. test_commands_progress.py uses a large one.
    remaining = {file.name for file in tmp_path.iterdir()} - {"pytorch_model.bin"}
    assert remaining <= {"model.safetensors"}
    if remaining:
        assert same(load_file(tmp_path / "model.safetensors"), TENSORS)


# Signals and interpreters

@pytest.mark.parametrize("delay", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_while_a_large_file_is_read(tmp_path, backend, delay):
    """KeyboardInterrupt is raised during the read or after it; the process continues."""
    large, small = tmp_path / "large.safetensors", tmp_path / "small.safetensors"
    save_file({"small": torch.arange(5)}, small)
    size = 512 << 20
    header = f'{{"large":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}'.encode()
    header += b" " * (-len(header) % 8)
    large.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(large, 8 + len(header) + size)  # sparse
    done = fresh.fork("""
        import os, signal, sys, threading, time
        from depickle.safetensors.numpy import load_file
        large, small, backend, delay = sys.argv[1:]
        assert load_file(small, backend=backend)["small"].tolist() == [0, 1, 2, 3, 4]
        start = time.monotonic()
        threading.Timer(float(delay), os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            while time.monotonic() < start + 20:
                load_file(large, backend=backend)["large"][::4096].sum()
        except KeyboardInterrupt:
            print("interrupted")
            assert time.monotonic() - start < 15
        assert load_file(small, backend=backend)["small"].tolist() == [0, 1, 2, 3, 4]
        """, large, small, backend, delay, imports=["numpy"])
    assert done.stdout == "interrupted\n"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the module for subinterpreters has another name")
def test_a_subinterpreter_is_refused():
    done = fresh.run("""
        import depickle.safetensors
        import _xxsubinterpreters as interpreters
        interpreter = interpreters.create()
        try:
            interpreters.run_string(interpreter, "from depickle.safetensors import safe_open")
        except interpreters.RunFailedError as error:
            assert "interpreter" in str(error), error
            print("refused")
        """)
    assert done.stdout == "refused\n"
