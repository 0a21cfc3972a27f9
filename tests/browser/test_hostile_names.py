"""Names from models are hostile text wherever they are shown."""
import torch
from embedded import pickled, safe
from playwright.sync_api import expect
from visitor import JOB

HOSTILE = [
    "<img src=x onerror=alert(1)>", "</td></tr></table><script>alert(2)</script>", "a<svg/onload=alert(3)>b", "javascript:alert(4)", "{{7*7}}${7*7}",
    "evil\u202egnp.exe", "zero\u200bwidth", "\x1b[31mred\x1b[0m", "line\nfeed\ttab", "=cmd|'/c calc'!A0", "long." * 90 + "end", "&lt;b&gt;", "重み.😀",
]


def model():
    return {name: torch.full((2,), float(number)) for number, name in enumerate(HOSTILE)}


def no_markup_came_of_it(page):
    assert page.locator("main img, main script, main svg, main iframe, main b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def shown(page):
    return page.get_by_role("table", name="Tensors").locator(".rows .name").all_inner_texts()


def test_tensor_names_are_text_on_every_view(visitor, hub):
    hub.make("hostile/names", {"config.json": b"{}", "pytorch_model.bin": pickled(model())})
    visitor.convert("hostile/names")
    page = visitor.page
    expect(page.get_by_role("table", name="Tensors")).to_contain_text("<img src=x onerror=alert(1)>")
    names = shown(page)
    assert "</td></tr></table><script>alert(2)</script>" in names and "&lt;b&gt;" in names
    # What hides or reorders is written out.
    assert "evil\\u{202e}gnp.exe" in names and "zero\\u{200b}width" in names and "\\u{1b}[31mred\\u{1b}[0m" in names and "line\\u{a}feed\\u{9}tab" in names
    assert not any(character in page.content() for character in "\u202e\u200b\x1b")
    no_markup_came_of_it(page)
    visitor.check("hostile/names", 1)
    expect(page.get_by_role("table", name="Tensors")).to_contain_text("<img src=x onerror=alert(1)>")
    no_markup_came_of_it(page)
    visitor.inspect("hostile/names")
    expect(page.get_by_role("table", name="Tensors")).to_contain_text("<img src=x onerror=alert(1)>")
    no_markup_came_of_it(page)


def test_the_exact_name_is_copied_and_a_spreadsheet_is_given_no_formula(visit, hub):
    hub.make("hostile/copied", {"config.json": b"{}", "pytorch_model.bin": pickled(model())})
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.inspect("hostile/copied")
    page = visitor.page
    page.get_by_label("Filter by name or dtype").fill("gnp")
    expect(page.locator(".rows .row")).to_have_count(1)
    page.locator(".rows .row").click()
    page.get_by_role("button", name="Copy the name").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "evil\u202egnp.exe"
    page.get_by_label("Filter by name or dtype").fill("cmd")
    expect(page.locator(".rows .row")).to_have_count(1)
    expect(page.locator(".rows .row")).to_contain_text("=cmd")
    page.get_by_role("button", name="Copy the visible rows").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    head, row = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert head.split("\t")[:4] == ["name", "dtype", "shape", "bytes"]
    assert row.split("\t")[:4] == ["'=cmd|'/c calc'!A0", "F32", "2", "8"]


def test_file_names_and_pull_requests_are_text(visitor, hub):
    weights = pickled({"w": torch.ones(2)})
    hub.make("hostile/files", {"config.json": b"{}", "pytorch_model.bin": weights, "<img src=x onerror=alert(5)>.bin": weights})
    visitor.plan("hostile/files")
    page = visitor.page
    expect(page.locator("main")).to_contain_text("<img src=x onerror=alert(5)>.bin")
    no_markup_came_of_it(page)
    hub.pull_request("hostile/files", {"model.safetensors": safe({"w": torch.zeros(2)})}, title="<script>alert(6)</script>\u202e", description="[x](javascript:alert(7)) <img src=x onerror=alert(8)>")
    page.goto("/?address=hostile/files")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("table", name="Pull requests there already")).to_contain_text("<script>alert(6)</script>", timeout=JOB)
    no_markup_came_of_it(page)
    visitor.check("hostile/files", 1)
    expect(page.locator(".verdict")).to_contain_text("<script>alert(6)</script>")
    no_markup_came_of_it(page)
    page.goto("/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_contain_text("hostile/files")
    no_markup_came_of_it(page)


def test_an_address_in_a_link_is_text(visitor):
    for path in ("/", "/check", "/inspect"):
        visitor.page.goto(f"{path}?address=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(9)%3E&number=%3Cb%3E")
        expect(visitor.page.locator("#address")).to_have_value('"><img src=x onerror=alert(9)>')
        no_markup_came_of_it(visitor.page)
