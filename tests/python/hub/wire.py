"""Sends raw HTTP requests to the Hub, also invalid ones that no real client sends."""

import base64
import contextlib
import dataclasses
import http.client
import json
import pathlib
import socket
import urllib.parse


@dataclasses.dataclass
class Response:
    status: int
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def code(self):
        return self.fields["X-Error-Code"]

    @property
    def json(self):
        return json.loads(self.body)


def address(url):
    """Returns the host and port of a Hub."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def request(url, method, target, body=None, token=None, timeout=60, **fields):
    """Sends a request on a new connection. An iterable body is sent in chunks.

    If the server closes the connection while the body is sent, its response is still read. Asserts that an error is a
    JSON object and not a 5xx status.
    """
    connection = http.client.HTTPConnection(*address(url), timeout=timeout)
    try:
        try:
            connection.request(
                method, target, body, bearer(token) | {name.replace("_", "-"): value for name, value in fields.items()}
            )
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_response(connection.getresponse(), method)
    finally:
        connection.close()


def read_response(response, method="GET"):
    response = Response(response.status, response.headers, response.read())
    assert response.status < 500, response
    if response.status >= 400 and response.body and method != "HEAD":
        assert isinstance(response.json["error"], str), response
    return response


def head(method, target, *lines, host="hub"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


class Socket:
    """A connection that sends raw bytes."""

    def __init__(self, url, timeout=60):
        self.socket = socket.create_connection(address(url), timeout)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.stream.close()
        self.socket.close()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def read(self, method="GET"):
        """Reads the next response."""
        line = self.stream.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        fields = http.client.parse_headers(self.stream)
        return Response(
            int(line.split()[1]), fields, b"" if method == "HEAD" else self.stream.read(int(fields["Content-Length"]))
        )

    def ends(self):
        """Whether the Hub closes the connection without sending more."""
        return self.stream.read(1) == b""


def file_line(path, content=b"x", **more):
    return {
        "key": "file",
        "value": {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"} | more,
    }


def lfs_line(path, oid, size):
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": size}}


def commit_body(*lines, header=True, **more):
    first = [{"key": "header", "value": {"summary": "a commit"} | more}] if header else []
    return b"".join(json.dumps(line).encode() + b"\n" for line in [*first, *lines])


class Repo:
    """A new repository, and requests to it."""

    def __init__(self, server, name, owner="me", **options):
        self.server, self.url, self.name, self.owner = server, server.url, f"{owner}/{name}", owner
        created = self.api("POST", "/api/repos/create", json.dumps({"name": name} | options).encode())
        assert created.status == 200, created

    def api(self, method, target, body=None, user=None, **fields):
        return request(
            self.url,
            method,
            target.replace("{repo}", f"/api/models/{self.name}"),
            body,
            self.server.token(user or self.owner),
            **fields,
        )

    def post(self, body, revision="main", user=None, **fields):
        """Sends a commit."""
        return self.api("POST", "{repo}/commit/" + revision, body, user, **fields)

    def commit(self, *lines, revision="main", user=None, **more):
        return self.post(commit_body(*lines, **more), revision, user)

    def head(self, revision="main"):
        return self.api("GET", "{repo}/revision/" + revision).json["sha"]

    def files(self, revision="main"):
        return sorted(
            entry["path"]
            for entry in self.api("GET", f"{{repo}}/tree/{revision}?recursive=true").json
            if entry["type"] == "file"
        )

    def content(self, path, revision="main", user=None):
        return self.api("GET", f"/{self.name}/resolve/{revision}/{urllib.parse.quote(path)}", user=user)

    def upload(self, content, oid, user=None):
        """Uploads an LFS object with a batch request."""
        batch = self.api(
            "POST",
            f"/{self.name}.git/info/lfs/objects/batch",
            json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}).encode(),
            user,
        ).json
        href = batch["objects"][0]["actions"]["upload"]["href"]
        return request(self.url, "PUT", href.removeprefix(self.url), content)


def memory_bytes(process, field="VmRSS"):
    """Returns the resident memory of a process (VmRSS) or its peak (VmHWM)."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


@contextlib.contextmanager
def grows_by_less_than(process, max_bytes):
    """Asserts that the peak of memory in the block is less than `max_bytes` above its start."""
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # resets the peak
    before = memory_bytes(process)
    yield
    assert memory_bytes(process, "VmHWM") - before < max_bytes
