#!/usr/bin/env python3
"""Measures how the embedded Hub answers small requests while other clients keep it busy. Prints a Markdown table.

usage: busy.py [--seconds 10] [--connections 10000] [--program PATH]     (bench/load builds the program and runs this)
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
REPO = "/api/models/me/busy"


class Client:
    """A connection that sends one request after the other."""

    def __init__(self, port, token, address="127.0.0.1"):
        self.port, self.token, self.address, self.streams = port, token, address, None

    async def connect(self):
        if not self.streams:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        return self.streams

    async def send(self, method, path, body=b"", length=None, **fields):
        _, writer = await self.connect()
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Authorization: Bearer {self.token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if body or length is not None or method != "GET":
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    async def ask(self, method, path, body=b"", **fields):
        """Returns the status and the body of the response."""
        await self.send(method, path, body, **fields)
        reader, _ = self.streams
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        return int(head.split()[1]), await reader.readexactly(length)

    def close(self):
        if self.streams:
            self.streams[1].close()


def commit_body(files):
    lines = [{"key": "header", "value": {"summary": "a commit"}}]
    lines += [
        {"key": "file", "value": {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}}
        for path, content in files.items()
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Load:
    """What the other clients do. Each method runs until it is cancelled."""

    def __init__(self, port, token, connections):
        self.port, self.token, self.connections, self.statuses = port, token, connections, {}

    def client(self):
        return Client(self.port, self.token)

    def count(self, status):
        self.statuses[status] = self.statuses.get(status, 0) + 1

    async def nothing(self):
        await asyncio.Event().wait()

    async def idle_connections(self):
        # One address may have 8,000.
        clients = [Client(self.port, self.token, f"127.0.0.{2 + number % 2}") for number in range(self.connections)]
        for begin in range(0, len(clients), 500):
            await asyncio.gather(*(client.connect() for client in clients[begin:begin + 500]))
        await asyncio.Event().wait()

    async def slow_clients(self):
        async def upload(client):
            await client.send("POST", f"{REPO}/commit/main", length=10_000_000)
            while True:
                client.streams[1].write(b"x" * 700)
                await client.streams[1].drain()
                await asyncio.sleep(0.5)

        async def download(client):
            await client.send("GET", "/me/busy/resolve/main/large.bin")
            while await client.streams[0].read(700):
                await asyncio.sleep(0.5)

        await asyncio.gather(*(work(self.client()) for work in (upload, download) for _ in range(16)))

    async def huge_attributes(self):
        lines = "".join(f"*{number}*[[:alpha:]]*x filter=lfs\n" for number in range(30_000)).encode()[:1_000_000]
        files = {f"{folder}.gitattributes": lines for folder in ("", "a/", "a/b/")}
        body = commit_body(files | {f"a/b/{number}.txt": b"x" for number in range(1_000)})

        async def commit(client):
            while True:
                self.count((await client.ask("POST", f"{REPO}/commit/main", body))[0])

        await asyncio.gather(*(commit(self.client()) for _ in range(20)))

    async def fast_uploads(self):
        async def upload(client, number):
            for round_number in range(1_000_000):
                content = hashlib.sha256(f"{number}-{round_number}".encode()).digest() * (1 << 20)
                batch = {"operation": "upload", "objects": [
                    {"oid": await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest()), "size": len(content)}
                ]}
                _, answer = await client.ask("POST", "/me/busy.git/info/lfs/objects/batch", json.dumps(batch).encode())
                href = json.loads(answer)["objects"][0]["actions"]["upload"]["href"]
                self.count((await client.ask("PUT", href[href.index("/lfs/"):], content))[0])

        await asyncio.gather(*(upload(self.client(), number) for number in range(8)))


async def probe(port, token, seconds, discussion):
    """Prints the times of whoami and of a small POST. Runs in a process of its own, which does nothing else."""
    client, times = Client(port, token), {"whoami": [], "comment": []}
    comment = json.dumps({"comment": "a small request"}).encode()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, arguments in (
            ("whoami", ("GET", "/api/whoami-v2")),
            ("comment", ("POST", f"{REPO}/discussions/{discussion}/comment", comment)),
        ):
            begin = time.monotonic()
            status, _ = await client.ask(*arguments)
            assert status == 200, (name, status)
            times[name].append(time.monotonic() - begin)
            await asyncio.sleep(0.01)
    client.close()
    print(json.dumps(times))


async def run_probe(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--probe", *map(str, arguments), stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(output)


def figures(samples):
    ordered = sorted(samples)
    at = lambda part: ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000
    return f"{len(ordered)} | {statistics.median(ordered) * 1000:.2f} | {at(0.99):.2f} | {ordered[-1] * 1000:.2f}"


async def measure(port, token, options):
    setup = Client(port, token)
    for path, body in {
        "/api/repos/create": json.dumps({"name": "busy"}).encode(),
        f"{REPO}/commit/main": commit_body({"large.bin": os.urandom(8 << 20)}),
        f"{REPO}/discussions": json.dumps({"title": "a discussion", "description": "text"}).encode(),
    }.items():
        status, answer = await setup.ask("POST", path, body)
        assert status == 200, (path, status, answer)
    discussion = json.loads(answer)["num"]
    print("| other clients | request | samples | median ms | p99 | max | answers of the others |")
    print("|---|---|--:|--:|--:|--:|---|")
    for title, name in {
        "none": "nothing",
        f"{options.connections:,} idle connections": "idle_connections",
        "16 slow uploads, 16 slow downloads": "slow_clients",
        "20 that commit 3 MB of .gitattributes and 1,000 files": "huge_attributes",
        "8 that upload 32 MiB by LFS, again and again": "fast_uploads",
    }.items():
        load = Load(port, token, options.connections)
        others = asyncio.create_task(getattr(load, name)())
        await asyncio.sleep(3)
        times = await run_probe(port, token, options.seconds, discussion)
        assert not others.done(), others.exception()
        others.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await others
        said = ", ".join(f"{count} × {status}" for status, count in sorted(load.statuses.items()))
        for request, samples in times.items():
            print(f"| {title} | {request} | {figures(samples)} | {said} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bin/depickle")
    parser.add_argument("--probe", nargs=4, metavar=("PORT", "TOKEN", "SECONDS", "DISCUSSION"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        port, token, seconds, discussion = options.probe
        return asyncio.run(probe(int(port), token, float(seconds), discussion))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The server accepts 10,000 connections, of which the probe and the other clients need some.
    options.connections = min(options.connections, hard // 2, 9_900)
    folder, server = pathlib.Path(tempfile.mkdtemp(prefix="busy-", dir=ROOT / "build")), None
    try:
        serve = [options.program, "serve", "--no-page", "--port", "0", "--data", folder / "data"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        user = [options.program, "user", "add", "me", "--data", folder / "data"]
        token = subprocess.run(user, capture_output=True, text=True, check=True).stdout.strip()
        asyncio.run(measure(port, token, options))
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        if server:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
