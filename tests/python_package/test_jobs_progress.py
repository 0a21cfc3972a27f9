"""The program's commands as functions: their progress, and what is left when work is broken off."""
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
from jobs import checkpoint, converted_as  # noqa: F401

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests/python"), str(ROOT / "tests/python/hub")]

import big  # noqa: E402


@pytest.fixture(scope="module")
def large():
    """A folder with a checkpoint that takes long enough to be interrupted."""
    with big.folder_with_space(4 << 30) as folder:
        big.save_sparse({"w": big.empty(torch.uint8, 1 << 30)}, folder / "large.pt")
        yield folder


def processes_about(folder):
    """Running programs that name the folder in their words; this one does not."""
    found = []
    for words in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [words.parent.name] if os.fsencode(folder) in words.read_bytes() else []
        except OSError:
            pass  # it has ended
    return found


def test_a_function_hears_each_phase_to_its_end(checkpoint, tmp_path):
    steps = []
    depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert {step.phase for step in steps} >= {"write", "compare"} and steps[-1].done_bytes == steps[-1].total_bytes > 0
    steps.clear()
    assert depickle.compare(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert steps[-1].phase == "compare" and steps[-1].done_bytes == steps[-1].total_bytes > 0


def test_bars_of_tqdm(checkpoint, tmp_path, capfd):
    from tqdm import tqdm
    with tqdm(total=None, disable=False) as bar:
        depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=bar)
        assert bar.n == bar.total > 0 and not bar.disable
    made = []

    class Bar(tqdm):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            made.append(self)

        def close(self):
            self.closed = True
            super().close()

    depickle.convert(checkpoint, tmp_path / "x.safetensors", force=True, progress=Bar)
    assert len(made) == 1 and made[0].closed and made[0].n == made[0].total > 0
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


def test_an_exception_in_a_callback_stops_the_work_and_comes_back(large):
    class Mine(Exception):
        pass

    def refuse(step):
        raise Mine(step.phase)

    (large / "out.safetensors").write_text("the old file")
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Mine, match="write"):
        depickle.convert(large / "large.pt", large / "out.safetensors", force=True, progress=refuse)
    assert (large / "out.safetensors").read_text() == "the old file"
    (large / "out.safetensors").unlink()
    assert [path.name for path in large.iterdir()] == ["large.pt"]
    assert processes_about(large) == [] and len(os.listdir("/proc/self/fd")) == descriptors


SCRIPT = """
import sys, depickle
try:
    depickle.convert(sys.argv[1], sys.argv[2], progress=lambda step: print(step.phase, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("interrupt", [os.kill, os.killpg], ids=["the process", "its group, as a terminal does"])
def test_ctrl_c_is_keyboard_interrupt_and_leaves_nothing(large, interrupt):
    words = [sys.executable, "-c", SCRIPT, large / "large.pt", large / "out.safetensors"]
    script = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True, env=fresh.environment())
    try:
        assert script.stdout.readline() == "write\n"
        (program,) = {int(pid) for pid in processes_about(large)} - {script.pid}
        assert os.getpgid(program) != script.pid  # a terminal's Ctrl-C would come twice, which kills
        interrupt(script.pid, signal.SIGINT)
        out, _ = script.communicate(timeout=60)
    finally:
        script.kill()
        script.communicate()
    assert out.splitlines()[-1] == "interrupted" and script.returncode == 0
    assert [path.name for path in large.iterdir()] == ["large.pt"] and processes_about(large) == []


def test_other_threads_go_on_and_jobs_run_side_by_side(checkpoint, tmp_path):
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
