"""The embedded Hub's own pages, behind the links that clients print, in a real Chromium."""
import re
import urllib.error
import urllib.request

import pytest
from embedded import files_of, safe, tied_model
from playwright.sync_api import expect

README = b"""---
license: mit
library_name: transformers
---
# A model

**Bold**, `code`, a [file](config.json), an [outsider](https://outside.example/x) and ![a picture](https://tracker.example/p.png).

<script>alert(1)</script> <img src=x onerror="alert(2)"> [press](javascript:alert(3)) [data](data:text/html,x)

| a | b |
|---|---|
| 1 | 2 |

```
torch.load()
```
"""
HOSTILE_FILE = '<img src=x onerror="alert(1)">\u202e.txt'
HOSTILE_TITLE = '<script>alert("title")</script> \u202egnp.exe'
TOKEN_LABEL = "Token of this Hub"


@pytest.fixture
def model(hub):
    """page/model, once: weights in pickle, a history, a pull request that adds safetensors, one that changes code, a discussion."""
    if not hub.api().repo_exists("page/model"):
        tensors = tied_model()
        hub.make("page/model", files_of(tensors) | {"README.md": README, "code.py": b"a = 1\nb = 2\nc = 3\n", "deep/er/notes.txt": b"notes\n"})
        hub.commit("page/model", {"config.json": b'{"n": 2}'}, title="Correct it", description="For a reason.")
        hub.pull_request("page/model", {"model.safetensors": safe(tensors)}, title="Add safetensors", description="## What\n\nOnly **weights**.")
        hub.pull_request("page/model", {"code.py": b"a = 1\nb = 9\nc = 3\n"}, title="Change code")
        hub.api("other").create_discussion("page/model", title="How was it trained?", description="I wonder.")
        hub.api().create_repo("page/rows", repo_type="dataset", exist_ok=True)
    return "page/model"


@pytest.fixture
def hostile(hub):
    if not hub.api().repo_exists("page/hostile"):
        hub.make("page/hostile", {HOSTILE_FILE: b"<script>alert(4)</script>\n", "n" * 200 + ".bin": b"\x80\x02}.", "README.md": README})
        hub.commit("page/hostile", {"a.txt": b"1"}, title=HOSTILE_TITLE, description="<b>not bold</b>")
        hub.pull_request("page/hostile", {"b.txt": b"1"}, title=HOSTILE_TITLE, description="<img src=x onerror=alert(5)> [x](javascript:alert(6))")
    return "page/hostile"


@pytest.fixture
def private(hub):
    hub.api().create_repo("page/secret", private=True, exist_ok=True)
    if not hub.api().file_exists("page/secret", "secret.txt"):
        hub.commit("page/secret", {"secret.txt": b"the secret\n", "README.md": b"# Hidden\n"})
    return "page/secret"


def go(visitor, path):
    visitor.page.goto(path)
    expect(visitor.page.locator("h1")).to_be_visible()
    return visitor.page


def sign_in(visitor, token):
    """Types the token into the last field for it: the one that the page itself asks with, or the foot's."""
    page = visitor.page
    field = page.locator("main").get_by_label(re.compile("token", re.I))
    if field.count() == 0:
        page.get_by_text("Use a token").click()
        field = page.get_by_label(TOKEN_LABEL)
    field.first.fill(token)
    field.first.press("Enter")


def pages_of(repo, sha):
    return ["", "/tree/main", "/tree/main/deep/er", "/blob/main/code.py", "/blob/main/pytorch_model.bin", "/blob/refs/pr/1/model.safetensors", "/commits/main", "/commits/refs%2Fpr%2F1",
            f"/commit/{sha}", "/discussions", "/discussions?status=open", "/discussions/1", "/discussions/2", "/discussions/3"]


def test_a_repository_says_what_its_weights_are_kept_in(visitor, model):
    page = go(visitor, f"/{model}")
    expect(page.locator("h2.said")).to_have_text("Its weights are kept in pickle.")
    expect(page.get_by_role("table", name="Weights")).to_contain_text("pytorch_model.bin")
    expect(page.get_by_role("link", name="Convert", exact=True).last).to_have_attribute("href", "/?address=page%2Fmodel")
    expect(page.get_by_role("link", name="Inspect", exact=True).last).to_have_attribute("href", "/inspect?address=page%2Fmodel")
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("transformers")
    expect(facts).to_contain_text("mit")


