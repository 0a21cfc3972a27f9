"""The newcomer's minute, and what may come between."""
import os
import re

import torch
from embedded import files_of, pickled, safe, tied_model
from playwright.sync_api import expect
from visitor import JOB


def test_a_newcomer_converts_checks_and_merges(visitor, hub):
    hub.make("minute/model", files_of(tied_model()))
    page = visitor.page
    visitor.plan("minute/model")
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors")
    expect(page.get_by_text("lm_head.weight is wte.weight, stored once")).to_be_visible()
    page.get_by_role("button", name="Convert and open a pull request").click()
    assert "identical" in visitor.verdict()
    assert "identical" in page.title()
    expect(page.get_by_role("region", name="Use it now")).to_contain_text("refs/pr/1")
    expect(page.get_by_role("table", name="Tensors")).to_contain_text("wte.weight")

    page.get_by_role("link", name="Check it").click()
    page.get_by_role("button", name="Check").click()
    assert "identical" in visitor.verdict()
    expect(page.get_by_role("table", name="Files that change")).to_contain_text("model.safetensors")

    confirm = page.get_by_label("to merge the pull request into it")
    confirm.fill("minute/other")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("That is another name.")).to_be_visible()
    confirm.fill("minute/model")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_text("Merged as commit")).to_be_visible()
    assert "model.safetensors" in hub.api().list_repo_files("minute/model")


def test_a_conversion_by_keyboard_alone(visitor, hub):
    hub.make("keyboard/model", files_of(tied_model()))
    page = visitor.page
    page.goto("/")
    expect(page.get_by_label("A model on the Hub")).to_be_focused()
    page.keyboard.type("keyboard/model")
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Convert and open a pull request")
    expect(button).to_be_visible(timeout=JOB)
    for _ in range(30):
        if button.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert "identical" in visitor.verdict()
    rows = page.get_by_label("Rows: arrows")
    for _ in range(40):
        if rows.evaluate("rows => rows === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(rows).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator(".chosen")).to_contain_text("Row 5 of 5")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".chosen")).to_contain_text("Row 4 of 5")


def test_only_converting_gives_files_to_download_and_changes_nothing(visitor, hub, tmp_path):
    tensors = tied_model()
    hub.make("download/model", files_of(tensors))
    visitor.convert("download/model", "Only convert")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="model.safetensors").click()
    download.value.save_as(tmp_path / "model.safetensors")
    assert len((tmp_path / "model.safetensors").read_bytes()) > 500
    with visitor.page.expect_download() as receipt:
        visitor.page.get_by_role("link", name="Receipt").click()
    assert receipt.value.path().read_text().startswith("{")
    assert hub.open_requests("download/model") == []


def test_a_tampered_pull_request_is_refused(visitor, hub):
    tensors = tied_model()
    hub.make("tampered/model", files_of(tensors))
    tampered = {name: tensor.clone() for name, tensor in tensors.items()}
    tampered["h.a"].view(torch.int32)[3, 3] ^= 1
    number = hub.pull_request("tampered/model", {"model.safetensors": safe(tampered)})
    assert "do not merge" in visitor.check(f"{hub.url}/tampered/model/discussions/{number}")
    wrong = visitor.page.get_by_role("table", name="What is wrong")
    expect(wrong).to_contain_text("h.a")
    expect(wrong).to_contain_text("different")
    expect(visitor.page.get_by_role("button", name="Merge")).to_have_count(0)


def test_code_in_a_pull_request_is_named(visitor, hub):
    tensors = tied_model()
    hub.make("code/model", files_of(tensors))
    number = hub.pull_request("code/model", {"model.safetensors": safe(tensors), "modeling.py": b"import os\n"})
    visitor.check("code/model", number)
    expect(visitor.page.get_by_role("table", name="Files that change")).to_contain_text("code: does not belong in such a pull request")
    expect(visitor.page.get_by_role("button", name="Merge")).to_have_count(0)


def test_what_was_typed_wrong_is_said_where_it_was_typed(visitor, hub):
    page = visitor.page
    visitor.expects("status of 4")
    field = page.get_by_label("A model on the Hub")
    for typed in ("not an address", "nobody/nothing"):
        page.goto("/")
        field.fill(typed)
        page.get_by_role("button", name="Plan").click()
        expect(field).to_have_attribute("aria-invalid", "true", timeout=JOB)
        expect(page.locator("form .problem strong")).not_to_be_empty()
        expect(page.locator("form .problem .hint")).not_to_be_empty()
        expect(field).to_have_value(typed)


def test_a_repository_with_nothing_to_convert_says_so(visitor, hub):
    hub.make("nothing/model", {"config.json": b"{}"})
    page = visitor.page
    page.goto("/?address=nothing/model")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("main")).to_contain_text(re.compile("nothing to convert|nothing to do|holds no", re.I), timeout=JOB)
    expect(page.get_by_role("button", name="Only convert")).to_have_count(0)


def test_a_job_that_does_not_exist_says_so(visitor):
    visitor.expects("status of 404")
    visitor.page.goto("/jobs/aaaaaaaaaaaaaaaaaaaa")
    expect(visitor.page.locator(".verdict h1")).not_to_be_empty()
    expect(visitor.page.get_by_role("link", name="Convert a model")).to_be_visible()


def test_a_token_is_sent_once_and_kept_nowhere(visitor, hub, server):
    hub.make("secret/model", files_of(tied_model()), private=True)
    token, sent = server.token("me"), []
    page = visitor.page
    page.on("request", lambda request: token in f"{request.url} {request.post_data or ''} {request.headers}" and sent.append(f"{request.method} {request.url}"))
    page.goto("/")
    page.get_by_label("A model on the Hub").fill("secret/model")
    page.get_by_text("Private model: give a token").click()
    field = page.get_by_label("Access token")
    assert (field.get_attribute("type"), field.get_attribute("autocomplete")) == ("password", "off")
    field.fill(token)
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors", timeout=JOB)
    assert sent == [f"POST {hub.url}/api/v1/jobs"]
    assert token not in page.content() + page.url
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])").count(token) == 0


def test_samples_are_one_click_away(visitor, hub):
    hub.make("samples/single", files_of(tied_model()))
    page = visitor.page
    page.goto("/")
    page.get_by_role("button", name="samples/single").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors", timeout=JOB)


def test_a_malicious_pickle_is_converted_and_what_it_would_have_run_is_shown(visitor, hub, tmp_path):
    marker = tmp_path / "marker"

    class Mark:
        def __reduce__(self):
            return os.mkdir, (str(marker),)  # harmless, and seen at once

    hub.make("malicious/model", {"config.json": b"{}", "pytorch_model.bin": pickled({"w": torch.arange(6.0), "note": Mark()})})
    visitor.convert("malicious/model")
    named = visitor.page.get_by_role("table", name="What the pickle named")
    expect(named.locator(".alarm").first).to_contain_text("mkdir")
    expect(named).to_contain_text("Not run, not copied.")
    expect(visitor.page.get_by_role("table", name="Tensors")).to_contain_text("identical")
    assert not marker.exists()

