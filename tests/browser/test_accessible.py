"""Every view, light and dark, wide and 360 pixels: nothing serious for axe, nothing wider than the window."""
import pytest
import torch
from embedded import files_of, pickled, safe, tied_model
from playwright.sync_api import expect


class Mark:
    def __reduce__(self):
        return print, ("not printed",)


@pytest.fixture
def models(hub):
    """good/model has a pull request that tampers with it, honest/model one that may be merged; bad/model is a malicious pickle."""
    if not hub.api().repo_exists("good/model"):
        tensors = tied_model()
        hub.make("good/model", files_of(tensors))
        hub.pull_request("good/model", {"model.safetensors": safe({name: tensor + 1 for name, tensor in tensors.items()}), "run.py": b"1"})
        hub.make("honest/model", files_of(tensors))
        hub.pull_request("honest/model", {"model.safetensors": safe(tensors)})
        hub.make("bad/model", {"config.json": b"{}", "pytorch_model.bin": pickled({"w": torch.ones(3), "x": Mark()})})


def front(visitor):
    visitor.page.goto("/")
    expect(visitor.page.locator("#hub")).not_to_be_empty()


def planned(visitor):
    visitor.plan("bad/model")


def refused(visitor):
    visitor.expects("status of 4")
    visitor.page.goto("/?address=nonsense")
    visitor.page.get_by_role("button", name="Plan").click()
    expect(visitor.page.locator(".problem strong")).to_be_visible()


def converted(visitor):
    visitor.convert("bad/model", "Only convert")
    expect(visitor.page.locator(".rows .row")).not_to_have_count(0)


def tampered(visitor):
    visitor.check("good/model", 1)
    expect(visitor.page.locator(".rows .row")).not_to_have_count(0)


def mergeable(visitor):
    visitor.check("honest/model", 1)
    expect(visitor.page.get_by_role("button", name="Merge")).to_be_visible()


def inspected(visitor):
    visitor.inspect("good/model")
    visitor.page.locator(".rows .row").first.click()
    expect(visitor.page.locator(".chosen")).to_contain_text("Row 1")


def jobs(visitor):
    visitor.inspect("good/model")
    visitor.page.goto("/jobs")
    expect(visitor.page.get_by_role("table", name="Jobs")).to_be_visible()


def missing(visitor):
    visitor.expects("status of 404")
    visitor.page.goto("/jobs/aaaaaaaaaaaaaaaaaaaa")
    expect(visitor.page.locator(".verdict")).to_be_visible()


def check(visitor):
    visitor.page.goto("/check?address=good/model&number=1")


def inspect(visitor):
    visitor.page.goto("/inspect")


VIEWS = [front, planned, refused, converted, check, tampered, mergeable, inspect, inspected, jobs, missing]


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_axe_finds_nothing_serious(visit, models, view, width):
    visitor = visit(width=width)
    view(visitor)
    assert visitor.serious() == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width


def test_at_200_percent_nothing_is_cut_off(visit, models):
    visitor = visit(width=640, height=450, device_scale_factor=2)  # what zooming a 1280 pixel window to 200 % comes to
    for view in (planned, converted, jobs):
        view(visitor)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 640


def test_without_motion_nothing_moves(visit):
    visitor = visit(reduced_motion="reduce")
    front(visitor)
    moving = visitor.page.evaluate("document.getAnimations().length + [...document.querySelectorAll('*')].filter((node) => parseFloat(getComputedStyle(node).transitionDuration) > 0).length")
    assert moving == 0


def test_news_is_announced_and_titles_follow(visitor, models):
    visitor.plan("bad/model")
    expect(visitor.page.locator("#news")).to_contain_text("can be converted")
    assert visitor.page.title().endswith("depickle") and "Plan" not in visitor.page.title()
