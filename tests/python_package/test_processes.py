"""Threads, forks, files that change under their tensors, callbacks that raise, Ctrl-C: the right bits or a clear error, and a process that lives on."""
import gc
import os
import pathlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import torch

import depickle
import depickle.torch
import fresh
from depickle.safetensors import SafetensorError, safe_open
from depickle.safetensors.numpy import load_file as load_numpy
from depickle.safetensors.torch import load_file, save_file

BACKENDS = ["mmap", "pread"]
TENSORS = {f"layer.{index}": torch.arange(index, index + 6000, dtype=torch.float32).view(60, 100) for index in range(40)}


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def in_threads(work, count=8):
    """work(number) in `count` threads that start together."""
    barrier = threading.Barrier(count)

    def start(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as workers:
        return list(workers.map(start, range(count)))


def mappings_of(path):
    return sum(str(path) in line for line in pathlib.Path("/proc/self/maps").read_text().splitlines())


# ---- threads

@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_load_and_save_at_once(path, tmp_path, backend):
    def work(number):
        own = tmp_path / f"{number}.safetensors"
        for turn in range(20):
            tensors = load_file(path, backend=backend)
            tensors["turn"] = torch.tensor([number, turn])
            save_file(tensors, own)
            if not same(load_file(own, backend=backend), TENSORS | {"turn": torch.tensor([number, turn])}):
                return False
        return True

    assert all(in_threads(work))


def test_threads_save_one_file_and_readers_see_a_whole_one(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"value": torch.full((50_000,), 0.0)}, path)

    def work(number):
        for _ in range(30):
            if number % 2:
                save_file({"value": torch.full((50_000,), float(number))}, path)
            elif load_file(path)["value"].unique().numel() != 1:
                return False
        return True

    assert all(in_threads(work))
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["pt", "np"])
def test_threads_share_a_handle(path, framework, backend):
    with safe_open(path, framework, backend=backend) as file:
        def work(number):
            for name in list(TENSORS)[number:] + list(TENSORS)[:number]:
                whole, part = torch.as_tensor(file.get_tensor(name)), torch.as_tensor(file.get_slice(name)[5:50, number])
                if not torch.equal(whole, TENSORS[name]) or not torch.equal(part, TENSORS[name][5:50, number]):
                    return False
            return same({name: torch.as_tensor(tensor) for name, tensor in file.get_tensors().items()}, TENSORS)

        assert all(in_threads(work))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_handle_closed_by_another_thread(path, backend):
    """Readers get the right bits until it is closed, and are told so after."""
    for _ in range(50):
        file = safe_open(path, "pt", backend=backend)

        def work(number):
            if number == 0:
                file.close()
                return None
            try:
                for name in TENSORS:
                    assert torch.equal(file.get_tensor(name), TENSORS[name])
            except SafetensorError as error:
                return str(error)

        assert set(in_threads(work, 4)) <= {None, "File is closed"}


# ---- fork

@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_a_forked_child_reads_and_ends_as_any_process(path, framework, backend):
    done = fresh.run("""
        import os, sys, zlib
        from depickle.safetensors import safe_open
        from depickle.safetensors.numpy import save_file
        path, framework, backend = sys.argv[1:]
        handle = safe_open(path, framework, backend=backend)
        tensors = handle.get_tensors()
        part = handle.get_slice("layer.7")

        def sums():
            opened = safe_open(path, framework, backend=backend).get_tensors()
            return [[zlib.crc32(memoryview(x if framework == "numpy" else x.numpy())) for x in values] for values in (
                tensors.values(), handle.get_tensors().values(), opened.values(), [part[:]])]

        expected = sums()
        child = os.fork()
        if child == 0:
            assert sums() == expected
            for tensor in tensors.values():
                tensor[:] = 0          # its own copy of the page: the parent's stays as it is
            save_file({"mine": tensors["layer.0"] if framework == "numpy" else tensors["layer.0"].numpy()}, path + ".child")
            handle.close()
            sys.exit(17)               # through the interpreter's own end, with everything that it destroys
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        assert sums() == expected
        print("done")
        """, path, framework, backend)
    assert done.stdout == "done\n" and done.stderr == ""
    assert not load_numpy(f"{path}.child")["mine"].any()


