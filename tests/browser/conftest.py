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
from visitor import Visitor, new_context  # noqa: E402

# Without a user interface, Chromium needs half of the processor time.
CHROMIUM = "/usr/bin/chromium-headless-shell"


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


@pytest.fixture(scope="session")
def hub(server, tmp_path_factory):
    return Hub(server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def contexts(browser):
    """The browser contexts that tests share, one for each set of options."""
    contexts = {}
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(browser, server, contexts):
    """visit(**options) returns a new Visitor without cookies. Files of the page that did not change stay cached."""
    visitors = []

    def make(width=1200, height=900, **options):
        key = repr(options)
        if key not in contexts:
            contexts[key] = new_context(browser, server.url, **options)
        visitors.append(Visitor(browser, server.url, width=width, height=height, context=contexts[key]))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(visit):
    return visit()
