"""./run after the build: with arguments, it runs the program; without, it opens the page with the samples."""
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = ROOT / "build/release/bin/depickle"
SAMPLE = ROOT / "examples/pytorch_model.bin"


def call(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


def seconds(*words):
    begin = time.perf_counter()
    call(*words)
    return time.perf_counter() - begin


def test_the_output_is_that_of_the_program(tmp_path):
    for words in (["version"], ["inspect", SAMPLE], ["inspect", "no such file"], ["no-such-command"]):
        by_run, direct = call(ROOT / "run", *words, cwd=tmp_path), call(PROGRAM, *words, cwd=tmp_path)
        assert (by_run.returncode, by_run.stdout, by_run.stderr) == (direct.returncode, direct.stdout, direct.stderr)


def test_it_needs_less_than_100_ms_more_than_the_program():
    by_run, direct = (statistics.median(seconds(path, "version") for _ in range(7)) for path in (ROOT / "run", PROGRAM))
    assert by_run - direct < 0.100


def test_it_can_be_called_through_a_link_and_from_any_folder(tmp_path):
    (tmp_path / "dep").symlink_to(ROOT / "run")
    os.symlink(SAMPLE, tmp_path / "here.bin")
    assert call(tmp_path / "dep", "inspect", "here.bin", cwd=tmp_path).returncode == 0


@contextlib.contextmanager
def opened(data, **environment):
    """Runs ./run without arguments. Yields the URL and the output so far, then stops it with Ctrl-C."""
    clean = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    clean |= {"DEPICKLE_DATA": str(data)} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([ROOT / "run"], env=clean, start_new_session=True, **pipes)
    try:
        shown = []
        while not shown or "Ctrl-C" not in shown[-1]:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            shown.append(line)
        screen = "".join(shown)
        yield re.search(r"http://127\.0\.0\.1:\d+", screen)[0], screen
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_without_arguments_the_page_opens_with_the_samples(tmp_path):
    with opened(tmp_path / "data") as (url, screen):
        assert len(screen.splitlines()) < 24
        assert "<title>" in get(url)
        about = json.loads(get(url + "/api/v1/about"))
        samples = {f"samples/{name}" for name in ("single", "sharded", "pipeline", "with-code", "tampered")}
        assert about["personal"] and set(about["samples"]) == samples
        assert all(name in screen for name in about["samples"])
        for name in about["samples"]:
            assert json.loads(get(f"{url}/api/models/{name}"))["id"] == name
        environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home")}
        done = call(PROGRAM, "check", "samples/tampered", "1", env=environment)
        assert done.returncode == 1 and "38 of 39 tensors identical" in done.stdout, done.stdout + done.stderr


def test_a_second_server_takes_another_port_and_a_restart_keeps_the_data(tmp_path):
    with opened(tmp_path / "one") as (first, _), opened(tmp_path / "two") as (second, _):
        assert first != second
    begin = time.perf_counter()
    with opened(tmp_path / "one") as (url, _):
        assert time.perf_counter() - begin < 2
        assert json.loads(get(f"{url}/api/models/samples/tampered"))["id"] == "samples/tampered"


def test_a_browser_is_opened_if_there_is_a_display(tmp_path):
    (tmp_path / "xdg-open").write_text('#!/bin/sh\necho "$1" >"$0.part" && mv "$0.part" "${0%/*}/opened"\n')
    (tmp_path / "xdg-open").chmod(0o755)
    with opened(tmp_path / "data", DISPLAY=":9", PATH=f"{tmp_path}:{os.environ['PATH']}") as (url, _):
        end = time.monotonic() + 10
        while not (tmp_path / "opened").exists() and time.monotonic() < end:
            time.sleep(0.02)
    assert (tmp_path / "opened").read_text().strip() == url
