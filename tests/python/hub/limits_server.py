"""A server with one repository for the tests of a module, and a check that it still works after each test."""

import hashlib
import os

import pytest

from embedded_hub import Server
from wire import Repo, file_line, lfs_line

TEXT = bytes(range(32, 127)) * 20


def bearer_line(server, user="me"):
    return f"Authorization: Bearer {server.token(user)}"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A server for this file, to measure and to wear out."""
    server = Server(tmp_path_factory.mktemp("alone"))
    yield server
    server.stop()


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
