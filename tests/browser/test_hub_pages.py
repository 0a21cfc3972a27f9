"""The pages of the embedded Hub, at the URLs that the Hub's clients print."""
import re
import urllib.error
import urllib.request

import pytest
from embedded import files_of, safe, tied_model
from playwright.sync_api import expect
from visitor import SCROLL_WIDTH

README = b"""---
license: mit
library_name: transformers
---
# A model

**Bold**, `code`, a [file](config.json), an [outsider](https://outside.example/x)
and ![a picture](https://tracker.example/p.png).

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
UNSAFE_MARKDOWN = (
    '<script>alert(1)</script> <img src=x onerror="alert(2)"> [press](javascript:alert(3)) [data](data:text/html,x)'
)
# Boxes with changed lines that are not filled yet.
UNFILLED_BOXES = "details.change[open]:not(:has(> :nth-child(2))), details.change[open] > p.muted:text-is('…')"
STORED = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href])"


@pytest.fixture(scope="module")
def model(hub):
    """page/model: weights in pickle, two commits, a conversion, a pull request that changes code, a discussion."""
    tensors = tied_model()
    code = b"a = 1\nb = 2\nc = 3\n"
    files = {"README.md": README, "code.py": code, "deep/er/notes.txt": b"notes\n"}
    hub.make("page/model", files_of(tensors) | files)
    hub.commit("page/model", {"config.json": b'{"n": 2}'}, title="Correct it", description="For a reason.")
    hub.pull_request("page/model", {"model.safetensors": safe(tensors)}, title="Add safetensors",
                     description="## What\n\nOnly **weights**.")
    hub.pull_request("page/model", {"code.py": code.replace(b"2", b"9")}, title="Change code")
    hub.api("other").create_discussion("page/model", title="How was it trained?", description="I wonder.")
    hub.api().create_repo("page/rows", repo_type="dataset", exist_ok=True)
    return "page/model"


@pytest.fixture(scope="module")
def hostile(hub):
    files = {HOSTILE_FILE: b"<script>alert(4)</script>\n", "n" * 200 + ".bin": b"\x80\x02}.", "README.md": README}
    hub.make("page/hostile", files)
    hub.commit("page/hostile", {"a.txt": b"1"}, title=HOSTILE_TITLE, description="<b>not bold</b>")
    hub.pull_request("page/hostile", {"b.txt": b"1"}, title=HOSTILE_TITLE,
                     description="<img src=x onerror=alert(5)> [x](javascript:alert(6))")
    return "page/hostile"


@pytest.fixture(scope="module")
def private(hub):
    hub.make("page/secret", {"secret.txt": b"the secret\n", "README.md": b"# Hidden\n"}, private=True)
    return "page/secret"


def go(visitor, path):
    visitor.page.goto(path)
    expect(visitor.page.locator("h1")).to_be_visible()
    expect(visitor.page.locator(UNFILLED_BOXES)).to_have_count(0)
    return visitor.page


def sign_in(visitor, token):
    """Types the token into the form of the page, or into that of the footer if the page has none."""
    page = visitor.page
    field = page.locator("main").get_by_label(re.compile("access token", re.I))
    if field.count() == 0:
        page.get_by_text("Sign in with a token").click()
        field = page.get_by_label("Access token")
    field.first.fill(token)
    field.first.press("Enter")


def paths_of(sha):
    return [
        "", "/tree/main", "/tree/main/deep/er", "/blob/main/code.py", "/blob/main/pytorch_model.bin",
        "/blob/refs/pr/1/model.safetensors", "/commits/main", "/commits/refs%2Fpr%2F1", f"/commit/{sha}",
        "/discussions", "/discussions?status=open", "/discussions/1", "/discussions/2", "/discussions/3",
    ]


def test_the_overview_shows_the_format_of_the_weights(visitor, model):
    page = go(visitor, f"/{model}")
    expect(page.locator("h2.summary")).to_have_text("The weights are in pickle format.")
    expect(page.get_by_role("table", name="Weights")).to_contain_text("pytorch_model.bin")
    for task, url in (("Convert", "/?address=page%2Fmodel"), ("Inspect", "/inspect?address=page%2Fmodel")):
        expect(page.get_by_role("link", name=task, exact=True).last).to_have_attribute("href", url)
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("transformers")
    expect(facts).to_contain_text("mit")


def test_a_readme_is_rendered_without_scripts_and_images(visitor, model):
    prose = go(visitor, f"/{model}").locator(".prose")
    expect(prose.locator("strong")).to_have_text("Bold")
    expect(prose.locator("pre")).to_have_text("torch.load()")
    expect(prose.get_by_role("cell", name="2")).to_be_visible()
    expect(prose.get_by_role("link", name="file")).to_have_attribute("href", "/page/model/blob/main/config.json")
    expect(prose).to_contain_text("outsider (outside.example)")
    expect(prose).to_contain_text(UNSAFE_MARKDOWN)
    assert prose.locator("script, img, [onerror], a[href^=javascript], a[href^=data]").count() == 0
    assert "license: mit" not in prose.inner_text()


def test_the_urls_that_huggingface_hub_returns_are_pages(visitor, hub, model):
    done = hub.commit(model, {"printed.txt": b"1"}, user="other", title="Printed", create_pr=True)
    repo_url = f"/{hub.api().repo_info(model).id}"
    for url, heading in ((done.commit_url, "Printed"), (done.pr_url, "Printed"), (repo_url, "model")):
        expect(go(visitor, url).locator("h1")).to_contain_text(heading)
    hub.api("other").change_discussion_status(model, int(done.pr_num), "closed")


def test_links_lead_to_folders_files_and_commits(visitor, model):
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
    expect(page.locator(".diff .added")).to_contain_text('{"n": 2}')
    expect(page.locator(".diff .removed")).to_contain_text("{}")


def test_the_revision_menu_changes_the_revision(visitor, model):
    page = go(visitor, f"/{model}/tree/main")
    page.locator(".revisions summary").click()
    page.locator(".revisions").get_by_role("link", name="refs/pr/1").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("model.safetensors")
    assert page.url.endswith("/tree/refs/pr/1")


def test_a_pull_request_shows_what_it_changes(visitor, model):
    page = go(visitor, f"/{model}/discussions/1")
    expect(page.locator("main")).to_contain_text("Adds 1 safetensors file and changes nothing else.")
    check = page.get_by_role("link", name="Check pull request")
    expect(check).to_have_attribute("href", "/check?address=page%2Fmodel&number=1")
    expect(page.locator(".timeline strong", has_text="weights")).to_be_visible()
    page = go(visitor, f"/{model}/discussions/2")
    expect(page.locator("main")).to_contain_text("1 of them may execute code when opened")
    expect(page.locator(".diff .removed")).to_contain_text("b = 2")
    expect(page.locator(".diff .added")).to_contain_text("b = 9")


def test_a_dataset_and_an_owner_have_pages(visitor, model):
    expect(go(visitor, "/datasets/page/rows").locator(".breadcrumbs")).to_contain_text("dataset")
    page = go(visitor, "/page")
    expect(page.get_by_role("table", name="Models")).to_contain_text("model")
    page.get_by_role("link", name="rows").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rows")


def test_hostile_names_are_text(visitor, hub, hostile):
    sha = hub.api().list_repo_commits(hostile)[0].commit_id
    encoded = urllib.request.quote(HOSTILE_FILE)
    for path, text in (
        ("/tree/main", '<img src=x onerror="alert(1)">\\u{202e}.txt'),
        (f"/blob/main/{encoded}", "<script>alert(4)</script>"),
        ("/commits/main", '<script>alert("title")</script> \\u{202e}gnp.exe'),
        (f"/commit/{sha}", "<b>not bold</b>"),
        ("/discussions", "\\u{202e}gnp.exe"),
        ("/discussions/1", "<img src=x onerror=alert(5)> x (javascript:alert(6))"),
        ("", "<script>alert(1)</script>"),
    ):
        page = go(visitor, f"/{hostile}{path}")
        expect(page.locator("main")).to_contain_text(text)
        assert page.locator("main script, main img, main [onerror], main a[href^=javascript]").count() == 0
        assert "\u202e" not in page.title() + page.locator("main").inner_text()


def test_long_names_fit_a_narrow_window(visit, hostile):
    visitor = visit(width=360)
    for path in ("", "/tree/main", "/blob/main/" + "n" * 200 + ".bin", "/commits/main", "/discussions/1"):
        page = go(visitor, f"/{hostile}{path}")
        assert page.evaluate(SCROLL_WIDTH) <= 360, path


def test_a_large_folder_shows_1000_files_at_a_time(visitor, hub):
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


def test_a_private_repository_needs_a_token_that_is_kept_only_in_memory(visitor, hub, private):
    visitor.allow("status of 404", "status of 401")
    page = go(visitor, f"/{private}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Repository page/secret not found")
    sign_in(visitor, "hf_wrong")
    expect(page.get_by_role("alert").first).to_contain_text("The token is not valid.")
    token = hub.server.token("me")
    sign_in(visitor, token)
    expect(page.locator(".prose")).to_contain_text("Hidden")
    page.get_by_role("link", name="secret.txt").click()
    expect(page.locator(".listing .text")).to_have_text("the secret\n")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes() == b"the secret\n"
    assert token not in page.evaluate(STORED) and token not in page.content()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Repository page/secret not found")


def test_sign_out_forgets_the_token(visitor, hub, private):
    visitor.allow("status of 404")
    page = go(visitor, f"/{private}")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Repository page/secret not found")


def test_a_merge_needs_the_name_of_the_repository(visitor, hub):
    hub.make("page/merged", {"a.txt": b"1"})
    hub.pull_request("page/merged", {"b.txt": b"2"}, title="Add b")
    page = go(visitor, "/page/merged/discussions/1")
    assert page.get_by_role("button", name="Merge").count() == 0
    sign_in(visitor, hub.server.token("me"))
    name = page.get_by_label("To merge the pull request, type page/merged")
    name.fill("page/other")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("form.merge .problem")).to_contain_text("The name does not match.")
    assert hub.open_requests("page/merged") == [1]
    name.fill("page/merged")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("p.lead")).to_contain_text("Merged into main.")
    assert hub.api().file_exists("page/merged", "b.txt")
    page.get_by_role("link", name="Show merge commit").click()
    expect(page.get_by_role("table", name="Changed files")).to_contain_text("b.txt")


def test_commits_that_the_page_does_not_show_are_not_merged(visitor, hub):
    hub.make("page/moved", {"a.txt": b"1"})
    hub.pull_request("page/moved", {"b.txt": b"2"})
    page = go(visitor, "/page/moved/discussions/1")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_label("To merge the pull request, type page/moved").fill("page/moved")
    hub.commit("page/moved", {"evil.py": b"3"}, user="other", revision="refs/pr/1")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("form.merge .problem")).to_contain_text("The pull request has new commits.")
    assert hub.open_requests("page/moved") == [1]


def test_a_merge_without_write_access_fails(visitor, hub):
    visitor.allow("status of 403")
    hub.make("me/guarded", {"a.txt": b"1"})
    hub.pull_request("me/guarded", {"b.txt": b"2"})
    page = go(visitor, "/me/guarded/discussions/1")
    sign_in(visitor, hub.server.token("other"))
    page.get_by_label("To merge the pull request, type me/guarded").fill("me/guarded")
    page.get_by_role("button", name="Merge").click()
    hint = "Sign in with a token that may write to this repository."
    expect(page.locator("form.merge .problem")).to_contain_text(hint)
    assert hub.open_requests("me/guarded") == [1]


def test_with_a_read_only_token_there_is_no_merge_form(visitor, hub, model):
    page = go(visitor, f"/{model}/discussions/2")
    sign_in(visitor, hub.server.token("reader", "--read-only"))
    expect(page.locator("footer")).to_contain_text("Signed in as reader with a read-only token.")
    assert page.get_by_role("button", name="Merge").count() == 0


def test_a_discussion_is_commented_closed_and_reopened(visitor, hub):
    hub.make("page/talk", {"a.txt": b"1"})
    hub.api().create_discussion("page/talk", title="Words", description="First.")
    page = go(visitor, "/page/talk/discussions/1")
    sign_in(visitor, hub.server.token("me"))
    page.get_by_label("Comment").fill("Second <b>word</b>.")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".timeline .comment").nth(1)).to_contain_text("Second <b>word</b>.")
    page.get_by_role("button", name="Close discussion").click()
    expect(page.locator("p.lead")).to_contain_text("Discussion, closed.")
    page.get_by_role("button", name="Reopen discussion").click()
    expect(page.locator("p.lead")).to_contain_text("Discussion, open.")


@pytest.mark.parametrize("path, heading, next_link", [
    ("/page/none", "Repository page/none not found", "page"),
    ("/page/model/tree/none", "Revision none of page/model not found", "commits on main"),
    ("/page/model/blob/main/none.txt", "none.txt not found in page/model", "all files"),
    ("/page/model/tree/main/none", "none not found in page/model", "all files"),
    ("/page/model/discussions/999", "Discussion 999 of page/model not found", "all discussions"),
    ("/nobody", "nobody has no repositories", "the start page"),
    ("/page/model/unknown/thing", "Page not found", "page/model"),
    ("/a/b/c/d", "Page not found", "a/b"),
    ("/page/model/discussions/x", "Discussion x of page/model not found", "all discussions"),
])
def test_the_error_page_has_a_link_to_continue(visitor, model, path, heading, next_link):
    visitor.allow("status of 404")
    page = go(visitor, path)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("main").get_by_role("link", name=next_link, exact=True).last).to_be_visible()


def test_axe_finds_no_serious_violation_on_any_page(visit, hub, model):
    visitor = visit(width=360)
    sha = hub.api().list_repo_commits(model)[0].commit_id
    for path in [*(f"/{model}{path}" for path in paths_of(sha)), "/page", "/datasets/page/rows"]:
        go(visitor, path)
        assert visitor.axe_violations([360, 1200]) == [], path


def test_navigation_by_keyboard_moves_the_focus_to_the_content(visitor, model):
    page = go(visitor, f"/{model}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_role("link", name="Commits").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Commits")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("#announcements")).to_have_text("Commits · page/model")


def get(hub, path, accept):
    request = urllib.request.Request(hub.url + path, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_only_browsers_get_a_page(hub, model):
    for path in (f"/{model}", f"/{model}/tree/main", f"/{model}/discussions/1", "/page"):
        status, headers = get(hub, path, "text/html,*/*")
        assert status == 200 and headers["Content-Type"].startswith("text/html")
        assert "script-src 'self'" in headers["Content-Security-Policy"] and headers["Vary"] == "Accept"
        status, headers = get(hub, path, "*/*")
        assert status == 404 and headers["Content-Type"].startswith("application/json")
    assert get(hub, "/a/b/c/d", "text/html")[0] == 404
    for path, content_type in (
        (f"/{model}/resolve/main/config.json", "text/plain"),
        (f"/{model}/raw/main/config.json", "text/plain"),
        (f"/{model}.git/info/refs?service=git-upload-pack", "application/x-git"),
        (f"/{model}/info/refs?service=git-upload-pack", "application/x-git"),
        (f"/api/models/{model}", "application/json"),
        (f"/api/models/{model}/none", "application/json"),
    ):
        assert get(hub, path, "text/html,*/*")[1]["Content-Type"].startswith(content_type), path
