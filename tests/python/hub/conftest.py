"""Tests of the embedded Hub with real clients."""
import pytest

from embedded_hub import Hub, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def hub(server, tmp_path):
    return Hub(server, tmp_path / "home")
