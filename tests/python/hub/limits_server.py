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
def own_server(tmp_path_factory):
    """A server that only this module uses."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def repo(own_server):
    repo = Repo(own_server, "limits")
    assert (
        repo.commit(file_line("text.txt", TEXT), file_line("a/b.txt", b"b"), file_line("empty.txt", b"")).status == 200
    )
    return repo


@pytest.fixture(scope="module")
def large(repo):
    """An LFS object of 64 MB; returns its digest."""
    content = os.urandom(1 << 20) * 64
    oid = hashlib.sha256(content).hexdigest()
    assert repo.upload(content, oid).status == 200
    assert repo.commit(lfs_line("large.bin", oid, len(content))).status == 200
    return oid


@pytest.fixture(autouse=True)
def works_afterwards(repo):
    yield
    assert repo.content("text.txt").body == TEXT
