#!/usr/bin/env python3
"""Puts the page's server under load: clients of event streams, queued conversions, requests. Prints Markdown tables.

usage: load.py [--watchers 200] [--jobs 50] [--mib 8] [--seconds 10]     (bench/load builds what it needs and runs this)
"""

import argparse
import asyncio
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import torch

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = ROOT / "build/release/bin/depickle"
sys.path.insert(0, str(ROOT / "tests/python/app"))
from async_browser import Browser  # noqa: E402: the clients of the tests

PATHS = {
    "the page": "/", "a file of the page": "/-/shared/style.css", "API: about": "/api/v1/about",
    "API: a job": "/api/v1/jobs/{job}", "Hub: a model": "/api/models/load/m00",
}


def write_models(folder, count, mib):
    state = {f"layer.{number}.weight": torch.randn(1 << 18) for number in range(mib)}
    for number in range(count):
        place = folder / f"load/m{number:02}"
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        state["number"] = torch.tensor([number])
        torch.save(state, place / "pytorch_model.bin")


class Memory(threading.Thread):
    """Samples the memory of the server and of its child processes: the peaks of RSS and anonymous memory in MiB."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.server_peak, self.worker_peak, self.workers = server, [0, 0], [0, 0], set()

    @staticmethod
    def _of(process):
        try:
            text = pathlib.Path(f"/proc/{process}/status").read_text()
            return [int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1024 for name in ("VmRSS", "RssAnon")]
        except (OSError, TypeError):
            return [0, 0]

    def _children(self):
        for tasks in pathlib.Path(f"/proc/{self.server}/task").glob("*/children"):
            try:
                yield from map(int, tasks.read_text().split())
            except OSError:
                pass

    def run(self):
        while pathlib.Path(f"/proc/{self.server}").exists():
            self.server_peak = [*map(max, self.server_peak, self._of(self.server))]
            for child in self._children():
                self.workers.add(child)
                self.worker_peak = [*map(max, self.worker_peak, self._of(child))]
            time.sleep(0.01)


def milliseconds(samples):
    ordered = sorted(samples)
    at = lambda part: ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000
    return f"{statistics.median(ordered) * 1000:.2f} | {at(0.99):.2f} | {ordered[-1] * 1000:.2f}"


async def probe(port, paths, samples, until):
    """Requests each path in turn from one client, every 20 ms."""
    browser = Browser(port)
    while not until():
        for name, path in paths.items():
            begin = time.monotonic()
            status, _ = await browser.request("GET", path)
            assert status == 200, (path, status)
            samples.setdefault(name, []).append(time.monotonic() - begin)
            await asyncio.sleep(0.02)
    browser.close()


async def run_clients(port, options):
    """Queues all jobs, each from another visitor, and watches the second half of them. Returns the figures."""
    posted, ids = [], []
    for number in range(options.jobs):
        browser = Browser(port)
        begin = time.monotonic()
        body = {"kind": "convert", "address": f"load/m{number:02}"}
        status, job = await browser.request("POST", "/api/v1/jobs", body)
        assert status == 201, job
        posted.append(time.monotonic() - begin)
        ids.append(job["id"])
        browser.close()
    begin = time.monotonic()
    later = ids[options.jobs // 2:]
    opened, events, ends, lost = [], 0, {}, 0

    async def watcher(number):
        nonlocal events
        job, asked = later[number % len(later)], time.monotonic()
        async for name, data, at in Browser(port).watch(job, lambda: opened.append(time.monotonic() - asked)):
            events += 1
            if name == "end":
                assert data["state"] == "done", data["error"]
                ends.setdefault(job, []).append(at)

    samples, over = {}, asyncio.Event()
    paths = {name: path.format(job=ids[-1]) for name, path in PATHS.items()}
    prober = asyncio.create_task(probe(port, paths, samples, over.is_set))
    await asyncio.gather(*map(watcher, range(options.watchers)))
    seconds = time.monotonic() - begin
    over.set()
    await prober
    lost = options.watchers - sum(map(len, ends.values()))
    spread = [max(at) - min(at) for at in ends.values()]
    return posted, opened, events, spread, lost, samples, seconds


def wrk(port, path, seconds):
    """Runs wrk with 64 connections on one path. Returns (requests per second, p50, p99)."""
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    patterns = (r"Requests/sec:\s+(\S+)", r"50%\s+(\S+)", r"99%\s+(\S+)")
    rate, p50, p99 = (re.search(pattern, said)[1] for pattern in patterns)
    return f"{float(rate):,.0f} | {p50} | {p99}"


def main():
    parser = argparse.ArgumentParser()
    for name, value in {"watchers": 200, "jobs": 50, "mib": 8, "seconds": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="load-", dir=ROOT / "build"))
    server = None
    try:
        write_models(folder / "models", options.jobs, options.mib)
        serve = [
            PROGRAM,
            "serve",
            "--personal",
            "--port",
            "0",
            "--data",
            folder / "data",
            "--import",
            folder / "models",
        ]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        memory = Memory(server.pid)
        idle = memory._of(server.pid)
        rates = {}
        if shutil.which("wrk"):
            rates = {name: wrk(port, path, options.seconds) for name, path in PATHS.items() if "{" not in path}
        before = memory._of(server.pid)
        memory.start()
        posted, opened, events, spread, lost, samples, seconds = asyncio.run(run_clients(port, options))
        assert lost == 0 and len(opened) == options.watchers
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        memory.join()
    finally:
        if server:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{options.watchers} clients of event streams, {options.jobs} conversions of {options.mib} MiB queued at once, "
        f"each with a pull request: {seconds:.1f} s, {events:,} events, every client received the end.\n"
    )
    print("| request under load | samples | median ms | p99 | max |\n|---|--:|--:|--:|--:|")
    print(f"| queue a job | {len(posted)} | {milliseconds(posted)} |")
    print(f"| open a stream of events | {len(opened)} | {milliseconds(opened)} |")
    print(
        f"| end of a job: from the first client that receives it to the last | {len(spread)} | {milliseconds(spread)} |"
    )
    for name, taken in samples.items():
        print(f"| {name} | {len(taken)} | {milliseconds(taken)} |")
    print("\n| memory, MiB | RSS | anonymous |\n|---|--:|--:|")
    rows = {
        "server, started": idle, "server, after wrk": before, "server, peak under load": memory.server_peak,
        "a sandboxed process, peak": memory.worker_peak,
    }
    for name, (rss, anonymous) in rows.items():
        print(f"| {name} | {rss:.1f} | {anonymous:.1f} |")
    if rates:
        print("\n| wrk, 64 connections, before the load | requests a second | p50 | p99 |\n|---|--:|--:|--:|")
        for name, figures in rates.items():
            print(f"| {name} | {figures} |")


if __name__ == "__main__":
    main()
