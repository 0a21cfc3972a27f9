"""What one client may cost the others, and what the server makes of requests at the edge of HTTP."""

import contextlib
import hashlib
import http.client
import json
import os
import resource
import signal
import subprocess
import threading
import time

import pytest

from embedded_hub import Server
from program import ENVIRONMENT, PROGRAM
from wire import Repo, Socket, ask, commit_body, file_line, grows_by_less_than, head, lfs_line, memory_bytes

TEXT = bytes(range(32, 127)) * 20


def bearer_line(server, user="me"):
    return f"Authorization: Bearer {server.token(user)}"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A server for this file, to measure and to wear out."""
    server = Server(tmp_path_factory.mktemp("alone"))
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def slow_head(alone):
    """A head that comes a byte a second, beside all tests of this file: (when it began, when it was cut)."""
    times = {}

    def drip():
        with Socket(alone.url) as slow:
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

    thread = threading.Thread(target=drip)
    thread.start()
    yield thread, times
    thread.join()


@pytest.fixture(scope="module")
def repo(alone):
    repo = Repo(alone, "limits")
    assert (
        repo.commit(file_line("text.txt", TEXT), file_line("a/b.txt", b"b"), file_line("empty.txt", b"")).status == 200
    )
    return repo


@pytest.fixture(scope="module")
def large(repo):
    """64 MB as an LFS object; its digest."""
    content = os.urandom(1 << 20) * 64
    oid = hashlib.sha256(content).hexdigest()
    assert repo.upload(content, oid).status == 200
    assert repo.commit(lfs_line("large.bin", oid, len(content))).status == 200
    return oid


@pytest.fixture(autouse=True)
def alive(repo):
    yield
    assert repo.content("text.txt").body == TEXT, "the server answers, and is right"


HEADS = {
    "a header of 64 KB": (head("GET", "/healthz", "X: " + "y" * 65_536), 431),
    "a target of 64 KB": (head("GET", "/" + "y" * 65_536), 431),
    "20,000 headers": (head("GET", "/healthz", *["X: y"] * 20_000), 431),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a host that is an address": (head("GET", "/healthz", host="evil/../x"), 400),
    "a host with a line break": (head("GET", "/healthz", host="x\ny"), 400),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "a space in a header's name": (head("GET", "/healthz", "X Y: z"), 400),
    "a length that is no number": (head("POST", "/api/repos/create", "Content-Length: ten"), 400),
    "a length below zero": (head("POST", "/api/repos/create", "Content-Length: -1"), 400),
    "a length past 64 bits": (head("POST", "/api/repos/create", "Content-Length: 18446744073709551616"), 400),
    "two lengths": (head("POST", "/api/repos/create", "Content-Length: 2", "Content-Length: 3"), 400),
    "a length and chunks": (head("POST", "/api/repos/create", "Content-Length: 2", "Transfer-Encoding: chunked"), 400),
    "chunks and a length": (head("POST", "/api/repos/create", "Transfer-Encoding: chunked", "Content-Length: 2"), 400),
    "a target that is no path": (head("GET", "healthz"), 400),
    "a broken percent-encoding": (head("GET", "/me/%zz/resolve/main/x"), 400),
    "an encoded NUL": (head("GET", "/me/limits/resolve/main/a%00b"), 400),
    "a query with a broken percent-encoding": (head("GET", "/api/models?search=%zz"), 400),
    "a query with an encoded NUL": (head("GET", "/api/models?search=a%00b"), 400),
    "another method": (head("BREW", "/healthz"), 405),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_not_taken(alone, name):
    sent, status = HEADS[name]
    with Socket(alone.url) as socket:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send(sent)
        answer = socket.read()
        assert answer.status == status and isinstance(answer.json["error"], str)
        if answer.fields["Connection"] == "close":
            assert socket.ends()
        else:
            socket.send(head("GET", "/healthz"))
            assert socket.read().json == {"status": "ok"}


@pytest.mark.release
def test_2000_idle_connections_cost_little(alone, repo):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4000)), hard))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(Socket(alone.url)) for _ in range(2000)]
        for socket in sockets[::2]:
            socket.send(head("GET", "/healthz")[:20])
        begin = time.monotonic()
        assert repo.content("text.txt").body == TEXT
        assert time.monotonic() - begin < 5
        for socket in (sockets[0], sockets[-2]):
            socket.send(head("GET", "/healthz")[20:])
            assert socket.read().status == 200
        assert memory_bytes(alone.process) < 64 << 20


@pytest.mark.release
def test_a_slow_reader_holds_up_nobody(alone, repo, large):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Socket(alone.url)) for _ in range(40)]
        for socket in slow:
            socket.send(head("GET", f"/{repo.name}/resolve/main/large.bin"))
            assert socket.stream.read(100).startswith(b"HTTP/1.1 200")
        begin = time.monotonic()
        for _ in range(5):
            assert repo.content("text.txt").body == TEXT
        assert hashlib.sha256(repo.content("large.bin").body).hexdigest() == large
        assert time.monotonic() - begin < 10
    assert memory_bytes(alone.process) < 64 << 20


SIZE = len(TEXT)
RANGES = {
    "bytes=0-0": (206, 0, 0),
    "bytes=0-9": (206, 0, 9),
    "bytes=100-199": (206, 100, 199),
    "bytes=1000-": (206, 1000, SIZE - 1),
    "bytes=-10": (206, SIZE - 10, SIZE - 1),
    f"bytes=-{SIZE * 9}": (206, 0, SIZE - 1),
    f"bytes={SIZE - 1}-{SIZE * 9}": (206, SIZE - 1, SIZE - 1),
    "bytes=0-18446744073709551615": (206, 0, SIZE - 1),
    f"bytes={SIZE}-": (416,),
    f"bytes={SIZE}-{SIZE + 1}": (416,),
    "bytes=18446744073709551615-": (416,),
    "bytes=-0": (416,),
    "bytes=0-1,5-6": (200,),
    "bytes=5-1": (200,),
    "bytes=": (200,),
    "bytes=-": (200,),
    "bytes=a-b": (200,),
    "bytes=0x0-0x1": (200,),
    "bytes=--1": (200,),
    "bytes=18446744073709551616-": (200,),
    "lines=0-1": (200,),
    "0-1": (200,),
    "": (200,),
}


@pytest.mark.parametrize("text", RANGES)
def test_ranges(repo, text):
    status, *bounds = RANGES[text]
    answer = repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range=text)
    assert answer.status == status
    if status == 206:
        first, last = bounds
        assert (
            answer.body == TEXT[first : last + 1] and answer.fields["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        )
    elif status == 416:
        assert answer.fields["Content-Range"] == f"bytes */{SIZE}" and answer.body == b""
    else:
        assert answer.body == TEXT and "Content-Range" not in answer.fields


def test_ranges_of_a_large_file_and_of_an_empty_one(repo, large):
    answer = repo.api("GET", f"/{repo.name}/resolve/main/large.bin", Range="bytes=67108863-")
    assert (answer.status, len(answer.body), answer.fields["Content-Range"]) == (
        206,
        1,
        "bytes 67108863-67108863/67108864",
    )
    assert repo.api("GET", f"/{repo.name}/resolve/main/large.bin", Range="bytes=67108864-").status == 416
    assert repo.api("GET", f"/{repo.name}/resolve/main/empty.txt", Range="bytes=0-").status == 416
    etag = repo.content("text.txt").fields["ETag"]
    assert repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range="bytes=0-0", If_Range=etag).status == 206
    assert repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range="bytes=0-0", If_Range='"another"').status == 200


def test_head_has_the_true_length_and_no_body(alone, repo, large):
    with Socket(alone.url) as socket:
        for path, length in {"text.txt": SIZE, "large.bin": 64 << 20, "empty.txt": 0, "none.txt": None}.items():
            socket.send(head("HEAD", f"/{repo.name}/resolve/main/{path}"))
            answer = socket.read("HEAD")
            assert answer.status == (404 if length is None else 200) and answer.fields["X-Repo-Commit"] == repo.head()
            assert length is None or int(answer.fields["Content-Length"]) == length
            assert length is not None or answer.code == "EntryNotFound"
        socket.send(head("GET", "/healthz"))
        assert socket.read().json == {"status": "ok"}, "nothing came after the heads"


def test_revisions_are_read_from_the_raw_path(repo):
    assert repo.api("POST", "{repo}/branch/feat%2Fx", b"{}").status == 200
    assert repo.commit(file_line("x.txt"), revision="feat%2Fx").status == 200
    assert repo.api("POST", "{repo}/commit/main?create_pr=1", commit_body(file_line("pr.txt"))).status == 200
    for revision in ("refs%2Fpr%2F1", "refs/pr/1"):
        assert "pr.txt" in repo.files(revision) and repo.content("pr.txt", revision).body == b"x"
        assert (
            len(repo.api("GET", "{repo}/commits/" + revision).json)
            == len(repo.api("GET", "{repo}/commits/main").json) + 1
        )
        assert [entry["path"] for entry in repo.api("GET", f"{{repo}}/tree/{revision}/a").json] == ["a/b.txt"]
    assert "x.txt" in repo.files("feat%2Fx") and repo.content("x.txt", "feat%2Fx").status == 200
    missing = repo.content("x.txt", "feat/x")
    assert (missing.status, missing.code) == (404, "RevisionNotFound"), "a branch's slash is encoded"
    for revision in (
        "refs%2Fpr%2F2",
        "refs/pr/2",
        "refs%2Fpr%2F..%2F..%2Fheads%2Fmain",
        "refs%2Fheads%2F..%2Fheads%2Fmain",
        "%2E%2E",
        "HEAD~1",
        "main%5E",
        "main%40%7B0%7D",
        "main%0A",
    ):
        for target in (
            "/{0}/resolve/{1}/text.txt",
            "/api/models/{0}/tree/{1}",
            "/api/models/{0}/revision/{1}",
            "/api/models/{0}/commits/{1}",
        ):
            answer = repo.api("GET", target.format(repo.name, revision))
            assert (answer.status, answer.code) == (404, "RevisionNotFound"), (target, revision, answer)


@pytest.mark.parametrize(
    "target",
    [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/me/limits/resolve/main/../../../../etc/passwd",
        "/me/limits/resolve/main/%2e%2e%2fHEAD",
        "/me/limits/resolve/main/..%2f..%2fconfig",
        "/me/..%2fother/resolve/main/x",
        "/me/limits/resolve/main/",
        "/me/limits/resolve/main//text.txt",
        "/me/limits/raw/main/.git/config",
        "/lfs/..%2f..%2fsigning.key",
        "/lfs/",
        "//",
        "/me",
        "/api/models/me",
        "/api/models/me/limits/tree/main/none",
    ],
)
def test_no_path_leads_out(repo, target):
    answer = repo.api("GET", target)
    assert answer.status in (400, 403, 404) and b"root:" not in answer.body, answer


def test_keep_alive_after_an_error_whose_body_nobody_read(alone, repo):
    body = (
        b'{"name":"never"}'
        + head("POST", "/api/repos/create", "Content-Length: 19", bearer_line(alone))
        + b'{"name":"smuggled"}'
    )
    for target, line in (
        ("/api/nothing", bearer_line(alone)),
        ("/api/repos/create", "Authorization: Bearer hf_wrong"),
        (f"/api/models/{repo.name}/commit/main", "X: nobody"),
    ):
        with Socket(alone.url) as socket:
            socket.send(head("POST", target, line, f"Content-Length: {len(body)}"), body, head("GET", "/healthz"))
            answer = socket.read()
            assert answer.status in (401, 404, 405)
            if answer.fields["Connection"] == "close":
                assert socket.ends()
            else:
                assert socket.read().json == {"status": "ok"}
    missing = repo.api("GET", "/api/models/me/smuggled")
    assert (missing.status, missing.code) == (404, "RepoNotFound"), "a body is no request"
    # After an error without a body, or with one that was read, the connection goes on.
    with Socket(alone.url) as socket:
        socket.send(
            head("GET", "/api/models/me/none"),
            head("POST", "/api/repos/create", bearer_line(alone), "Content-Length: 1"),
            b"x",
            head("GET", "/healthz"),
        )
        assert [socket.read().status for _ in range(3)] == [404, 400, 200]


def test_a_body_of_another_length_than_announced(alone):
    body = b'{"name":"longer"}'
    with Socket(alone.url) as socket:
        socket.send(
            head("POST", "/api/repos/create", bearer_line(alone), f"Content-Length: {len(body)}"),
            body + b"more\r\n\r\n",
        )
        assert [socket.read().status, socket.read().status] == [200, 400], (
            "what is too much is the next request, and a bad one"
        )
        assert socket.ends()
    with Socket(alone.url) as socket:
        socket.send(
            head("POST", "/api/repos/create", bearer_line(alone), "Content-Length: 100"),
            body.replace(b"longer", b"shorter"),
        )
        socket.socket.shutdown(1)
        assert socket.ends()
    assert (
        ask(alone.url, "GET", "/api/models/me/longer").status == 200
        and ask(alone.url, "GET", "/api/models/me/shorter").status == 404
    )
    # A body of terabytes is refused by its length.
    with Socket(alone.url) as socket:
        socket.send(head("POST", "/api/repos/create", bearer_line(alone), f"Content-Length: {1 << 42}"))
        assert socket.read().status == 413


def test_chunked_bodies(alone, repo):
    body = json.dumps({"name": "chunked"}).encode()
    chunks = b"".join(b"%x;extension=1\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\nTrailer: x\r\n\r\n"
    with Socket(alone.url) as socket:
        socket.send(head("POST", "/api/repos/create", bearer_line(alone), "Transfer-Encoding: chunked"))
        for at in range(0, len(chunks), 7):
            socket.send(chunks[at : at + 7])
        socket.send(head("GET", "/healthz"))
        assert [socket.read().status, socket.read().status] == [200, 200]
    for bad in (b"xyz\r\n", b"-1\r\n", b"10000000000000000\r\n", b"2\r\nabc\r\n", b"2 2\r\nab\r\n"):
        with Socket(alone.url) as socket:
            socket.send(
                head("POST", "/api/repos/create", bearer_line(alone), "Transfer-Encoding: chunked"), bad, b"0\r\n\r\n"
            )
            assert socket.read().status == 400, bad
            assert socket.ends()
    with Socket(alone.url) as socket:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send(
                head("POST", "/api/repos/create", bearer_line(alone), "Transfer-Encoding: chunked"),
                b"%x\r\n" % (8 << 20) + b" " * (8 << 20) + b"\r\n0\r\n\r\n",
            )
        assert socket.read().status == 413
    with Socket(alone.url) as socket:
        socket.send(
            head(
                "POST",
                f"/api/models/{repo.name}/commit/main",
                bearer_line(alone),
                "Transfer-Encoding: chunked",
                "Expect: 100-continue",
            )
        )
        assert socket.stream.readline() == b"HTTP/1.1 100 Continue\r\n" and socket.stream.readline() == b"\r\n"
        body = commit_body(file_line("expected.txt", b"1"))
        socket.send(b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")
        assert socket.read().status == 200


@pytest.mark.release
def test_json_of_millions_of_values_costs_little_memory(alone, repo):
    for body in (
        b'{"paths":[' + b"0," * 4_000_000 + b"0]}",
        b'{"paths":' + b"[" * 4_000_000,
        b'{"files":[' + b"{}," * 2_500_000 + b"{}]}",
    ):
        for target in ("{repo}/paths-info/main", "{repo}/preupload/main"):
            with grows_by_less_than(alone.process, 160 << 20):
                answer = repo.api("POST", target, body, Content_Type="application/json")
            assert (answer.status, answer.code) in {(400, "BadRequest"), (413, "TooLarge")}, answer


def test_a_second_server_on_the_same_folder_is_refused(alone):
    second = subprocess.run(
        [str(PROGRAM), "serve", "--port", "0", "--data", str(alone.data)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=30,
    )
    assert second.returncode == 2 and second.stdout == ""
    assert "another server is using this data folder" in second.stderr and "--data" in second.stderr
    port = alone.url.rsplit(":", 1)[1]
    taken = subprocess.run(
        [str(PROGRAM), "serve", "--port", port, "--data", f"{alone.data}-other"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=30,
    )
    assert taken.returncode == 2 and "cannot listen" in taken.stderr and "--port" in taken.stderr


def test_what_was_answered_survives_kill_9(tmp_path):
    server = Server(tmp_path / "hub")
    repo = Repo(server, "killed")
    for round_ in range(3):
        acknowledged = []
        killer = threading.Timer(0.4 + round_ / 5, server.process.kill)
        killer.start()
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
        except (OSError, http.client.HTTPException):
            pass  # the answer that never came
        assert server.process.wait() == -signal.SIGKILL and acknowledged
        tokens, server = server.tokens, Server(tmp_path / "hub")
        server.tokens = tokens
        repo.server, repo.url = server, server.url
        files, names = set(repo.files()), {name for name, _ in acknowledged}
        for name, content in acknowledged:
            assert repo.content(name).body == content and repo.content(name + ".txt").body == name.encode()
        assert {path.removesuffix(".txt") for path in files if path.startswith(f"{round_}-")} - names <= {
            f"{round_}-{len(acknowledged)}.bin"
        }, "at most the one under way"
        assert len(repo.api("GET", "{repo}/commits/main?limit=1000").json) >= len(acknowledged)
    server.stop()


def test_sigterm_ends_it_with_0(tmp_path):
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
            assert working.read().status == 200, "what has begun is finished"
        assert server.process.wait(timeout=10) == 0 and server.process.stderr.read() == ""
        assert time.monotonic() - begin < 5
        with pytest.raises(ConnectionRefusedError):
            Socket(server.url)
        for socket in (idle, working):
            socket.stream.close(), socket.socket.close()


def test_a_head_that_drips_was_cut_in_time(slow_head):
    thread, times = slow_head
    thread.join(timeout=40)
    assert not thread.is_alive() and 15 < times["end"] - times["begin"] < 30, "the limit is 20 s from its first byte"
