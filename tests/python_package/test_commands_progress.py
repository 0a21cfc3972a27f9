"""The program's commands as functions: progress and interruption."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

import depickle
import fresh
from command_helpers import checkpoint, converted_as  # noqa: F401

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests/python"), str(ROOT / "tests/python/hub")]

import big  # noqa: E402


@pytest.fixture(scope="module")
def large():
    """A folder with a checkpoint that takes long enough to be interrupted."""
    with big.folder_with_space(4 << 30) as folder:
        big.save_sparse({"w": big.empty(torch.uint8, 1 << 30)}, folder / "large.pt")
        yield folder


def processes_with_argument(folder):
    """Returns the ids of processes with the folder in their arguments."""
    found = []
    for cmdline in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [cmdline.parent.name] if os.fsencode(folder) in cmdline.read_bytes() else []
        except OSError:
            pass  # the process has exited
    return found


def test_a_function_receives_all_phases(checkpoint, tmp_path):
    steps = []
    depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert {step.phase for step in steps} >= {"write", "compare"} and steps[-1].done_bytes == steps[-1].total_bytes > 0
    steps.clear()
    assert depickle.compare(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert steps[-1].phase == "compare" and steps[-1].done_bytes == steps[-1].total_bytes > 0


def test_progress_bars_of_tqdm(checkpoint, tmp_path, capfd):
    from tqdm import tqdm
    with tqdm(total=None, disable=False) as bar:
        depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=bar)
        assert bar.n == bar.total > 0 and not bar.disable
    created = []

    class Bar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            created.append(self)

        def close(self):
            self.closed = True
            super().close()

    depickle.convert(checkpoint, tmp_path / "x.safetensors", force=True, progress=Bar)
    assert len(created) == 1 and created[0].closed and created[0].n == created[0].total > 0
    capfd.readouterr()
    depickle.convert(checkpoint, tmp_path / "x.safetensors", force=True, progress=True)
    assert "100%" in capfd.readouterr().err

    class Simple:
        total, n = 0, 0

        def update(self, n):
            self.n += n

    simple = Simple()
    depickle.compare(checkpoint, tmp_path / "x.safetensors", progress=simple)
    assert simple.n == simple.total > 0


def test_an_exception_in_a_callback_stops_the_program_and_is_raised(large):
    class CallbackError(Exception):
        pass

    def fail(step):
        raise CallbackError(step.phase)

    (large / "out.safetensors").write_text("the old file")
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CallbackError, match="write"):
        depickle.convert(large / "large.pt", large / "out.safetensors", force=True, progress=fail)
    assert (large / "out.safetensors").read_text() == "the old file"
    (large / "out.safetensors").unlink()
    assert [path.name for path in large.iterdir()] == ["large.pt"]
    assert processes_with_argument(large) == [] and len(os.listdir("/proc/self/fd")) == descriptors


SCRIPT = """
import sys, depickle
try:
    depickle.convert(sys.argv[1], sys.argv[2], progress=lambda step: print(step.phase, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("interrupt", [os.kill, os.killpg], ids=["process", "process group"])
def test_ctrl_c_raises_keyboard_interrupt_and_leaves_no_files(large, interrupt):
    command = [sys.executable, "-c", SCRIPT, large / "large.pt", large / "out.safetensors"]
    script = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=fresh.environment()
    )
    try:
        assert script.stdout.readline() == "write\n"
        (program,) = {int(pid) for pid in processes_with_argument(large)} - {script.pid}
        assert os.getpgid(program) != script.pid  # else a terminal's Ctrl-C reaches it twice and kills it
        interrupt(script.pid, signal.SIGINT)
        out, _ = script.communicate(timeout=60)
    finally:
        script.kill()
        script.communicate()
    assert out.splitlines()[-1] == "interrupted" and script.returncode == 0
    assert [path.name for path in large.iterdir()] == ["large.pt"] and processes_with_argument(large) == []


def test_commands_run_concurrently_in_threads(checkpoint, tmp_path):
    results, turns = {}, 0

    def work(number):
        results[number] = depickle.convert(checkpoint, tmp_path / f"{number}.safetensors")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        turns += 1
        time.sleep(0.001)
    assert turns > 3 and len(results) == 4
    assert all(converted_as(checkpoint, result.files[0].target) for result in results.values())
