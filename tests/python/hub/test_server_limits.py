"""Limits of the server: slow, idle and invalid clients, memory, restarts and signals."""

import contextlib
import hashlib
import http.client
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


@pytest.fixture(scope="module", autouse=True)
def slow_head(own_server):
    """Sends one byte of a head per second while the tests of this module run. Yields (thread, begin and end)."""
    times = {}

    def send_slowly():
        with Socket(own_server.url) as slow:
            times["begin"] = time.monotonic()
            slow.socket.settimeout(1)
            for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100:
                try:
                    slow.send(bytes([byte]))
                    if slow.socket.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            times["end"] = time.monotonic()

    thread = threading.Thread(target=send_slowly)
    thread.start()
    yield thread, times
    thread.join()


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


def test_acknowledged_commits_survive_kill_9(tmp_path):
    """A kill does not lose the page cache: test_durable_store.py tests a power loss."""
    server = Server(tmp_path / "hub")
    repo = Repo(server, "killed")
    for round_ in range(3):
        acknowledged = []
        killer = threading.Timer(0.4 + round_ / 5, server.process.kill)
        try:
            while True:
                name = f"{round_}-{len(acknowledged)}.bin"
                content = os.urandom(100_000)
                assert repo.upload(content, hashlib.sha256(content).hexdigest()).status == 200
                assert (
                    repo.commit(
                        lfs_line(name, hashlib.sha256(content).hexdigest(), len(content)),
                        file_line(name + ".txt", name.encode()),
                    ).status
                    == 200
                )
                acknowledged.append((name, content))
                if len(acknowledged) == 1:
                    killer.start()
        except (OSError, http.client.HTTPException):
            pass  # no response
        assert server.process.wait() == -signal.SIGKILL and acknowledged
        tokens, server = server.tokens, Server(tmp_path / "hub")
        server.tokens = tokens
        repo.server, repo.url = server, server.url
        files, names = set(repo.files()), {name for name, _ in acknowledged}
        for name, content in acknowledged:
            assert repo.content(name).body == content and repo.content(name + ".txt").body == name.encode()
        assert {path.removesuffix(".txt") for path in files if path.startswith(f"{round_}-")} - names <= {
            f"{round_}-{len(acknowledged)}.bin"
        }, "other unacknowledged commits exist"
        assert len(repo.api("GET", "{repo}/commits/main?limit=1000").json) >= len(acknowledged)
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


def test_a_slow_head_is_cut_off_after_20_seconds(slow_head):
    thread, times = slow_head
    thread.join(timeout=40)
    assert not thread.is_alive() and 15 < times["end"] - times["begin"] < 30, "the limit is 20 s after the first byte"
