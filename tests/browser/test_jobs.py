"""Running jobs: reload, cancel, two at the same time, a server that stops and starts again.

A job runs until the test releases the program that reads its files.
"""
import re
import subprocess

import pytest
import torch
from embedded_hub import Server
from held_worker import HeldWorker
from playwright.sync_api import expect
from program import ENVIRONMENT, PROGRAM
from visitor import JOB_TIMEOUT_MS, Visitor

PHASES = "ol.phases"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with four repositories."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("one", "two", "three", "four"):
        repo = folder / "slow" / name
        repo.mkdir(parents=True)
        (repo / "config.json").write_text("{}")
        torch.save({f"layer.{number}.weight": torch.randn(100) for number in range(30)}, repo / "pytorch_model.bin")
    return folder


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    return HeldWorker(tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def options(models, worker):
    return "--personal", "--import", models, "--worker", worker.path


@pytest.fixture(scope="module")
def held_server(tmp_path_factory, options):
    server = Server(tmp_path_factory.mktemp("held") / "hub", *options)
    yield server
    server.stop()


@pytest.fixture
def held_visitor(browser, held_server, worker):
    visitor = Visitor(browser, held_server.url)
    yield visitor
    worker.release()
    visitor.close()


def start(visitor, worker, address, page=None):
    """Starts a conversion that runs until worker.release()."""
    visitor.page = page or visitor.page
    worker.release()
    visitor.plan(address)
    worker.hold()
    visitor.page.get_by_role("button", name="Convert and open a pull request").click()
    expect(visitor.page.locator(PHASES)).to_be_visible()


def test_a_job_continues_after_a_reload(held_visitor, worker):
    page = held_visitor.page
    start(held_visitor, worker, "slow/one")
    url = page.url
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB_TIMEOUT_MS)
    page.reload()
    expect(page.locator(PHASES)).to_be_visible()
    assert page.url == url
    worker.release()
    assert "identical" in held_visitor.verdict()
    page.reload()
    assert "identical" in held_visitor.verdict()


def test_a_job_can_be_cancelled(held_visitor, worker):
    page = held_visitor.page
    start(held_visitor, worker, "slow/two")
    page.get_by_role("button", name="Cancel").click()
    assert "Cancelled" in held_visitor.verdict()
    expect(page).to_have_title(re.compile("Cancelled"))
    page.goto("/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_contain_text("cancelled")


def test_the_job_list_shows_two_jobs_at_the_same_time(held_visitor, worker):
    first, second = held_visitor.page, held_visitor.open_tab()
    for page, address in ((first, "slow/two"), (second, "slow/three")):
        held_visitor.page = page
        held_visitor.plan(address)
    worker.hold()
    for page in (first, second):
        page.get_by_role("button", name="Convert and open a pull request").click()
        expect(page.locator(PHASES)).to_be_visible()
    jobs = held_visitor.open_tab()
    jobs.goto("/jobs")
    table = jobs.get_by_role("table", name="Jobs")
    expect(table.get_by_role("row").filter(has_text=re.compile("queued|running|%"))).not_to_have_count(0)
    expect(table.locator("tr.active")).to_have_count(2)
    worker.release()
    for page in (first, second):
        held_visitor.page = page
        assert "identical" in held_visitor.verdict()
    expect(table.locator("tr.active")).to_have_count(0)


def test_starting_the_same_job_twice_gives_one_job(held_visitor, worker):
    first, second = held_visitor.page, held_visitor.open_tab()
    for page in (first, second):
        held_visitor.page = page
        held_visitor.plan("slow/four")
    worker.hold()
    for page in (first, second):
        page.get_by_role("button", name="Convert for download").click()
    for page in (first, second):
        expect(page.locator(PHASES)).to_be_visible()
    assert first.url == second.url


def test_the_page_reconnects_when_the_server_starts_again(browser, tmp_path, options, worker):
    data = tmp_path / "hub"
    server = Server(data, *options)
    visitor = Visitor(browser, server.url)
    visitor.allow("ERR_", "Failed to load resource")
    page = visitor.page
    start(visitor, worker, "slow/one")
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB_TIMEOUT_MS)
    server.process.kill()
    server.process.communicate()
    expect(page.locator("#connection")).to_contain_text("does not answer")
    worker.release()
    port = server.url.rsplit(":", 1)[1]
    command = [str(PROGRAM), "serve", "--personal", "--data", str(data), "--port", port]
    restarted = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    # The job is resumed or has failed. Either way the page shows a result.
    expect(page.locator(".verdict")).to_be_visible(timeout=JOB_TIMEOUT_MS)
    expect(page.locator("#connection")).to_be_empty()
    visitor.close()
    restarted.terminate()
    assert restarted.wait(timeout=30) == 0
