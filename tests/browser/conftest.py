"""Tests of the page in Chromium. The server is an embedded Hub whose model files were written by torch."""
import pathlib
import sys

import pytest
import torch
from playwright.sync_api import sync_playwright

PYTHON_TESTS = pathlib.Path(__file__).parents[1] / "python"
sys.path[:0] = [str(PYTHON_TESTS), str(PYTHON_TESTS / "hub")]

import embedded_hub  # noqa: E402
from embedded import Hub  # noqa: E402
from visitor import Visitor  # noqa: E402

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(autouse=True)
def torch_seed():
    torch.manual_seed(3)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start as root, as in a container.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests. Each test creates its own repositories."""
    server = embedded_hub.Server(tmp_path_factory.mktemp("page") / "hub", "--personal")
    server.token("other")
    yield server
    server.stop()


@pytest.fixture
def hub(server, tmp_path):
    return Hub(server, tmp_path / "home")


@pytest.fixture
def visit(browser, server):
    """visit(**options) returns a new Visitor with its own browser context."""
    visitors = []

    def make(**options):
        visitors.append(Visitor(browser, server.url, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(visit):
    return visit()
