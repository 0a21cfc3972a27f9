"""Accessibility of every view: light and dark, 1200 and 360 pixels wide."""
import pytest
import torch
from embedded import files_of, pickled, safe, tied_model
from playwright.sync_api import expect
from visitor import SCROLL_WIDTH

MOVING_ELEMENTS = """
document.getAnimations().length + [...document.querySelectorAll('*')]
  .filter((node) => parseFloat(getComputedStyle(node).transitionDuration) > 0).length
"""


class Call:
    def __reduce__(self):
        return print, ("not printed",)


@pytest.fixture(scope="module")
def models(hub):
    """good/model with a tampered pull request, honest/model with an honest one, bad/model with a malicious pickle."""
    tensors = tied_model()
    hub.make("good/model", files_of(tensors))
    tampered = safe({name: tensor + 1 for name, tensor in tensors.items()})
    hub.pull_request("good/model", {"model.safetensors": tampered, "run.py": b"1"})
    hub.make("honest/model", files_of(tensors))
    hub.pull_request("honest/model", {"model.safetensors": safe(tensors)})
    malicious = pickled({"w": torch.ones(3), "x": Call()})
    hub.make("bad/model", {"config.json": b"{}", "pytorch_model.bin": malicious})


def start_page(visitor):
    visitor.page.goto("/")
    expect(visitor.page.locator("#hub")).not_to_be_empty()


def plan(visitor):
    visitor.plan("bad/model")


def invalid_address(visitor):
    visitor.allow("status of 4")
    visitor.page.goto("/?address=nonsense")
    visitor.page.get_by_role("button", name="Show plan").click()
    expect(visitor.page.locator(".problem strong")).to_be_visible()


def conversion_result(visitor):
    visitor.convert("bad/model", "Convert for download")
    expect(visitor.page.locator(".rows .row")).not_to_have_count(0)


def failed_check(visitor):
    visitor.check("good/model", 1)
    expect(visitor.page.locator(".rows .row")).not_to_have_count(0)


def passed_check(visitor):
    visitor.check("honest/model", 1)
    expect(visitor.page.get_by_role("button", name="Merge")).to_be_visible()


def inspect_result(visitor):
    visitor.inspect("good/model")
    visitor.page.locator(".rows .row").first.click()
    expect(visitor.page.locator(".selected")).to_contain_text("Row 1")


def jobs(visitor):
    visitor.inspect("good/model")
    visitor.page.goto("/jobs")
    expect(visitor.page.get_by_role("table", name="Jobs")).to_be_visible()


def missing_job(visitor):
    visitor.allow("status of 404")
    visitor.page.goto("/jobs/aaaaaaaaaaaaaaaaaaaa")
    expect(visitor.page.locator(".verdict")).to_be_visible()


def check_form(visitor):
    visitor.page.goto("/check?address=good/model&number=1")


def inspect_form(visitor):
    visitor.page.goto("/inspect")


VIEWS = [start_page, plan, invalid_address, conversion_result, check_form, failed_check, passed_check, inspect_form,
         inspect_result, jobs, missing_job]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_axe_finds_no_serious_violation(visit, models, view):
    visitor = visit(width=360)
    view(visitor)
    assert visitor.axe_violations([360, 1200]) == []


def test_at_200_percent_zoom_nothing_is_cut_off(visit, models):
    # 640 pixels at scale factor 2: a window of 1280 pixels at 200 % zoom.
    visitor = visit(width=640, height=450, device_scale_factor=2)
    for view in (plan, conversion_result, jobs):
        view(visitor)
        assert visitor.page.evaluate(SCROLL_WIDTH) <= 640


def test_with_reduced_motion_nothing_moves(visit):
    visitor = visit(reduced_motion="reduce")
    start_page(visitor)
    assert visitor.page.evaluate(MOVING_ELEMENTS) == 0


def test_results_are_announced_and_become_the_title(visitor, models):
    visitor.plan("bad/model")
    expect(visitor.page.locator("#announcements")).to_contain_text("can be converted")
    title = visitor.page.title()
    assert "can be converted" in title and title.endswith("depickle") and "Plan" not in title
