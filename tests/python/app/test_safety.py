"""Requests from other sites, hostile clients, private repositories."""

import json
import socket
import time
import types
import urllib.parse

import embedded_hub
from embedded import files_of, tied_model
from page_server import PageServer, hub_of, second_server
from program import ENVIRONMENT

JOB_REQUEST = {"kind": "plan", "address": "me/demo"}


def host(server):
    return urllib.parse.urlsplit(server.url).netloc


def test_pages_of_other_sites_cannot_post(server, visitor):
    assert visitor.post("/api/v1/jobs", JOB_REQUEST, Origin="http://evil.example").status == 403
    assert visitor.post("/api/v1/jobs", JOB_REQUEST, Origin="null").status == 403
    assert visitor.post("/api/v1/jobs", JOB_REQUEST, Sec_Fetch_Site="cross-site").status == 403
    assert visitor.post("/api/v1/jobs", JOB_REQUEST, Sec_Fetch_Site="same-site").status == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert (
            visitor.request("POST", "/api/v1/jobs", json.dumps(JOB_REQUEST).encode(), Content_Type=kind).status == 415
        )
    assert visitor.post("/api/v1/jobs", JOB_REQUEST, Origin=server.url, Sec_Fetch_Site="same-origin").status == 201
    assert visitor.post("/call/run", {"data": ["me/demo"]}, Origin="http://evil.example").status == 403


def test_unknown_host_names_are_refused(server, visitor):
    port = host(server).split(":")[1]
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", f"localhost.evil.example:{port}"):
        for path in ("/api/v1/about", "/", "/jobs", "/healthz", "/metrics", "/-/shared/dom.js", "/none/at/all"):
            assert visitor.get(path, Host=name).status == 421, (name, path)
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert visitor.get("/api/v1/about", Host=name).status == 200, name
    error = visitor.get("/api/v1/about", Host="evil.example").error
    assert error["code"] == "denied" and "--name HOST" in error["hint"]


def test_an_allowed_host_name_is_served(tmp_path):
    server = PageServer(tmp_path, "--name", "models.example")
    visitor = server.visitor()
    assert visitor.get("/api/v1/about", Host="models.example").status == 200
    assert visitor.get("/api/v1/about", Host="models.example:8443").status == 200
    assert visitor.get("/api/v1/about", Host="other.example").status == 421
    server.stop()


def test_a_cookie_of_another_server_is_not_a_visitor(server):
    visitor = server.visitor()
    visitor.post("/api/v1/jobs", JOB_REQUEST | {"address": "me/of-a-cookie"})
    assert visitor.get("/api/v1/jobs").json["jobs"]
    name, _, signature = visitor.cookie.rpartition(".")
    for forged in (name, f"{name}.{'0' * len(signature)}", f"depickle={'a' * 40}"):
        visitor.cookie = forged
        response = visitor.get("/api/v1/jobs")
        assert response.status == 200 and response.json["jobs"] == [] and response.fields["Set-Cookie"], forged


def addresses_that_see_a_job(visitor):
    """Starts a job without a cookie as 203.0.113.1. Returns the addresses that list it."""
    job = visitor.post(
        "/api/v1/jobs", {"kind": "plan", "address": "me/by-address"}, X_Forwarded_For="198.51.100.1, 203.0.113.1"
    ).json["id"]
    lists = {
        address: visitor.get("/api/v1/jobs", X_Forwarded_For=address).json["jobs"]
        for address in ("203.0.113.1", "203.0.113.2", "198.51.100.1")
    }
    return {address for address, jobs in lists.items() if job in [listed["id"] for listed in jobs]}


def test_only_a_trusted_proxy_names_the_address_of_the_client(server, tmp_path):
    assert addresses_that_see_a_job(server.visitor(cookie=False)) == {"203.0.113.1", "203.0.113.2", "198.51.100.1"}
    proxied = PageServer(tmp_path, "--trusted-proxy", "192.0.2.1", "--trusted-proxy", "127.0.0.1")
    assert addresses_that_see_a_job(proxied.visitor(cookie=False)) == {"203.0.113.1"}
    proxied.stop()
    refused = second_server(tmp_path / "other", "--trusted-proxy", "proxy.example")
    assert refused.returncode != 0 and "proxy.example is not an IP address" in refused.stderr


def test_a_personal_server_listens_only_on_this_machine(tmp_path):
    for host_name in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
        done = second_server(tmp_path / "data", "--personal", "--host", host_name)
        assert done.returncode != 0 and f"--personal cannot be combined with --host {host_name}" in done.stderr
    assert not (tmp_path / "data").exists()


def test_only_the_owner_reads_the_data_folder(tmp_path):
    data = tmp_path / "data"
    PageServer(data).stop()
    assert data.stat().st_mode & 0o777 == 0o700
    data.chmod(0o755)  # of an earlier version
    PageServer(data, "--hub", "http://127.0.0.1:9").stop()
    assert data.stat().st_mode & 0o777 == 0o700
    new = tmp_path / "new"
    embedded_hub.Server.token(types.SimpleNamespace(tokens={}, data=new, environment=ENVIRONMENT), "me")
    assert new.stat().st_mode & 0o777 == 0o700


def test_the_cookie_is_httponly_and_samesite(server):
    fields = server.visitor(cookie=False).get("/api/v1/about").fields
    assert "HttpOnly" in fields["Set-Cookie"] and "SameSite=Strict" in fields["Set-Cookie"]


def test_a_body_that_is_too_large_is_refused(visitor):
    response = visitor.post("/api/v1/jobs", {"kind": "plan", "address": "x" * 100_000})
    assert response.status == 413 and response.error["code"] == "limit"


def test_deeply_nested_json_is_refused(visitor):
    assert visitor.request("POST", "/api/v1/jobs", b"[" * 10_000, Content_Type="application/json").status == 400


def test_a_wrong_method_is_answered_with_the_allowed_ones(visitor):
    response = visitor.request("DELETE", "/api/v1/jobs")
    assert response.status == 405 and response.fields["Allow"] == "GET, POST" and response.error
    assert visitor.get("/api/v1/nothing").error["code"] == "not_found"


def test_slow_clients_do_not_block_others(server, visitor):
    address = urllib.parse.urlsplit(server.url)
    slow = []
    for _ in range(200):
        one = socket.create_connection((address.hostname, address.port))
        one.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: ")
        slow.append(one)
    begin = time.monotonic()
    assert visitor.get("/api/v1/about").status == 200 and time.monotonic() - begin < 2
    for one in slow:
        one.close()


def test_the_queue_has_a_maximum_length(tmp_path):
    server = PageServer(tmp_path, "--hub", "http://127.0.0.1:9")
    visitor = server.visitor()
    responses = [
        visitor.post("/api/v1/jobs", {"kind": "convert", "address": f"me/m{number}", "pull_request": False})
        for number in range(110)
    ]
    full = [response for response in responses if response.status == 429]
    assert full and all(response.status in (201, 429) for response in responses)
    assert full[0].fields["Retry-After"] and "cancel one" in full[0].error["hint"]
    assert (
        server.visitor().post("/api/v1/jobs", {"kind": "convert", "address": "me/m1", "pull_request": False}).status
        == 201
    ), "the limit applies to one visitor"
    server.process.kill()
    server.process.communicate()


def test_private_repositories_are_not_shown_through_the_servers_account(tmp_path):
    """The server's account is a member of every organization, but visitors must not read through it."""
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
    response = visitor.post("/api/v1/jobs", {"kind": "plan", "address": "me/demo@x\nforged: line"})
    assert response.status == 400, response.body
