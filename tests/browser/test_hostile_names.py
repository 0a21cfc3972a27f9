"""Names from models and repositories are untrusted. The page shows them as text."""
import torch
from embedded import pickled, safe
from playwright.sync_api import expect
from visitor import JOB_TIMEOUT_MS

HOSTILE_NAMES = [
    "<img src=x onerror=alert(1)>", "</td></tr></table><script>alert(2)</script>", "a<svg/onload=alert(3)>b",
    "javascript:alert(4)", "{{7*7}}${7*7}", "evil\u202egnp.exe", "zero\u200bwidth", "\x1b[31mred\x1b[0m",
    "line\nfeed\ttab", "=cmd|'/c calc'!A0", "long." * 90 + "end", "&lt;b&gt;", "重み.😀",
]
READ_CLIPBOARD = "navigator.clipboard.readText()"


def model():
    return {name: torch.full((2,), float(number)) for number, name in enumerate(HOSTILE_NAMES)}


def assert_no_markup(page):
    assert page.locator("main img, main script, main svg, main iframe, main b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def tensor_table(page):
    return page.get_by_role("table", name="Tensors")


def test_tensor_names_are_text_on_every_view(visitor, hub):
    hub.make("hostile/names", {"config.json": b"{}", "pytorch_model.bin": pickled(model())})
    visitor.convert("hostile/names")
    page = visitor.page
    expect(tensor_table(page)).to_contain_text("<img src=x onerror=alert(1)>")
    names = tensor_table(page).locator(".rows .name").all_inner_texts()
    assert "</td></tr></table><script>alert(2)</script>" in names and "&lt;b&gt;" in names
    # Invisible and reordering characters are shown as escape sequences.
    assert "evil\\u{202e}gnp.exe" in names and "zero\\u{200b}width" in names
    assert "\\u{1b}[31mred\\u{1b}[0m" in names and "line\\u{a}feed\\u{9}tab" in names
    assert not any(character in page.content() for character in "\u202e\u200b\x1b")
    assert_no_markup(page)
    visitor.check("hostile/names", 1)
    expect(tensor_table(page)).to_contain_text("<img src=x onerror=alert(1)>")
    assert_no_markup(page)
    visitor.inspect("hostile/names")
    expect(tensor_table(page)).to_contain_text("<img src=x onerror=alert(1)>")
    assert_no_markup(page)


def test_names_are_copied_exactly_and_rows_without_formulas(visit, hub):
    hub.make("hostile/copied", {"config.json": b"{}", "pytorch_model.bin": pickled(model())})
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.inspect("hostile/copied")
    page = visitor.page
    page.get_by_label("Filter by name or dtype").fill("gnp")
    expect(page.locator(".rows .row")).to_have_count(1)
    page.locator(".rows .row").click()
    page.get_by_role("button", name="Copy name").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate(READ_CLIPBOARD) == "evil\u202egnp.exe"
    page.get_by_label("Filter by name or dtype").fill("cmd")
    expect(page.locator(".rows .row")).to_have_count(1)
    expect(page.locator(".rows .row")).to_contain_text("=cmd")
    page.get_by_role("button", name="Copy visible rows").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    head, row = page.evaluate(READ_CLIPBOARD).split("\n")
    assert head.split("\t")[:4] == ["name", "dtype", "shape", "bytes"]
    assert row.split("\t")[:4] == ["'=cmd|'/c calc'!A0", "F32", "2", "8"]


def test_file_names_and_pull_requests_are_text(visitor, hub):
    weights = pickled({"w": torch.ones(2)})
    files = {"config.json": b"{}", "pytorch_model.bin": weights, "<img src=x onerror=alert(5)>.bin": weights}
    hub.make("hostile/files", files)
    visitor.plan("hostile/files")
    page = visitor.page
    expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(5)>.bin")
    assert_no_markup(page)
    hub.pull_request("hostile/files", {"model.safetensors": safe({"w": torch.zeros(2)})},
                     title="<script>alert(6)</script>\u202e",
                     description="[x](javascript:alert(7)) <img src=x onerror=alert(8)>")
    page.goto("/?address=hostile/files")
    page.get_by_role("button", name="Show plan").click()
    pull_requests = page.get_by_role("table", name="Existing pull requests")
    expect(pull_requests).to_contain_text("<script>alert(6)</script>", timeout=JOB_TIMEOUT_MS)
    assert_no_markup(page)
    visitor.check("hostile/files", 1)
    expect(page.locator(".verdict")).to_contain_text("<script>alert(6)</script>")
    assert_no_markup(page)
    page.goto("/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_contain_text("hostile/files")
    assert_no_markup(page)


def test_an_address_in_a_link_is_text(visitor):
    for path in ("/", "/check", "/inspect"):
        visitor.page.goto(f"{path}?address=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(9)%3E&number=%3Cb%3E")
        expect(visitor.page.locator("#address")).to_have_value('"><img src=x onerror=alert(9)>')
        assert_no_markup(visitor.page)