def test_processes_of_a_forked_pool_use_what_the_parent_opened(path):
    done = fresh.run("""
        import multiprocessing, sys
        from depickle.safetensors import safe_open
        handle = safe_open(sys.argv[1], "pt")
        names = handle.keys()
        kept = handle.get_tensor(names[0])

        def total(name):
            return handle.get_tensor(name).double().sum().item() + kept.double().sum().item()

        with multiprocessing.get_context("fork").Pool(4) as pool:
            assert pool.map(total, names) == [total(name) for name in names]
        print("done")
        """, path)
    assert done.stdout == "done\n" and done.stderr == ""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fork_amid_reading_threads_does_not_hang(tmp_path, backend):
    """Large enough for readers to have threads of their own, which a child does not inherit."""
    large = tmp_path / "large.safetensors"
    save_file({"large": torch.arange(24 << 20, dtype=torch.int32)}, large)
    done = fresh.run("""
        import os, sys, threading
        from depickle.safetensors.numpy import load_file
        path, backend = sys.argv[1:]
        load = lambda: int(load_file(path, backend=backend)["large"][-1])
        expected, ended = load(), threading.Event()

        def keep_loading():
            while not ended.is_set():
                assert load() == expected

        threads = [threading.Thread(target=keep_loading) for _ in range(3)]
        [thread.start() for thread in threads]
        for _ in range(8):
            child = os.fork()
            if child == 0:
                os._exit(0 if load() == expected else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        ended.set()
        [thread.join() for thread in threads]
        print("done")
        """, large, backend)
    assert done.stdout == "done\n"


# ---- tensors and their file

@pytest.mark.parametrize("load", [load_file, load_numpy])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tensor_outlives_its_file_its_handle_and_its_siblings(path, load, backend):
    kept = load(path, backend=backend)["layer.3"]
    path.unlink()
    gc.collect()
    assert torch.equal(torch.as_tensor(kept), TENSORS["layer.3"])
    kept[0, 0] = 5  # memory of its own, as far as its owner can tell
    assert float(kept[0, 0]) == 5
    del kept
    gc.collect()
    assert mappings_of(path) == 0


