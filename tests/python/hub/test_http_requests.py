"""HTTP requests at the edges of the protocol: heads, ranges, paths, bodies."""

import contextlib
import json

import pytest

from limits_server import TEXT, bearer_line, large, own_server, repo, works_afterwards  # noqa: F401
from wire import Socket, commit_body, file_line, head, request

pytestmark = pytest.mark.hostile


HEADS = {
    "a header of 64 KB": (head("GET", "/healthz", "X: " + "y" * 65_536), 431),
    "a target of 64 KB": (head("GET", "/" + "y" * 65_536), 431),
    "20,000 headers": (head("GET", "/healthz", *["X: y"] * 20_000), 431),
    "a missing host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a host that is an address": (head("GET", "/healthz", host="evil/../x"), 400),
    "a host with a line break": (head("GET", "/healthz", host="x\ny"), 400),
    "a line that is not HTTP": (b"hello\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "a space in a header's name": (head("GET", "/healthz", "X Y: z"), 400),
    "a length that is not a number": (head("POST", "/api/repos/create", "Content-Length: ten"), 400),
    "a negative length": (head("POST", "/api/repos/create", "Content-Length: -1"), 400),
    "a length over 64 bits": (head("POST", "/api/repos/create", "Content-Length: 18446744073709551616"), 400),
    "two lengths": (head("POST", "/api/repos/create", "Content-Length: 2", "Content-Length: 3"), 400),
    "a length and chunks": (head("POST", "/api/repos/create", "Content-Length: 2", "Transfer-Encoding: chunked"), 400),
    "chunks and a length": (head("POST", "/api/repos/create", "Transfer-Encoding: chunked", "Content-Length: 2"), 400),
    "a target that is not a path": (head("GET", "healthz"), 400),
    "a broken percent-encoding": (head("GET", "/me/%zz/resolve/main/x"), 400),
    "an encoded NUL": (head("GET", "/me/limits/resolve/main/a%00b"), 400),
    "a query with a broken percent-encoding": (head("GET", "/api/models?search=%zz"), 400),
    "a query with an encoded NUL": (head("GET", "/api/models?search=a%00b"), 400),
    "another method": (head("BREW", "/healthz"), 405),
}


@pytest.mark.parametrize("name", HEADS)
def test_invalid_heads_are_refused(own_server, name):
    sent, status = HEADS[name]
    with Socket(own_server.url) as socket:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send(sent)
        response = socket.read()
        assert response.status == status and isinstance(response.json["error"], str)
        if response.fields["Connection"] == "close":
            assert socket.ends()
        else:
            socket.send(head("GET", "/healthz"))
            assert socket.read().json == {"status": "ok"}


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
    response = repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range=text)
    assert response.status == status
    if status == 206:
        first, last = bounds
        assert (
            response.body == TEXT[first : last + 1]
            and response.fields["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        )
    elif status == 416:
        assert response.fields["Content-Range"] == f"bytes */{SIZE}" and response.body == b""
    else:
        assert response.body == TEXT and "Content-Range" not in response.fields


def test_ranges_of_large_and_empty_files(repo, large):
    response = repo.api("GET", f"/{repo.name}/resolve/main/large.bin", Range="bytes=67108863-")
    assert (response.status, len(response.body), response.fields["Content-Range"]) == (
        206,
        1,
        "bytes 67108863-67108863/67108864",
    )
    assert repo.api("GET", f"/{repo.name}/resolve/main/large.bin", Range="bytes=67108864-").status == 416
    assert repo.api("GET", f"/{repo.name}/resolve/main/empty.txt", Range="bytes=0-").status == 416
    etag = repo.content("text.txt").fields["ETag"]
    assert repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range="bytes=0-0", If_Range=etag).status == 206
    assert repo.api("GET", f"/{repo.name}/resolve/main/text.txt", Range="bytes=0-0", If_Range='"another"').status == 200


def test_head_has_the_content_length_and_no_body(own_server, repo, large):
    with Socket(own_server.url) as socket:
        for path, length in {"text.txt": SIZE, "large.bin": 64 << 20, "empty.txt": 0, "none.txt": None}.items():
            socket.send(head("HEAD", f"/{repo.name}/resolve/main/{path}"))
            response = socket.read("HEAD")
            assert (
                response.status == (404 if length is None else 200) and response.fields["X-Repo-Commit"] == repo.head()
            )
            assert length is None or int(response.fields["Content-Length"]) == length
            assert length is not None or response.code == "EntryNotFound"
        socket.send(head("GET", "/healthz"))
        assert socket.read().json == {"status": "ok"}, "a HEAD response had a body"


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
    assert (missing.status, missing.code) == (404, "RevisionNotFound"), "the slash of a branch name must be encoded"
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
            response = repo.api("GET", target.format(repo.name, revision))
            assert (response.status, response.code) == (404, "RevisionNotFound"), (target, revision, response)


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
def test_path_traversal_is_refused(repo, target):
    response = repo.api("GET", target)
    assert response.status in (400, 403, 404) and b"root:" not in response.body, response


def test_keep_alive_after_an_error_with_an_unread_body(own_server, repo):
    body = (
        b'{"name":"never"}'
        + head("POST", "/api/repos/create", "Content-Length: 19", bearer_line(own_server))
        + b'{"name":"smuggled"}'
    )
    for target, line in (
        ("/api/nothing", bearer_line(own_server)),
        ("/api/repos/create", "Authorization: Bearer hf_wrong"),
        (f"/api/models/{repo.name}/commit/main", "X: nobody"),
    ):
        with Socket(own_server.url) as socket:
            socket.send(head("POST", target, line, f"Content-Length: {len(body)}"), body, head("GET", "/healthz"))
            response = socket.read()
            assert response.status in (401, 404, 405)
            if response.fields["Connection"] == "close":
                assert socket.ends()
            else:
                assert socket.read().json == {"status": "ok"}
    missing = repo.api("GET", "/api/models/me/smuggled")
    assert (missing.status, missing.code) == (404, "RepoNotFound"), "the body was parsed as a request"
    # The connection stays open after an error if the request has no body or its body was read.
    with Socket(own_server.url) as socket:
        socket.send(
            head("GET", "/api/models/me/none"),
            head("POST", "/api/repos/create", bearer_line(own_server), "Content-Length: 1"),
            b"x",
            head("GET", "/healthz"),
        )
        assert [socket.read().status for _ in range(3)] == [404, 400, 200]


def test_no_byte_of_a_body_is_read_before_the_login(own_server, repo):
    for target in ("/cas/x/v1/shards", "/api/repos/create", f"/api/models/{repo.name}/commit/main"):
        for line in ("X: nobody", "Authorization: Bearer hf_wrong"):
            with Socket(own_server.url) as socket:
                socket.send(head("POST", target, line, f"Content-Length: {40 << 20}"))
                assert socket.read().status == 401, target


def test_a_body_with_a_wrong_content_length(own_server):
    body = b'{"name":"longer"}'
    with Socket(own_server.url) as socket:
        socket.send(
            head("POST", "/api/repos/create", bearer_line(own_server), f"Content-Length: {len(body)}"),
            body + b"more\r\n\r\n",
        )
        assert [socket.read().status, socket.read().status] == [200, 400], (
            "the surplus bytes are parsed as the next request, which is invalid"
        )
        assert socket.ends()
    with Socket(own_server.url) as socket:
        socket.send(
            head("POST", "/api/repos/create", bearer_line(own_server), "Content-Length: 100"),
            body.replace(b"longer", b"shorter"),
        )
        socket.socket.shutdown(1)
        assert socket.ends()
    assert (
        request(own_server.url, "GET", "/api/models/me/longer").status == 200
        and request(own_server.url, "GET", "/api/models/me/shorter").status == 404
    )
    # A body of terabytes is refused because of its Content-Length.
    with Socket(own_server.url) as socket:
        socket.send(head("POST", "/api/repos/create", bearer_line(own_server), f"Content-Length: {1 << 42}"))
        assert socket.read().status == 413


def test_chunked_bodies(own_server, repo):
    body = json.dumps({"name": "chunked"}).encode()
    chunks = b"".join(b"%x;extension=1\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\nTrailer: x\r\n\r\n"
    with Socket(own_server.url) as socket:
        socket.send(head("POST", "/api/repos/create", bearer_line(own_server), "Transfer-Encoding: chunked"))
        for at in range(0, len(chunks), 7):
            socket.send(chunks[at : at + 7])
        socket.send(head("GET", "/healthz"))
        assert [socket.read().status, socket.read().status] == [200, 200]
    for bad in (b"xyz\r\n", b"-1\r\n", b"10000000000000000\r\n", b"2\r\nabc\r\n", b"2 2\r\nab\r\n"):
        with Socket(own_server.url) as socket:
            socket.send(
                head("POST", "/api/repos/create", bearer_line(own_server), "Transfer-Encoding: chunked"),
                bad,
                b"0\r\n\r\n",
            )
            assert socket.read().status == 400, bad
            assert socket.ends()
    with Socket(own_server.url) as socket:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send(
                head("POST", "/api/repos/create", bearer_line(own_server), "Transfer-Encoding: chunked"),
                b"%x\r\n" % (8 << 20) + b" " * (8 << 20) + b"\r\n0\r\n\r\n",
            )
        assert socket.read().status == 413
    with Socket(own_server.url) as socket:
        socket.send(
            head(
                "POST",
                f"/api/models/{repo.name}/commit/main",
                bearer_line(own_server),
                "Transfer-Encoding: chunked",
                "Expect: 100-continue",
            )
        )
        assert socket.stream.readline() == b"HTTP/1.1 100 Continue\r\n" and socket.stream.readline() == b"\r\n"
        body = commit_body(file_line("expected.txt", b"1"))
        socket.send(b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")
        assert socket.read().status == 200
