"""What other people's pages, and clients of ill will, cannot do."""

import json
import socket
import threading
import time
import urllib.parse

import pytest

from embedded import files_of, tied_model
from page_server import PageServer, hub_of

WISH = {"kind": "plan", "address": "me/demo"}


def host(server):
    return urllib.parse.urlsplit(server.url).netloc


def test_another_sites_page_cannot_post(server, visitor):
    assert visitor.post("/api/v1/jobs", WISH, Origin="http://evil.example").status == 403
    assert visitor.post("/api/v1/jobs", WISH, Origin="null").status == 403
    assert visitor.post("/api/v1/jobs", WISH, Sec_Fetch_Site="cross-site").status == 403
    assert visitor.post("/api/v1/jobs", WISH, Sec_Fetch_Site="same-site").status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert visitor.ask("POST", "/api/v1/jobs", json.dumps(WISH).encode(), Content_Type=kind).status == 415
    assert visitor.post("/api/v1/jobs", WISH, Origin=server.url, Sec_Fetch_Site="same-origin").status == 201
    assert visitor.post("/call/run", {"data": ["me/demo"]}, Origin="http://evil.example").status == 403


def test_a_name_that_was_bound_to_us_is_not_served(server, visitor):
    port = host(server).split(":")[1]
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", f"localhost.evil.example:{port}"):
        for path in ("/api/v1/about", "/", "/jobs"):
            assert visitor.get(path, Host=name).status == 421, (name, path)
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert visitor.get("/api/v1/about", Host=name).status == 200, name
    assert visitor.get("/healthz", Host="evil.example").status == 200


def test_a_name_that_was_allowed_is_served(tmp_path):
    server = PageServer(tmp_path, "--name", "models.example")
    visitor = server.visitor()
    assert visitor.get("/api/v1/about", Host="models.example").status == 200
    assert visitor.get("/api/v1/about", Host="models.example:8443").status == 200
    assert visitor.get("/api/v1/about", Host="other.example").status == 421
    server.stop()


def test_the_cookie_is_for_the_server_alone(server):
    fields = server.visitor(cookie=False).get("/api/v1/about").fields
    assert "HttpOnly" in fields["Set-Cookie"] and "SameSite=Strict" in fields["Set-Cookie"]


def test_a_body_that_is_too_large_is_refused(visitor):
    answer = visitor.post("/api/v1/jobs", {"kind": "plan", "address": "x" * 100_000})
    assert answer.status == 413 and answer.error["code"] == "limit"


def test_json_that_nests_deep_is_refused(visitor):
    assert visitor.ask("POST", "/api/v1/jobs", b"[" * 10_000, Content_Type="application/json").status == 400


def test_a_wrong_method_says_which_is_right(visitor):
    answer = visitor.ask("DELETE", "/api/v1/jobs")
    assert answer.status == 405 and answer.fields["Allow"] == "GET, POST" and answer.error
    assert visitor.get("/api/v1/nothing").error["code"] == "not_found"


def test_a_client_that_dribbles_holds_up_nobody(server, visitor):
    address = urllib.parse.urlsplit(server.url)
    slow = []
    for _ in range(200):
        one = socket.create_connection((address.hostname, address.port))
        one.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: ")
        slow.append(one)
    began = time.monotonic()
    assert visitor.get("/api/v1/about").status == 200 and time.monotonic() - began < 2
    for one in slow:
        one.close()


def test_a_queue_has_an_end(tmp_path):
    server = PageServer(tmp_path, "--hub", "http://127.0.0.1:9")
    visitor = server.visitor()
    answers = [
        visitor.post("/api/v1/jobs", {"kind": "convert", "address": f"me/m{number}", "pull_request": False})
        for number in range(110)
    ]
    full = [answer for answer in answers if answer.status == 429]
    assert full and all(answer.status in (201, 429) for answer in answers)
    assert full[0].fields["Retry-After"] and "cancel one" in full[0].error["hint"]
    assert (
        server.visitor().post("/api/v1/jobs", {"kind": "convert", "address": "me/m1", "pull_request": False}).status
        == 201
    ), "others may"
    server.process.kill()
    server.process.communicate()


def test_without_a_right_of_its_own_the_account_shows_nothing_private(tmp_path):
    """The account is a member of every organisation: what it could read is not for everybody who asks."""
    server = PageServer(tmp_path / "data")
    hub = hub_of(server, tmp_path / "home")
    hub.make("team/secret", files_of(tied_model()), private=True)
    hub.make("team/gated", files_of(tied_model()))
    hub.api().update_repo_settings("team/gated", gated="manual")
    visitor = server.visitor()
    for kind in ("plan", "convert", "inspect"):
        assert visitor.run(kind, "team/secret")["state"] == "failed", kind
        assert visitor.run(kind, "team/gated")["state"] == "failed", kind
    assert visitor.run("convert", "team/secret", pull_request=False)["state"] == "failed"
    assert not hub.open_requests("team/secret") and not hub.open_requests("team/gated")
    server.stop()


def test_a_personal_server_uses_its_account(tmp_path):
    server = PageServer(tmp_path / "data", "--personal")
    hub = hub_of(server, tmp_path / "home")
    hub.make("team/secret", files_of(tied_model()), private=True)
    visitor = server.visitor()
    job = visitor.run("convert", "team/secret")
    assert job["answer"] == "yes" and job["result"]["mergeable"], job
    assert visitor.post(f"/api/v1/jobs/{job['id']}/merge", {"confirm": "team/secret"}).status == 200
    server.stop()


def test_a_log_line_cannot_be_forged(server, visitor):
    answer = visitor.post("/api/v1/jobs", {"kind": "plan", "address": "me/demo@x\nforged: line"})
    assert answer.status == 400, answer.body