def test_a_readme_is_shown_and_nothing_of_it_runs_or_loads(visitor, model):
    prose = go(visitor, f"/{model}").locator(".prose")
    expect(prose.locator("strong")).to_have_text("Bold")
    expect(prose.locator("pre")).to_have_text("torch.load()")
    expect(prose.get_by_role("cell", name="2")).to_be_visible()
    expect(prose.get_by_role("link", name="file")).to_have_attribute("href", "/page/model/blob/main/config.json")
    expect(prose).to_contain_text("outsider (outside.example)")
    expect(prose).to_contain_text('<script>alert(1)</script> <img src=x onerror="alert(2)"> [press](javascript:alert(3)) [data](data:text/html,x)')
    assert prose.locator("script, img, [onerror], a[href^=javascript], a[href^=data]").count() == 0
    assert "license: mit" not in prose.inner_text()


def test_every_link_that_a_client_prints_leads_to_a_page(visitor, hub, model):
    done = hub.commit(model, {"printed.txt": b"1"}, user="other", title="Printed", create_pr=True)
    for url, heading in ((done.commit_url, "Printed"), (done.pr_url, "Printed"), (str(hub.api().repo_info(model).id), "model")):
        expect(go(visitor, url if url.startswith("http") else f"/{url}").locator("h1")).to_contain_text(heading)
    hub.api("other").change_discussion_status(model, int(done.pr_num), "closed")


def test_folders_files_and_history_are_walked_by_links(visitor, model):
    page = go(visitor, f"/{model}/tree/main")
    page.get_by_role("link", name="deep/").click()
    page.get_by_role("link", name="er/").click()
    page.get_by_role("link", name="notes.txt").click()
    expect(page.locator(".listing .text")).to_have_text("notes\n")
    assert page.url.endswith("/page/model/blob/main/deep/er/notes.txt")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Files in er/")
    page.get_by_role("link", name="Commits").click()
    page.get_by_role("link", name="Correct it").click()
    expect(page.locator("main")).to_contain_text("For a reason.")
    expect(page.get_by_role("table", name="Changed files")).to_contain_text("config.json")
    expect(page.locator(".diff .plus")).to_contain_text('{"n": 2}')
    expect(page.locator(".diff .minus")).to_contain_text("{}")


def test_another_revision_is_chosen(visitor, model):
    page = go(visitor, f"/{model}/tree/main")
    page.locator(".revisions summary").click()
    page.locator(".revisions").get_by_role("link", name="refs/pr/1").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors")
    assert page.url.endswith("/tree/refs/pr/1")


def test_a_pull_request_shows_what_it_changes(visitor, model):
    page = go(visitor, f"/{model}/discussions/1")
    expect(page.locator("main")).to_contain_text("It adds 1 file of safetensors and changes nothing else.")
    expect(page.get_by_role("link", name="Check it")).to_have_attribute("href", "/check?address=page%2Fmodel&number=1")
    expect(page.locator(".talk strong", has_text="weights")).to_be_visible()
    page = go(visitor, f"/{model}/discussions/2")
    expect(page.locator("main")).to_contain_text("1 of which can run something when opened")
    expect(page.locator(".diff .minus")).to_contain_text("b = 2")
    expect(page.locator(".diff .plus")).to_contain_text("b = 9")


def test_a_dataset_and_an_owner_have_pages(visitor, model):
    expect(go(visitor, "/datasets/page/rows").locator(".crumbs")).to_contain_text("dataset")
    page = go(visitor, "/page")
    expect(page.get_by_role("table", name="Models")).to_contain_text("model")
    page.get_by_role("link", name="rows").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rows")