@pytest.mark.parametrize("framework", ["pt", "np"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slice_outlives_its_handle(path, framework, backend):
    with safe_open(path, framework, backend=backend) as file:
        part = file.get_slice("layer.3")[10:20, ::2]
    path.unlink()
    del file
    gc.collect()
    assert torch.equal(torch.as_tensor(part), TENSORS["layer.3"][10:20, ::2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_replaced_by_another(path, tmp_path, backend):
    """What is open reads what it opened; who opens the path anew reads the new."""
    with safe_open(path, "pt", backend=backend) as file:
        before = file.get_tensors()
        save_file({name: tensor + 1 for name, tensor in TENSORS.items()}, tmp_path / "new.safetensors")
        os.replace(tmp_path / "new.safetensors", path)
        assert same(before, TENSORS) and same(file.get_tensors(), TENSORS)
    assert torch.equal(load_file(path, backend=backend)["layer.0"], TENSORS["layer.0"] + 1)
    assert same(before, TENSORS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_a_file_overwritten_with_its_own_tensors(path, framework, backend):
    import importlib

    module = importlib.import_module(f"depickle.safetensors.{framework}")
    tensors = module.load_file(path, backend=backend)
    for turn in range(3):
        tensors["layer.5"] += 1
        module.save_file(tensors, path)
        again = load_file(path)
        assert torch.equal(again["layer.5"], TENSORS["layer.5"] + turn + 1) and torch.equal(again["layer.6"], TENSORS["layer.6"])
        assert torch.equal(torch.as_tensor(tensors["layer.6"]), TENSORS["layer.6"])


def test_writing_to_a_tensor_does_not_write_to_its_file(path):
    before = path.read_bytes()
    for tensor in load_file(path).values():
        tensor.zero_()
    load_numpy(path)["layer.1"][:] = 7
    assert path.read_bytes() == before and same(load_file(path), TENSORS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["pt", "np"])
def test_a_file_cut_short_while_it_is_open(path, framework, backend):
    """Whoever asks for what is gone, or looks at it, is told; a page that vanished does not end the process."""
    done = fresh.run("""
        import os, sys
        from depickle.safetensors import SafetensorError, safe_open
        path, framework, backend = sys.argv[1:]
        file = safe_open(path, framework, backend=backend)
        part, held = file.get_slice("layer.39"), file.get_tensor("layer.38")
        os.truncate(path, 5000)

        def look(tensor):
            tensor.sum()
            for _ in range(1000):  # an error that a signal left behind comes with the next steps of Python
                pass

        asks = [lambda: file.get_tensor("layer.39"), lambda: file.get_tensors()["layer.39"], lambda: part[:], lambda: part[3:4]]
        for ask in ([lambda: held] if backend == "mmap" else []) + asks:
            try:
                look(ask())
            except (SafetensorError, OSError) as error:
                assert path in str(error), error
            else:
                raise AssertionError("nothing was said")
        print("done")
        """, path, framework, backend)
    assert done.stdout == "done\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_closed_handle(path, backend):
    file = safe_open(path, "pt", backend=backend)
    part, tensor = file.get_slice("layer.0"), file.get_tensor("layer.0")
    file.close()
    file.close()
    for ask in (file.keys, file.offset_keys, file.metadata, file.get_tensors, lambda: file.get_tensor("layer.0"), lambda: file.get_slice("layer.0"), lambda: len(file), lambda: "layer.0" in file):
        with pytest.raises(SafetensorError, match="File is closed"):
            ask()
    try:
        assert torch.equal(part[:], TENSORS["layer.0"])
    except SafetensorError as error:
        assert str(error) == "File is closed"
    assert torch.equal(tensor, TENSORS["layer.0"])


# ---- callbacks that raise

class Refused(Exception):
    pass


class Raising:
    """A path or an index that raises when it is asked what it is."""

    def refuse(self, *_):
        raise Refused

    __fspath__ = __index__ = refuse


class RaisingFile:
    """An open file that raises when it is read or written."""

    def refuse(self, *_):
        raise Refused

    read = readinto = write = refuse


class RaisingMapping(dict):
    def items(self):
        raise Refused

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
def test_what_a_callback_raises_comes_through(path, call):
    with pytest.raises(Refused):
        call(path)
    assert same(load_file(path), TENSORS)


def test_a_progress_callback_that_raises_ends_the_job(tmp_path):
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")

    def progress(*_, **__):
        raise Refused

    with pytest.raises(Refused):
        depickle.convert(tmp_path / "pytorch_model.bin", progress=progress)
    # So small a job may have ended by then: all or nothing. That a large one leaves nothing, test_jobs_progress sees.
    left = {file.name for file in tmp_path.iterdir()} - {"pytorch_model.bin"}
    assert left <= {"model.safetensors"}
    if left:
        assert same(load_file(tmp_path / "model.safetensors"), TENSORS)


# ---- signals, interpreters

@pytest.mark.parametrize("delay", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_while_a_large_file_is_read(tmp_path, backend, delay):
    """KeyboardInterrupt, at once or when the read is over; then the process goes on."""
    large, small = tmp_path / "large.safetensors", tmp_path / "small.safetensors"
    save_file({"small": torch.arange(5)}, small)
    size = 1536 << 20
    header = f'{{"large":{{"dtype":"U8","shape":[{size}],"data_offsets":[0,{size}]}}}}'.encode()
    header += b" " * (-len(header) % 8)
    large.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(large, 8 + len(header) + size)  # holes: nothing on the disk
    done = fresh.run("""
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
        """, large, small, backend, delay)
    assert done.stdout == "interrupted\n"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the module of subinterpreters has another name")
def test_a_subinterpreter_is_told_that_it_is_not_supported():
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


def test_numpy_arrays_are_writable_and_share_nothing(path):
    first, second = load_numpy(path), load_numpy(path)
    first["layer.0"][:] = -1
    assert numpy.array_equal(second["layer.0"], TENSORS["layer.0"].numpy())
