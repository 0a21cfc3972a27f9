"""Threads and forked processes that load and save at the same time get the right bits."""

import pytest
import torch

import fresh
from depickle.safetensors import SafetensorError, safe_open
from depickle.safetensors.numpy import load_file as load_numpy
from depickle.safetensors.torch import load_file, save_file
from saved_model import BACKENDS, TENSORS, path, same  # noqa: F401
from threads import in_threads


# Threads

@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_load_and_save_concurrently(path, tmp_path, backend):
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


def test_readers_see_a_complete_file_while_threads_save_it(tmp_path):
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
                whole = torch.as_tensor(file.get_tensor(name))
                part = torch.as_tensor(file.get_slice(name)[5:50, number])
                if not torch.equal(whole, TENSORS[name]) or not torch.equal(part, TENSORS[name][5:50, number]):
                    return False
            return same({name: torch.as_tensor(tensor) for name, tensor in file.get_tensors().items()}, TENSORS)

        assert all(in_threads(work))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_handle_is_closed_by_another_thread(path, backend):
    """Readers get correct tensors until the handle is closed, and then SafetensorError."""
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
        with pytest.raises(SafetensorError, match="^File is closed$"):
            file.get_tensor("layer.0")


# Forks

@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_a_forked_child_reads_and_exits_normally(path, framework, backend):
    fresh.assert_runs_silently("""
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
                tensor[:] = 0          # changes the child's copy of the page only
            first = tensors["layer.0"]
            save_file({"mine": first if framework == "numpy" else first.numpy()}, path + ".child")
            handle.close()
            sys.exit(17)               # a normal exit, which finalizes the interpreter
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        assert sums() == expected
        """, path, framework, backend, imports=[framework], finalizes=True)
    assert not load_numpy(f"{path}.child")["mine"].any()


def test_a_forked_pool_uses_the_handle_of_the_parent(path):
    fresh.assert_runs_silently("""
        import multiprocessing, sys
        from depickle.safetensors import safe_open
        handle = safe_open(sys.argv[1], "pt")
        names = handle.keys()
        kept = handle.get_tensor(names[0])

        def total(name):
            return handle.get_tensor(name).double().sum().item() + kept.double().sum().item()

        with multiprocessing.get_context("fork").Pool(4) as pool:
            assert pool.map(total, names) == [total(name) for name in names]
        """, path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fork_while_threads_read_does_not_hang(tmp_path, backend):
    """Reads of 16 MiB and more start threads, which a child does not inherit."""
    large = tmp_path / "large.safetensors"
    save_file({"large": torch.arange(8 << 20, dtype=torch.int32)}, large)
    fresh.assert_runs_silently("""
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
        """, large, backend, imports=["numpy"])
