"""Tests of the page's API over HTTP."""
import pathlib
import sys

import pytest

sys.path.insert(1, str(pathlib.Path(__file__).parents[1] / "hub"))

from page_server import PageServer, hub_of  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = PageServer(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def hub(server, tmp_path_factory):
    return hub_of(server, tmp_path_factory.mktemp("home"))


@pytest.fixture
def visitor(server):
    return server.visitor()
