"""kill -9 of the server while a crowd watches: no job that was told as finished is lost, nothing is corrupt, the rest is taken up again."""

import asyncio
import hashlib
import shutil
import signal
import sqlite3
import subprocess

import pytest

from async_browser import Browser, Ended
from program import ENVIRONMENT, PROGRAM, ROOT

pytestmark = pytest.mark.release
JOBS, WATCHERS, DONE_BEFORE = 12, 40, 3
SAMPLE = ROOT / "examples/hub/samples/single"


def serve(data, models):
    clean = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("HF_", "HUGGING"))}
    process = subprocess.Popen(
        [str(PROGRAM), "serve", "--personal", "--port", "0", "--data", str(data), "--import", str(models)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=clean,
    )
    line = process.stdout.readline()
    assert line.startswith("listening on http://"), line
    return process, int(line.rsplit(":", 1)[1])


async def first_life(process, port):
    """What 40 watchers heard of 12 conversions until the server was killed: the jobs' ids, and the finished ones as they were told."""
    posters = [Browser(port) for _ in range(JOBS)]
    ids = []
    for number, poster in enumerate(posters):
        status, job = await poster.ask("POST", "/api/v1/jobs", {"kind": "convert", "address": f"load/m{number:02}"})
        assert status == 201, job
        ids.append(job["id"])
    told, enough = {}, asyncio.Event()

    async def watcher(job):
        try:
            async for name, data, _ in Browser(port).watch(job):
                if name == "end":
                    told[job] = data
                    if len(told) >= DONE_BEFORE:
                        enough.set()
        except Ended:
            pass

    watchers = [asyncio.create_task(watcher(ids[number % JOBS])) for number in range(WATCHERS)]
    await asyncio.wait_for(enough.wait(), 60)
    process.send_signal(signal.SIGKILL)
    await asyncio.gather(*watchers)
    return ids, told


async def second_life(port, ids):
    """All jobs, once each has ended."""

    async def end_of(job):
        async for name, data, _ in Browser(port).watch(job):
            if name == "end":
                return data

    return dict(zip(ids, await asyncio.wait_for(asyncio.gather(*map(end_of, ids)), 120)))


async def pull_requests(port, jobs):
    """(repo, number) of what the jobs have opened: one each."""
    browser, found = Browser(port), []
    for job in jobs:
        status, listed = await browser.ask("GET", f"/api/models/{job['repo']}/discussions")
        assert status == 200 and len(listed["discussions"]) == 1, listed
        found.append((job["repo"], listed["discussions"][0]["num"]))
    browser.leave()
    return found


def assert_whole(data):
    for file in data.rglob("*.sqlite*"):
        if file.suffix == ".sqlite":
            assert sqlite3.connect(file).execute("pragma integrity_check").fetchall() == [("ok",)], file
    for head in data.rglob("*.git/HEAD"):
        done = subprocess.run(
            ["git", "-C", head.parent, "fsck", "--strict", "--no-dangling"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for file in data.rglob("*"):
        if file.is_file() and len(file.name) == 64 and set(file.name) <= set("0123456789abcdef"):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name


def test_kill_under_load(tmp_path):
    for number in range(JOBS):
        shutil.copytree(SAMPLE, tmp_path / f"models/load/m{number:02}")
    data = tmp_path / "data"
    process, port = serve(data, tmp_path / "models")
    try:
        ids, told = asyncio.run(first_life(process, port))
    finally:
        process.kill()
        process.wait()
    assert DONE_BEFORE <= len(told) < JOBS, "the kill came too late to show anything"
    process, port = serve(data, tmp_path / "models")
    try:
        jobs = asyncio.run(second_life(port, ids))
        for job, before in told.items():
            assert jobs[job] == before
        # "nothing": the pull request was there already when the job was taken up again.
        assert all(job["state"] == "done" and job["answer"] in ("yes", "nothing") for job in jobs.values()), [
            job["error"] for job in jobs.values()
        ]
        environment = ENVIRONMENT | {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(tmp_path / "home")}
        for repo, number in asyncio.run(pull_requests(port, jobs.values())):
            done = subprocess.run(
                [str(PROGRAM), "check", repo, str(number)], capture_output=True, text=True, env=environment
            )
            assert done.returncode == 0, (done.stdout, done.stderr)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert_whole(data)
