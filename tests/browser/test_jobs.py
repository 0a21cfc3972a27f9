"""Jobs that take their time: reloaded, cancelled, two at once, the server away."""
import re
import subprocess

import pytest
import torch
from embedded_hub import Server
from playwright.sync_api import expect
from program import ENVIRONMENT, PROGRAM
from visitor import JOB, Visitor

LIVE = "ol.phases"


@pytest.fixture(scope="module")
def slow_models(tmp_path_factory, server):
    """A folder of repositories of 300 MB each: a second or more to fetch, convert and compare."""
    folder = tmp_path_factory.mktemp("slow")
    for name in ("one", "two", "three", "four"):
        (folder / "slow" / name).mkdir(parents=True)
        (folder / "slow" / name / "config.json").write_text("{}")
        torch.save({f"layer.{number}.weight": torch.randn(2_500_000) for number in range(30)}, folder / "slow" / name / "pytorch_model.bin")
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
    visitor.leave()


def start(visitor, address, page=None):
    visitor.page = page or visitor.page
    visitor.plan(address)
    visitor.page.get_by_role("button", name="Convert and open a pull request").click()
    expect(visitor.page.locator(LIVE)).to_be_visible()


def test_a_job_survives_a_reload(slow_visitor):
    page = slow_visitor.page
    start(slow_visitor, "slow/one")
    address = page.url
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB)
    page.reload()
    expect(page.locator(LIVE)).to_be_visible()  # still at work, and seen to be
    assert page.url == address
    assert "identical" in slow_visitor.verdict()
    page.reload()
    assert "identical" in slow_visitor.verdict()


def test_a_job_is_cancelled(slow_visitor):
    page = slow_visitor.page
    start(slow_visitor, "slow/two")
    page.get_by_role("button", name="Cancel").click()
    assert "Cancelled" in slow_visitor.verdict()
    expect(page).to_have_title(re.compile("Cancelled"))
    page.goto("/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_contain_text("cancelled")


def test_two_jobs_at_once_are_both_seen(slow_visitor):
    first, second = slow_visitor.page, slow_visitor.open()
    start(slow_visitor, "slow/two", first)
    start(slow_visitor, "slow/three", second)
    jobs = slow_visitor.open()
    jobs.goto("/jobs")
    expect(jobs.get_by_role("table", name="Jobs").get_by_role("row").filter(has_text=re.compile("waiting|running|%"))).not_to_have_count(0)
    for page in (first, second):
        slow_visitor.page = page
        assert "identical" in slow_visitor.verdict()
    expect(jobs.get_by_role("table", name="Jobs").locator("tr.live")).to_have_count(0)


def test_the_same_job_asked_twice_is_one_job(slow_visitor):
    first, second = slow_visitor.page, slow_visitor.open()
    for page in (first, second):
        slow_visitor.page = page
        slow_visitor.plan("slow/four")
    for page in (first, second):
        page.get_by_role("button", name="Only convert").click()
    for page in (first, second):
        expect(page.locator(LIVE)).to_be_visible()
    assert first.url == second.url


def test_a_server_that_goes_away_is_missed_and_found_again(browser, tmp_path, slow_models):
    data = tmp_path / "hub"
    server = Server(data, "--personal", "--import", slow_models)
    visitor = Visitor(browser, server.url)
    visitor.expects("ERR_", "Failed to load resource")
    page = visitor.page
    start(visitor, "slow/one")
    expect(page.locator(".figures")).to_contain_text(" of ", timeout=JOB)
    server.process.kill()
    server.process.communicate()
    expect(page.locator("#away")).to_contain_text("does not answer")
    address = [str(PROGRAM), "serve", "--personal", "--data", str(data), "--port", server.url.rsplit(":", 1)[1]]
    again = subprocess.Popen(address, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    # Resumed or failed, but said; never waiting for ever.
    expect(page.locator(".verdict")).to_be_visible(timeout=JOB)
    expect(page.locator("#away")).to_be_empty()
    visitor.leave()
    again.terminate()
    assert again.wait(timeout=30) == 0
