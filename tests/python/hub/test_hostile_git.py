"""Hostile requests of git's protocol."""

import gzip
import os
import pathlib
import time

import pytest

from wire import Repo, Socket, request, file_line, head

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def repo(server):
    repo = Repo(server, "git-served")
    noise = os.urandom(9_000_000)
    assert (
        repo.commit(file_line("a.txt"), file_line("noise.txt", noise), file_line(".gitattributes", b"")).status == 200
    )
    return repo


def children(server):
    return [
        child
        for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


@pytest.fixture(autouse=True)
def no_child_process_remains(server, repo):
    yield
    until = time.monotonic() + 60
    while children(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert not children(server)
    assert b"refs/heads/main" in request(server.url, "GET", f"/{repo.name}/info/refs?service=git-upload-pack").body


def test_a_repository_of_another_user_of_the_system_is_served(server, repo):
    """As in a container whose data folder is a volume."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files to another user")
    other = Repo(server, "of-another-user")
    assert other.commit(file_line("a.txt")).status == 200
    folder = max((server.data / "git").iterdir(), key=lambda path: int(path.stem))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1, 1, follow_symlinks=False)
    assert b"refs/heads/main" in request(server.url, "GET", f"/{other.name}/info/refs?service=git-upload-pack").body


def wants(*lines):
    return b"".join(b"%04x" % (len(line) + 4) + line for line in lines) + b"00000009done\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0000",
        b"hello",
        b"ffff",
        b"0003",
        wants(b"want " + b"0" * 40 + b"\n"),
        wants(b"want main\n"),
        wants(b"want ../../x\n"),
        wants(b"command=ls-refs\n", b"--upload-pack=x\n"),
        b"\0" * 100_000,
    ],
    ids=lambda body: ascii(body[:20]),
)
def test_invalid_fetch_requests_are_refused(repo, body):
    for protocol in ("version=1", "version=2"):
        with Socket(repo.url) as socket:
            socket.send(
                head(
                    "POST",
                    f"/{repo.name}/git-upload-pack",
                    f"Content-Length: {len(body)}",
                    f"Git-Protocol: {protocol}",
                    "Connection: close",
                ),
                body,
            )
            output = socket.stream.read()
        assert output.startswith(b"HTTP/1.1 200") and b"PACK" not in output, output


def test_an_invalid_gzip_body_or_a_bomb_is_refused(repo):
    target = f"/{repo.name}/git-upload-pack"
    bomb = gzip.compress(bytes((64 << 20) + 1), 1)  # a request has at most 64 MiB
    response = request(repo.url, "POST", target, bomb, Content_Encoding="gzip")
    assert (response.status, response.code) == (413, "TooLarge")
    for body in (b"hello", gzip.compress(b"0000")[:5] + b"\xff" * 20):
        response = request(repo.url, "POST", target, body, Content_Encoding="gzip")
        assert (response.status, response.code) == (400, "BadRequest")


def test_an_unread_clone_ends_with_its_connection(server, repo):
    body = wants(b"want " + repo.head().encode() + b" no-progress\n")
    sockets = [Socket(repo.url) for _ in range(8)]
    for socket in sockets:
        socket.send(head("POST", f"/{repo.name}/git-upload-pack", f"Content-Length: {len(body)}"), body)
        assert socket.stream.read(12) == b"HTTP/1.1 200"
    assert repo.content("a.txt").body == b"x", "another client was not served"
    assert children(server)
    with Socket(repo.url) as one_more:
        one_more.send(head("POST", f"/{repo.name}/git-upload-pack", f"Content-Length: {len(body)}"), body)
        assert one_more.read().status == 503, "the limit of clones was not enforced"
    for socket in sockets:
        socket.stream.close(), socket.socket.close()


@pytest.mark.parametrize("query", ["?service=git-receive-pack", "", "?service=--help", "?service=git-upload-pack;id"])
def test_other_services_are_refused(repo, query):
    with Socket(repo.url) as socket:
        socket.send(head("GET", f"/{repo.name}/info/refs{query}"))
        assert socket.read().status == 403


@pytest.mark.parametrize(
    "path", ["HEAD", "config", "objects/info/packs", "objects/info/alternates", "refs/heads/main", ".git/config"]
)
def test_the_files_of_git_are_not_served(repo, path):
    for address in (repo.name, repo.name + ".git"):
        response = repo.api("GET", f"/{address}/{path}")
        assert response.status == 404 and b"[core]" not in response.body
