"""A pull request that changes between its verification and its merge. The server's Hub is behind a proxy that commits
to the pull request at the worst moment."""

import http.client
import http.server
import threading
import urllib.parse

import pytest

import embedded_hub
from embedded import Hub, files_of, tied_model
from page_server import PageServer

SKIPPED_FIELDS = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy(http.server.ThreadingHTTPServer):
    """Forwards requests to a Hub, and calls hooks: before(path), after(path, status)."""

    daemon_threads = True

    def __init__(self, url):
        super().__init__(("127.0.0.1", 0), Forwarder)
        self.target, self.before, self.after = urllib.parse.urlsplit(url), lambda path: None, lambda path, status: None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Forwarder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        self.server.before(self.path)
        body = self.read_body()
        connection = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port, timeout=60)
        fields = {name: value for name, value in self.headers.items() if name.lower() not in SKIPPED_FIELDS | {"host"}}
        connection.request(self.command, self.path, body, fields)
        response = connection.getresponse()
        content = response.read()
        self.server.after(self.path, response.status)
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in SKIPPED_FIELDS:
                self.send_header(name, value)
        self.send_header("Content-Length", response.getheader("Content-Length") or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        connection.close()

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = forward

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    server = embedded_hub.Server(tmp_path / "hub", "--no-page")
    yield Hub(server, tmp_path / "home")
    server.stop()


@pytest.fixture
def proxy(hub):
    proxy = Proxy(hub.url)
    yield proxy
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def converted(hub, proxy, tmp_path):
    """Returns a function that converts me/demo through the proxy, and then merges the pull request."""
    hub.make("me/demo", files_of(tied_model()))
    server = PageServer(tmp_path / "page", "--hub", proxy.url)
    visitor = server.visitor()

    def run():
        job = visitor.run("convert", "me/demo", token=hub.server.token("me"))
        assert job["state"] == "done" and job["result"]["pull_request"] == 1, job
        return lambda: visitor.post(
            f"/api/v1/jobs/{job['id']}/merge", {"confirm": "me/demo", "token": hub.server.token("me")}
        )

    yield run
    server.stop()


def spoil(hub):
    """Adds a commit to the pull request that nobody has verified."""
    hub.commit("me/demo", {"evil.py": b"import os"}, revision="refs/pr/1")


def is_merged(hub):
    return not {"evil.py", "model.safetensors"}.isdisjoint(hub.api().list_repo_files("me/demo"))


def test_a_verified_pull_request_is_merged(hub, converted):
    assert converted()().status == 200 and is_merged(hub)


def test_a_commit_after_the_opening_is_not_verified(hub, proxy, converted):
    proxy.after = lambda path, status: spoil(hub) if "/commit/" in path and status == 200 else None
    merge = converted()
    response = merge()
    assert response.status == 409 and "has changed" in response.error["message"], response.body
    assert not is_merged(hub)


def test_a_commit_during_the_merge_is_not_merged(hub, proxy, converted):
    merge = converted()
    proxy.before = lambda path: spoil(hub) if path.endswith("/merge") else None
    response = merge()
    assert response.status == 409 and "has changed" in response.error["message"], response.body
    assert not is_merged(hub)
