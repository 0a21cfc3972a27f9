"""kill -9 of the server during jobs with many watchers.

Finished jobs are kept, stored files are intact, and the other jobs are resumed.
"""

import asyncio
import hashlib
import shutil
import signal
import sqlite3
import subprocess

import pytest

from async_browser import Browser, Disconnected
from program import ENVIRONMENT, PROGRAM, ROOT

pytestmark = [pytest.mark.release, pytest.mark.large]
JOBS, WATCHERS, DONE_BEFORE = 12, 40, 3
SAMPLE = ROOT / "examples/hub/samples/single"


def serve(data, models):
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("HF_", "HUGGING"))}
    process = subprocess.Popen(
        [str(PROGRAM), "serve", "--personal", "--port", "0", "--data", str(data), "--import", str(models)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    line = process.stdout.readline()
    assert line.startswith("listening on http://"), line
    return process, int(line.rsplit(":", 1)[1])


async def run_until_killed(process, port):
    """Starts 12 conversions with 40 watchers, and kills the server when some jobs have finished.

    Returns the ids of the jobs, and the last event of each finished one.
    """
    posters = [Browser(port) for _ in range(JOBS)]
    ids = []
    for number, poster in enumerate(posters):
        status, job = await poster.request("POST", "/api/v1/jobs", {"kind": "convert", "address": f"load/m{number:02}"})
        assert status == 201, job
        ids.append(job["id"])
    finished, enough = {}, asyncio.Event()

    async def watcher(job):
        try:
            async for name, data, _ in Browser(port).watch(job):
                if name == "end":
                    finished[job] = data
                    if len(finished) >= DONE_BEFORE:
                        enough.set()
        except Disconnected:
            pass

    watchers = [asyncio.create_task(watcher(ids[number % JOBS])) for number in range(WATCHERS)]
    await asyncio.wait_for(enough.wait(), 60)
    process.send_signal(signal.SIGKILL)
    await asyncio.gather(*watchers)
    return ids, finished


async def wait_for_all(port, ids):
    """Returns the last event of each job."""

    async def end_of(job):
        async for name, data, _ in Browser(port).watch(job):
            if name == "end":
                return data

    return dict(zip(ids, await asyncio.wait_for(asyncio.gather(*map(end_of, ids)), 120)))


async def pull_requests(port, jobs):
    """Returns (repo, number) of the pull request that each job opened."""
    browser, found = Browser(port), []
    for job in jobs:
        status, listed = await browser.request("GET", f"/api/models/{job['repo']}/discussions")
        assert status == 200 and len(listed["discussions"]) == 1, listed
        found.append((job["repo"], listed["discussions"][0]["num"]))
    browser.close()
    return found


def assert_intact(data):
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
        ids, finished = asyncio.run(run_until_killed(process, port))
    finally:
        process.kill()
        process.wait()
    assert DONE_BEFORE <= len(finished) < JOBS, "the server was killed too late"
    process, port = serve(data, tmp_path / "models")
    try:
        jobs = asyncio.run(wait_for_all(port, ids))
        for job, before in finished.items():
            assert jobs[job] == before
        # "nothing": the pull request existed when the job was resumed.
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
    assert_intact(data)
