"""Slow jobs: reload, cancel, two at the same time, a server that stops and starts again."""
import re
import subprocess

import pytest
import torch
from embedded_hub import Server
from playwright.sync_api import expect
from program import ENVIRONMENT, PROGRAM
from visitor import JOB_TIMEOUT_MS, Visitor

PHASES = "ol.phases"


@pytest.fixture(scope="module")
def slow_models(tmp_path_factory, server):
    """A folder with repositories of 300 MB each. Converting one takes a second or more."""
    folder = tmp_path_factory.mktemp("slow")
    for name in ("one", "two", "three", "four"):
        repo = folder / "slow" / name
        repo.mkdir(parents=True)
        (repo / "config.json").write_text("{}")
        tensors = {f"layer.{number}.weight": torch.randn(2_500_000) for number in range(30)}
        torch.save(tensors, repo / "pytorch_model.bin")
    return folder


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory, slow_models):
    server = Server(tmp_path_factory.mktemp("slow-hub") / "hub", "--personal", "--import", slow_models)
    yield server
    server.stop()


@pytest.fixture
def slow_visitor(browser, slow_server):
    visitor = Visitor(browser, slow_server.url)
    yield visitor
    visitor.close()


def start(visitor, address, page=None):
    visitor.page = page or visitor.page
    visitor.plan(address)
    visitor.page.get_by_role("button", name="Convert and open a pull request").click()
    expect(visitor.page.locator(PHASES)).to_be_visible()


def test_a_job_continues_after_a_reload(slow_visitor):
    page = slow_visitor.page
    start(slow_visitor, "slow/one")
    url = page.url
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB_TIMEOUT_MS)
    page.reload()
    expect(page.locator(PHASES)).to_be_visible()
    assert page.url == url
    assert "identical" in slow_visitor.verdict()
    page.reload()
    assert "identical" in slow_visitor.verdict()


def test_a_job_can_be_cancelled(slow_visitor):
    page = slow_visitor.page
    start(slow_visitor, "slow/two")
    page.get_by_role("button", name="Cancel").click()
    assert "Cancelled" in slow_visitor.verdict()
    expect(page).to_have_title(re.compile("Cancelled"))
    page.goto("/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_contain_text("cancelled")


def test_the_job_list_shows_two_jobs_at_the_same_time(slow_visitor):
    first, second = slow_visitor.page, slow_visitor.open_tab()
    start(slow_visitor, "slow/two", first)
    start(slow_visitor, "slow/three", second)
    jobs = slow_visitor.open_tab()
    jobs.goto("/jobs")
    table = jobs.get_by_role("table", name="Jobs")
    expect(table.get_by_role("row").filter(has_text=re.compile("queued|running|%"))).not_to_have_count(0)
    for page in (first, second):
        slow_visitor.page = page
        assert "identical" in slow_visitor.verdict()
    expect(table.locator("tr.active")).to_have_count(0)


def test_starting_the_same_job_twice_gives_one_job(slow_visitor):
    first, second = slow_visitor.page, slow_visitor.open_tab()
    for page in (first, second):
        slow_visitor.page = page
        slow_visitor.plan("slow/four")
    for page in (first, second):
        page.get_by_role("button", name="Convert for download").click()
    for page in (first, second):
        expect(page.locator(PHASES)).to_be_visible()
    assert first.url == second.url


def test_the_page_reconnects_when_the_server_starts_again(browser, tmp_path, slow_models):
    data = tmp_path / "hub"
    server = Server(data, "--personal", "--import", slow_models)
    visitor = Visitor(browser, server.url)
    visitor.allow("ERR_", "Failed to load resource")
    page = visitor.page
    start(visitor, "slow/one")
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB_TIMEOUT_MS)
    server.process.kill()
    server.process.communicate()
    expect(page.locator("#connection")).to_contain_text("does not answer")
    port = server.url.rsplit(":", 1)[1]
    command = [str(PROGRAM), "serve", "--personal", "--data", str(data), "--port", port]
    restarted = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    # The job is resumed or has failed. Either way the page shows a result.
    expect(page.locator(".verdict")).to_be_visible(timeout=JOB_TIMEOUT_MS)
    expect(page.locator("#connection")).to_be_empty()
    visitor.close()
    restarted.terminate()
    assert restarted.wait(timeout=30) == 0
