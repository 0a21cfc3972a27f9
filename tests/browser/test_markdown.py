"""Hostile READMEs, and sections of a page that cannot be drawn."""
import time
import urllib.parse

import pytest
from embedded import files_of, tied_model
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def model(hub):
    files = {"README.md": b"---\nlicense: mit\n---\n# A model\n", "code.py": b"1"}
    hub.make("page/sections", files_of(tied_model()) | files)
    hub.pull_request("page/sections", {"added.txt": b"1"}, title="Add a file", description="Only **one**.")
    return "page/sections"


def go(visitor, path):
    visitor.page.goto(path)
    expect(visitor.page.locator("h1")).to_be_visible(timeout=30_000)
    return visitor.page


def test_links_in_a_readme_lead_where_they_say(visitor, hub, server):
    targets = {
        "config.json": "/page/links/blob/main/config.json",
        "../../tree/main": "/page/links/tree/main",
        "/page/links": "/page/links",
        "?q#x": "/page/links/blob/main/README.md?q#x",
        "/.//evil.example/": f"{server.url}//evil.example/",
        "\\\\\\\\evil.example": "http://evil.example/",
        "//evil.example/x": "http://evil.example/x",
        "https:evil.example": "https://evil.example/",
        "http://127.0.0.1/": "http://127.0.0.1/",
    }
    texts = ["javascript:alert(1)", "JaVaScRiPt&#58;alert(1)", "java&#10;script:alert(1)", "data:text/html,x",
             "vbscript:x", "file:///etc/passwd", "http://[", "blob:http://x"]
    readme = "".join(f"[link {i}](<{target}>)\n\n" for i, target in enumerate([*targets, *texts]))
    hub.make("page/links", {"README.md": readme.encode(), "config.json": b"{}"})
    prose = go(visitor, "/page/links").locator(".prose")
    for i, (target, href) in enumerate(targets.items()):
        link = prose.get_by_role("link", name=f"link {i}", exact=True)
        expect(link).to_have_attribute("href", href)
        host = urllib.parse.urlsplit(href).netloc
        foreign = host not in ("", urllib.parse.urlsplit(server.url).netloc)
        assert ("noopener" in (link.get_attribute("rel") or "")) == foreign, target
        assert (f"link {i} ({host})" in prose.inner_text()) == foreign, "the other host is named"
        resolved = link.evaluate("(link) => link.host")
        assert foreign == (resolved != urllib.parse.urlsplit(server.url).netloc), target
    assert prose.get_by_role("link").count() == len(targets)
    expect(prose).to_contain_text(f"link {len(targets)} (javascript:alert(1))")


HOSTILE_READMES = {
    "spaces after a heading": "# a" + " " * 250_000,
    "200,000 lines": "a\n" * 200_000,
    "200,000 lines in two items": "- a\n" + "  b\n" * 100_000 + "- c\n" + "  d\n" * 30_000,
    "brackets": "![[]()" * 40_000,
    "quotes": ">" * 200_000,
    "lists": "- " * 4000 + "a\n" + "\n" * 200_000,
    "a wide table": "|a" * 20_000 + "|\n" + "|-" * 20_000 + "|\n" + "|x\n" * 30_000,
    "a long table": "|a|b|\n|-|-|\n" + "|1|2|\n" * 30_000,
    "URLs": "http://" * 30_000 + " http://" + "." * 30_000,
}


def test_a_hostile_readme_leaves_the_page_usable(visitor, hub):
    hub.make("page/readme", {"config.json": b"{}"})
    for name, text in HOSTILE_READMES.items():
        hub.commit("page/readme", {"README.md": f"{text}\n\nend".encode()})
        begin = time.monotonic()
        page = go(visitor, "/page/readme")
        expect(page.get_by_role("heading", name="README", exact=True)).to_be_visible(timeout=20_000)
        assert time.monotonic() - begin < 30, name
        assert page.locator(".prose").count() == 1, name
        expect(page.get_by_role("table").first).to_contain_text("config.json")


BROKEN_TREES = {
    "a tree of another form": {"json": {"documents": [{"children": [{"type": "table", "children": 7}]}]}},
    "no document": {"json": {"documents": []}},
    "an error": {"status": 503, "json": {"error": "too many texts at once"}},
}


@pytest.mark.parametrize("answer", BROKEN_TREES)
def test_a_section_that_cannot_be_drawn_leaves_the_others(visitor, model, answer):
    visitor.allow("console: ")
    visitor.page.route("**/api/markdown", lambda route: route.fulfill(**BROKEN_TREES[answer]))
    page = go(visitor, f"/{model}")
    readme = page.get_by_role("region", name="README")
    expect(readme.locator(".problem")).to_be_visible()
    expect(page.get_by_role("table", name="Weights")).to_contain_text("pytorch_model.bin")
    expect(page.locator("dl.facts")).to_contain_text("mit")
    page = go(visitor, f"/{model}/discussions/1")
    expect(page.get_by_role("region", name="Conversation").locator(".problem").first).to_be_visible()
    expect(page.get_by_role("table", name="Changed files")).to_contain_text("added.txt")
    page.unroute("**/api/markdown")


def test_a_fault_of_the_page_is_shown(visitor, model):
    visitor.allow("console: ")
    visitor.page.route(f"**/api/models/{model}?blobs=true", lambda route: route.fulfill(json={"id": model}))
    page = go(visitor, f"/{model}")
    expect(page.get_by_role("region", name="Files")).to_contain_text("code.py")
    expect(page.get_by_role("region", name="About").locator(".problem")).to_be_visible()
    page.unroute(f"**/api/models/{model}?blobs=true")
    visitor.page.route(f"**/api/models/{model}/commits/main*", lambda route: route.fulfill(json=[{"id": 7}]))
    expect(go(visitor, f"/{model}/commits/main").locator("h1")).to_have_text("The page could not be drawn")
    page.unroute(f"**/api/models/{model}/commits/main*")