def test_what_is_hostile_is_text(visitor, hub, hostile):
    sha = hub.api().list_repo_commits(hostile)[0].commit_id
    encoded = urllib.request.quote(HOSTILE_FILE)
    for path, said in (("/tree/main", '<img src=x onerror="alert(1)">\\u{202e}.txt'), (f"/blob/main/{encoded}", "<script>alert(4)</script>"), ("/commits/main", '<script>alert("title")</script> \\u{202e}gnp.exe'),
                       (f"/commit/{sha}", "<b>not bold</b>"), ("/discussions", "\\u{202e}gnp.exe"), ("/discussions/1", "<img src=x onerror=alert(5)> [x](javascript:alert(6))"), ("", "<script>alert(1)</script>")):
        page = go(visitor, f"/{hostile}{path}")
        expect(page.locator("main")).to_contain_text(said)
        assert page.locator("main script, main img, main [onerror], main a[href^=javascript]").count() == 0
        assert "\u202e" not in page.title() + page.locator("main").inner_text()


def test_names_of_any_length_stay_in_a_narrow_window(visit, hostile):
    visitor = visit(width=360)
    for path in ("", "/tree/main", "/blob/main/" + "n" * 200 + ".bin", "/commits/main", "/discussions/1"):
        page = go(visitor, f"/{hostile}{path}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_ten_thousand_files_come_a_thousand_at_a_time(visitor, hub):
    hub.make("page/many", {f"all/{number:05}.txt": b"x" for number in range(2300)})
    page = go(visitor, "/page/many/tree/main/all")
    rows = page.locator("table[aria-label='Files in all'] tbody tr")
    expect(rows).to_have_count(1000)
    page.get_by_role("button", name="Show 1,000 more").click()
    expect(rows).to_have_count(2000)
    page.get_by_role("button", name="Show 1,000 more").click()
    expect(rows).to_have_count(2300)
    expect(page.get_by_role("button", name="Show 1,000 more")).to_have_count(0)
    expect(rows.last).to_contain_text("02299.txt")


def test_a_private_repository_needs_a_token_which_is_kept_in_memory_only(visitor, hub, private):
    visitor.expects("status of 404", "status of 401")
    page = go(visitor, f"/{private}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("There is no repository page/secret")
    sign_in(visitor, "hf_wrong")
    expect(page.get_by_role("alert").first).to_contain_text("This Hub does not know that token.")
    token = hub.server.token("me")
    sign_in(visitor, token)
    expect(page.locator(".prose")).to_contain_text("Hidden")
    page.get_by_role("link", name="secret.txt").click()
    expect(page.locator(".listing .text")).to_have_text("the secret\n")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes() == b"the secret\n"
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href])")
    assert token not in kept and token not in page.content()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("There is no repository")


def test_a_token_can_be_forgotten(visitor, hub, private):
    visitor.expects("status of 404")
    page = go(visitor, f"/{private}")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("There is no repository")


def test_a_pull_request_is_merged_once_the_name_is_typed(visitor, hub):
    hub.make("page/merged", {"a.txt": b"1"})
    hub.pull_request("page/merged", {"b.txt": b"2"}, title="Add b")
    page = go(visitor, "/page/merged/discussions/1")
    assert page.get_by_role("button", name="Merge").count() == 0
    sign_in(visitor, hub.server.token("me"))
    name = page.get_by_label("To merge it, type page/merged")
    name.fill("page/other")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("form.merge .problem")).to_contain_text("That is not the repository's name.")
    assert hub.open_requests("page/merged") == [1]
    name.fill("page/merged")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("p.lead")).to_contain_text("Merged into main.")
    assert hub.api().file_exists("page/merged", "b.txt")
    page.get_by_role("link", name="The merge").click()
    expect(page.get_by_role("table", name="Changed files")).to_contain_text("b.txt")


def test_what_changed_since_it_was_looked_at_is_not_merged(visitor, hub):
    hub.make("page/moved", {"a.txt": b"1"})
    hub.pull_request("page/moved", {"b.txt": b"2"})
    page = go(visitor, "/page/moved/discussions/1")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_label("To merge it, type page/moved").fill("page/moved")
    hub.commit("page/moved", {"evil.py": b"3"}, user="other", revision="refs/pr/1")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("form.merge .problem")).to_contain_text("The pull request has another commit than this page shows.")
    assert hub.open_requests("page/moved") == [1]


def test_who_may_not_write_is_told_so(visitor, hub):
    visitor.expects("status of 403")
    hub.make("me/guarded", {"a.txt": b"1"})
    hub.pull_request("me/guarded", {"b.txt": b"2"})
    page = go(visitor, "/me/guarded/discussions/1")
    sign_in(visitor, hub.server.token("other"))
    page.get_by_label("To merge it, type me/guarded").fill("me/guarded")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("form.merge .problem")).to_contain_text("Use the token of somebody who may write to this repository.")
    assert hub.open_requests("me/guarded") == [1]


