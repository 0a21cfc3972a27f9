"""Limits of the server: slow, idle and invalid clients, memory, restarts and signals."""

import contextlib
import hashlib
import http.client
import itertools
import os
import resource
import signal
import subprocess
import threading
import time

import pytest

from embedded_hub import Server
from limits_server import TEXT, bearer_line, large, own_server, repo, works_afterwards  # noqa: F401
from program import ENVIRONMENT, PROGRAM
from wire import Repo, Socket, commit_body, file_line, grows_by_less_than, head, lfs_line, memory_bytes

pytestmark = pytest.mark.hostile


@pytest.mark.release
def test_2000_idle_connections_use_little_memory(own_server, repo):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4000)), hard))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(Socket(own_server.url)) for _ in range(2000)]
        for socket in sockets[::2]:
            socket.send(head("GET", "/healthz")[:20])
        begin = time.monotonic()
        assert repo.content("text.txt").body == TEXT
        assert time.monotonic() - begin < 5
        for socket in (sockets[0], sockets[-2]):
            socket.send(head("GET", "/healthz")[20:])
            assert socket.read().status == 200
        assert memory_bytes(own_server.process) < 64 << 20


@pytest.mark.release
def test_slow_readers_do_not_block_others(own_server, repo, large):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Socket(own_server.url)) for _ in range(40)]
        for socket in slow:
            socket.send(head("GET", f"/{repo.name}/resolve/main/large.bin"))
            assert socket.stream.read(100).startswith(b"HTTP/1.1 200")
        begin = time.monotonic()
        for _ in range(5):
            assert repo.content("text.txt").body == TEXT
        assert hashlib.sha256(repo.content("large.bin").body).hexdigest() == large
        assert time.monotonic() - begin < 10
    assert memory_bytes(own_server.process) < 64 << 20


@pytest.mark.release
def test_json_with_millions_of_values_uses_little_memory(own_server, repo):
    for body in (
        b'{"paths":[' + b"0," * 4_000_000 + b"0]}",
        b'{"paths":' + b"[" * 4_000_000,
        b'{"files":[' + b"{}," * 2_500_000 + b"{}]}",
    ):
        for target in ("{repo}/paths-info/main", "{repo}/preupload/main"):
            with grows_by_less_than(own_server.process, 160 << 20):
                response = repo.api("POST", target, body, Content_Type="application/json")
            assert (response.status, response.code) in {(400, "BadRequest"), (413, "TooLarge")}, response


def test_a_second_server_on_the_same_folder_is_refused(own_server):
    second = subprocess.run(
        [str(PROGRAM), "serve", "--port", "0", "--data", str(own_server.data)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=30,
    )
    assert second.returncode == 2 and second.stdout == ""
    assert "another server is using this data folder" in second.stderr and "--data" in second.stderr
    port = own_server.url.rsplit(":", 1)[1]
    taken = subprocess.run(
        [str(PROGRAM), "serve", "--port", port, "--data", f"{own_server.data}-other"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=30,
    )
    assert taken.returncode == 2 and "cannot listen" in taken.stderr and "--port" in taken.stderr


def with_texts(names):
    return {*names, *(f"{name}.txt" for name in names)}


def test_acknowledged_commits_survive_kill_9(tmp_path):
    """A kill does not lose the page cache: test_durable_store.py tests a power loss."""
    server = Server(tmp_path / "hub")
    repo = Repo(server, "killed")
    acknowledged, unacknowledged = {}, set()
    for round_ in range(3):
        killer = threading.Timer(0.2 + round_ / 10, server.process.kill)
        with contextlib.suppress(OSError, http.client.HTTPException):  # no response
            for number in itertools.count():
                name, content = f"{round_}-{number}.bin", os.urandom(100_000)
                oid = hashlib.sha256(content).hexdigest()
                assert repo.upload(content, oid).status == 200
                commit = repo.commit(lfs_line(name, oid, len(content)), file_line(name + ".txt", name.encode()))
                assert commit.status == 200
                acknowledged[name] = content
                if number == 0:
                    killer.start()
        assert server.process.wait() == -signal.SIGKILL and f"{round_}-0.bin" in acknowledged
        unacknowledged.add(name)
        tokens, server = server.tokens, Server(tmp_path / "hub")
        server.tokens = tokens
        repo.server, repo.url = server, server.url
        for name, content in acknowledged.items():
            assert repo.content(name).body == content and repo.content(name + ".txt").body == name.encode()
        others = set(repo.files()) - {".gitattributes"} - with_texts(acknowledged)
        assert others <= with_texts(unacknowledged), "other unacknowledged commits exist"
        assert len(repo.api("GET", "{repo}/commits/main?limit=1000").json) > len(acknowledged)
    server.stop()


def test_sigterm_exits_with_0(tmp_path):
    for busy in (False, True):
        server = Server(tmp_path / f"{busy}")
        idle = Socket(server.url)
        working = Socket(server.url)
        if busy:
            repo = Repo(server, "busy")
            body = commit_body(file_line("x", b"x" * 10_000))
            working.send(
                head(
                    "POST", f"/api/models/{repo.name}/commit/main", bearer_line(server), f"Content-Length: {len(body)}"
                ),
                body[:100],
            )
            time.sleep(0.2)
        begin = time.monotonic()
        server.process.terminate()
        if busy:
            time.sleep(0.2)
            working.send(body[100:])
            assert working.read().status == 200, "a started request was not finished"
        assert server.process.wait(timeout=10) == 0 and server.process.stderr.read() == ""
        assert time.monotonic() - begin < 5
        with pytest.raises(ConnectionRefusedError):
            Socket(server.url)
        for socket in (idle, working):
            socket.stream.close(), socket.socket.close()
