"""The tasks of the page: convert, check, inspect and merge, and what may go wrong."""
import os
import re

import torch
from embedded import files_of, pickled, safe, tied_model
from playwright.sync_api import expect
from visitor import JOB_TIMEOUT_MS


def test_a_model_is_converted_checked_and_merged(visitor, hub):
    hub.make("minute/model", files_of(tied_model()))
    page = visitor.page
    visitor.plan("minute/model")
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors")
    expect(page.get_by_text("tied, stored once: lm_head.weight (as wte.weight)")).to_be_visible()
    page.get_by_role("button", name="Convert and open a pull request").click()
    assert visitor.verdict() == "5 tensors identical. Pull request #1 is open."
    assert "identical" in page.title()
    expect(page.get_by_role("region", name="Load the pull request in Python")).to_contain_text("refs/pr/1")
    expect(page.get_by_role("table", name="Tensors")).to_contain_text("wte.weight")

    page.get_by_role("link", name="Check pull request").click()
    page.get_by_role("button", name="Check").click()
    assert "identical" in visitor.verdict()
    expect(page.get_by_role("table", name="Changed files")).to_contain_text("model.safetensors")

    confirm = page.get_by_label("To merge the pull request, type minute/model")
    confirm.fill("minute/other")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("The name does not match.")).to_be_visible()
    confirm.fill("minute/model")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("Merged as commit")).to_be_visible()
    assert "model.safetensors" in hub.api().list_repo_files("minute/model")


def press_tab_until_focused(page, locator, max_presses):
    for _ in range(max_presses):
        if locator.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(locator).to_be_focused()


def test_a_model_is_converted_with_the_keyboard_alone(visitor, hub):
    hub.make("keyboard/model", files_of(tied_model()))
    page = visitor.page
    page.goto("/")
    expect(page.get_by_label("A model on the Hub")).to_be_focused()
    page.keyboard.type("keyboard/model")
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Convert and open a pull request")
    expect(button).to_be_visible(timeout=JOB_TIMEOUT_MS)
    press_tab_until_focused(page, button, 30)
    assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert "identical" in visitor.verdict()
    press_tab_until_focused(page, page.get_by_label("Rows: arrow keys"), 40)
    page.keyboard.press("End")
    expect(page.locator(".selected")).to_contain_text("Row 5 of 5")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".selected")).to_contain_text("Row 4 of 5")


def test_a_conversion_for_download_changes_nothing_on_the_hub(visitor, hub, tmp_path):
    tensors = tied_model()
    hub.make("download/model", files_of(tensors))
    visitor.convert("download/model", "Convert for download")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="model.safetensors").click()
    download.value.save_as(tmp_path / "model.safetensors")
    assert len((tmp_path / "model.safetensors").read_bytes()) > 500
    with visitor.page.expect_download() as receipt:
        visitor.page.get_by_role("link", name="Download receipt").click()
    assert receipt.value.path().read_text().startswith("{")
    assert hub.open_requests("download/model") == []


def test_a_tampered_pull_request_fails_the_check(visitor, hub):
    tensors = tied_model()
    hub.make("tampered/model", files_of(tensors))
    tampered = {name: tensor.clone() for name, tensor in tensors.items()}
    tampered["h.a"].view(torch.int32)[3, 3] ^= 1
    number = hub.pull_request("tampered/model", {"model.safetensors": safe(tampered)})
    assert "do not merge" in visitor.check(f"{hub.url}/tampered/model/discussions/{number}")
    problems = visitor.page.get_by_role("table", name="Problems")
    expect(problems).to_contain_text("h.a")
    expect(problems).to_contain_text("different")
    expect(visitor.page.get_by_role("button", name="Merge")).to_have_count(0)