def test_a_token_that_may_only_read_is_offered_no_merge(visitor, hub, model):
    page = go(visitor, f"/{model}/discussions/2")
    sign_in(visitor, hub.server.token("reader", "--read-only"))
    expect(page.locator("footer")).to_contain_text("which may only read")
    assert page.get_by_role("button", name="Merge").count() == 0


def test_a_discussion_is_commented_closed_and_opened_again(visitor, hub):
    hub.make("page/talk", {"a.txt": b"1"})
    hub.api().create_discussion("page/talk", title="Words", description="First.")
    page = go(visitor, "/page/talk/discussions/1")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_label("Comment").fill("Second <b>word</b>.")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".talk .comment").nth(1)).to_contain_text("Second <b>word</b>.")
    page.get_by_role("button", name="Close the discussion").click()
    expect(page.locator("p.lead")).to_contain_text("A discussion, closed.")
    page.get_by_role("button", name="Open the discussion again").click()
    expect(page.locator("p.lead")).to_contain_text("A discussion, open.")


@pytest.mark.parametrize("path, said, next_link", [
    ("/page/none", "There is no repository page/none", "page"), ("/page/model/tree/none", "has no revision none", "commits on main"), ("/page/model/blob/main/none.txt", "none.txt is not in page/model", "all files"),
    ("/page/model/tree/main/none", "none is not in page/model", "all files"), ("/page/model/discussions/999", "There is no discussion 999", "all discussions"), ("/nobody", "nobody has nothing here", "the front page"),
    ("/page/model/unknown/thing", "There is nothing at this address", "page/model"), ("/a/b/c/d", "There is nothing at this address", "a/b"), ("/page/model/discussions/x", "There is no discussion x", "all discussions")])
def test_what_is_not_there_says_what_to_do(visitor, model, path, said, next_link):
    visitor.expects("status of 404")
    page = go(visitor, path)
    expect(page.get_by_role("heading", level=1)).to_contain_text(said)
    expect(page.locator("main").get_by_role("link", name=next_link, exact=True).last).to_be_visible()


@pytest.mark.parametrize("width", [1200, 360])
def test_axe_finds_nothing_serious_on_any_page(visit, hub, model, width):
    visitor = visit(width=width)
    sha = hub.api().list_repo_commits(model)[0].commit_id
    for path in [*(f"/{model}{below}" for below in pages_of(model, sha)), "/page", "/datasets/page/rows"]:
        page = go(visitor, path)
        page.wait_for_load_state("networkidle")
        assert visitor.serious() == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_the_keyboard_reaches_the_content_and_a_turned_page_has_the_focus(visitor, model):
    page = go(visitor, f"/{model}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.get_by_role("link", name="Commits").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Commits")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("#news")).to_have_text("Commits · page/model")


def answer(hub, path, accept, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(hub.url + path, headers={"Accept": accept}, method=method), timeout=30) as got:
            return got.status, got.headers
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers


def test_only_a_browser_is_given_a_page(hub, model):
    for path in (f"/{model}", f"/{model}/tree/main", f"/{model}/discussions/1", "/page"):
        status, headers = answer(hub, path, "text/html,*/*")
        assert status == 200 and headers["Content-Type"].startswith("text/html") and "script-src 'self'" in headers["Content-Security-Policy"] and headers["Vary"] == "Accept"
        status, headers = answer(hub, path, "*/*")
        assert status == 404 and headers["Content-Type"].startswith("application/json")
    assert answer(hub, "/a/b/c/d", "text/html")[0] == 404
    for path, kind in ((f"/{model}/resolve/main/config.json", "text/plain"), (f"/{model}/raw/main/config.json", "text/plain"), (f"/{model}.git/info/refs?service=git-upload-pack", "application/x-git"),
                       (f"/{model}/info/refs?service=git-upload-pack", "application/x-git"), (f"/api/models/{model}", "application/json"), (f"/api/models/{model}/none", "application/json")):
        assert answer(hub, path, "text/html,*/*")[1]["Content-Type"].startswith(kind), path
