"""Requests that a page of another site makes a browser send to the Hub: DNS rebinding and cross-site forms."""

import base64

import pytest

from embedded_hub import Server
from wire import Repo, commit_body, file_line, request

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module", params=["with the page", "--no-page"])
def attacked(request, tmp_path_factory):
    """A repository of a server with and without the page."""
    options = [request.param] if request.param.startswith("--") else []
    server = Server(tmp_path_factory.mktemp("foreign") / "hub", *options)
    repo = Repo(server, "demo")
    assert repo.commit(file_line("config.json", b"{}")).status == 200
    yield repo
    server.stop()


TARGETS = (
    "/api/models",
    "/api/whoami-v2",
    "/api/models/me/demo",
    "/api/models/me/demo/tree/main",
    "/api/models/me/demo/discussions",
    "/me/demo/resolve/main/config.json",
    "/me/demo/raw/main/config.json",
    "/me/demo.git/info/refs?service=git-upload-pack",
    "/me/demo/info/refs?service=git-upload-pack",
    "/lfs/" + "0" * 64,
    "/cas/x/v1/chunks/default/" + "0" * 64,
    "/healthz",
    "/metrics",
    "/no/such/path/at/all",
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_rebound_name_reads_nothing(attacked, target):
    port = attacked.url.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", f"hub.evil.example:{port}"):
        response = request(attacked.url, "GET", target, token=attacked.server.token("me"), Host=host)
        assert response.status == 421 and "is not allowed" in response.json["error"], (host, response)


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
]


@pytest.mark.parametrize("fields", FOREIGN)
def test_a_foreign_form_with_the_remembered_login_changes_nothing(attacked, fields):
    login = base64.b64encode(f"me:{attacked.server.token('me')}".encode()).decode()
    before = attacked.head()
    changes = [
        ("POST", "/api/models/me/demo/commit/main", commit_body(file_line("evil.txt"))),
        ("PUT", "/api/models/me/demo/settings", b'{"private": false}'),
        ("POST", "/api/models/me/demo/discussions", b'{"title": "x", "description": "x"}'),
        ("POST", "/api/models/me/demo/branch/evil", b"{}"),
        ("POST", "/api/repos/create", b'{"name": "evil"}'),
        ("DELETE", "/api/repos/delete", b'{"name": "demo"}'),
        ("POST", "/me/demo.git/info/lfs/objects/batch", b'{"operation": "upload", "objects": []}'),
    ]
    for method, target, body in changes:
        response = request(
            attacked.url, method, target, body, Authorization=f"Basic {login}", Content_Type="text/plain", **fields
        )
        assert response.status == 403 and "another site" in response.json["error"], (target, response)
    assert attacked.head() == before
    assert [model["id"] for model in request(attacked.url, "GET", "/api/models").json] == ["me/demo"]


def test_a_foreign_page_includes_no_file_as_a_script(attacked):
    target = "/me/demo/resolve/main/config.json"
    fields = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "script"}
    assert request(attacked.url, "GET", target, **fields).status == 403
    fields = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert request(attacked.url, "GET", target, **fields).status == 200, "a link of another site"


def test_the_own_page_and_programs_change_repositories(attacked):
    own = {"Origin": attacked.url, "Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}
    assert attacked.post(commit_body(file_line("own.txt")), **own).status == 200
    assert attacked.post(commit_body(file_line("program.txt"))).status == 200
    assert attacked.files() == [".gitattributes", "config.json", "own.txt", "program.txt"]