def test_code_in_a_pull_request_fails_the_check(visitor, hub):
    tensors = tied_model()
    hub.make("code/model", files_of(tensors))
    files = {"model.safetensors": safe(tensors), "modeling.py": b"import os\n"}
    number = hub.pull_request("code/model", files)
    visitor.check("code/model", number)
    changed = visitor.page.get_by_role("table", name="Changed files")
    expect(changed).to_contain_text("code: not expected in a conversion")
    expect(visitor.page.get_by_role("button", name="Merge")).to_have_count(0)


def test_an_invalid_address_is_reported_at_the_input(visitor, hub):
    page = visitor.page
    visitor.allow("status of 4")
    field = page.get_by_label("A model on the Hub")
    for typed in ("not an address", "nobody/nothing"):
        page.goto("/")
        field.fill(typed)
        page.get_by_role("button", name="Show plan").click()
        expect(field).to_have_attribute("aria-invalid", "true", timeout=JOB_TIMEOUT_MS)
        expect(page.locator("form .problem strong")).not_to_be_empty()
        expect(page.locator("form .problem .hint")).not_to_be_empty()
        expect(field).to_have_value(typed)


def test_a_repository_with_nothing_to_convert_is_reported(visitor, hub):
    hub.make("nothing/model", {"config.json": b"{}"})
    page = visitor.page
    page.goto("/?address=nothing/model")
    page.get_by_role("button", name="Show plan").click()
    reported = re.compile("nothing to convert|nothing to do", re.I)
    expect(page.locator("main")).to_contain_text(reported, timeout=JOB_TIMEOUT_MS)
    expect(page.get_by_role("button", name="Convert for download")).to_have_count(0)


def test_a_missing_job_is_reported(visitor):
    visitor.allow("status of 404")
    visitor.page.goto("/jobs/aaaaaaaaaaaaaaaaaaaa")
    expect(visitor.page.locator(".verdict h1")).not_to_be_empty()
    expect(visitor.page.get_by_role("link", name="Convert a model")).to_be_visible()


def test_a_token_is_sent_once_and_not_stored(visitor, hub, server):
    hub.make("secret/model", files_of(tied_model()), private=True)
    token, requests_with_token = server.token("me"), []
    page = visitor.page

    def record(request):
        if token in f"{request.url} {request.post_data or ''} {request.headers}":
            requests_with_token.append(f"{request.method} {request.url}")

    page.on("request", record)
    page.goto("/")
    page.get_by_label("A model on the Hub").fill("secret/model")
    page.get_by_text("Use a token for a private model").click()
    field = page.get_by_label("Access token")
    assert (field.get_attribute("type"), field.get_attribute("autocomplete")) == ("password", "off")
    field.fill(token)
    page.get_by_role("button", name="Show plan").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors", timeout=JOB_TIMEOUT_MS)
    assert requests_with_token == [f"POST {hub.url}/api/v1/jobs"]
    assert token not in page.content() + page.url
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])"
    assert page.evaluate(stored).count(token) == 0


def test_a_click_on_a_sample_shows_its_plan(visitor, hub):
    hub.make("samples/single", files_of(tied_model()))
    page = visitor.page
    page.goto("/")
    page.get_by_role("button", name="samples/single").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors", timeout=JOB_TIMEOUT_MS)


def test_a_malicious_pickle_is_converted_and_its_calls_are_shown(visitor, hub, tmp_path):
    marker = tmp_path / "marker"

    class Call:
        def __reduce__(self):
            return os.mkdir, (str(marker),)  # harmless, and easy to detect

    malicious = pickled({"w": torch.arange(6.0), "note": Call()})
    hub.make("malicious/model", {"config.json": b"{}", "pytorch_model.bin": malicious})
    visitor.convert("malicious/model")
    calls = visitor.page.get_by_role("table", name="Globals and calls in the pickle")
    expect(calls.locator(".alarm").first).to_contain_text("mkdir")
    expect(calls).to_contain_text("Not executed, not copied.")
    expect(visitor.page.get_by_role("table", name="Tensors")).to_contain_text("identical")
    assert not marker.exists()
