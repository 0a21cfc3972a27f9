"""./run, once there is nothing to build: the program, and nothing else."""
import os
import pathlib
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ROOT / "build/release/bin/depickle"
SAMPLE = ROOT / "examples/pytorch_model.bin"


def call(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


def seconds(*words):
    begin = time.perf_counter()
    call(*words)
    return time.perf_counter() - begin


def test_it_adds_nothing_to_what_the_program_says(tmp_path):
    for words in (["version"], ["inspect", SAMPLE], ["inspect", "no such file"], ["no-such-command"]):
        by_run, direct = call(ROOT / "run", *words, cwd=tmp_path), call(PROGRAM, *words, cwd=tmp_path)
        assert (by_run.returncode, by_run.stdout, by_run.stderr) == (direct.returncode, direct.stdout, direct.stderr)


def test_it_adds_less_than_100_ms():
    added = statistics.median(seconds(ROOT / "run", "version") for _ in range(7)) - statistics.median(seconds(PROGRAM, "version") for _ in range(7))
    assert added < 0.100


def test_it_can_be_called_by_a_link_and_from_anywhere(tmp_path):
    (tmp_path / "dep").symlink_to(ROOT / "run")
    os.symlink(SAMPLE, tmp_path / "here.bin")
    assert call(tmp_path / "dep", "inspect", "here.bin", cwd=tmp_path).returncode == 0


def test_without_arguments_it_converts_the_sample_and_shows_each_command():
    for _ in range(2):  # the second time over the results of the first
        done = call(ROOT / "run")
        assert done.returncode == 0, done.stderr
        for command in ("inspect", "scan", "convert", "compare", "verify"):
            assert f"$ depickle {command} " in done.stdout
    assert (ROOT / "build/sample/model.safetensors").stat().st_size > 1000
