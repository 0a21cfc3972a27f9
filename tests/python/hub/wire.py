"""The Hub's protocol byte by byte, for what no client of good will sends."""

import base64
import contextlib
import dataclasses
import http.client
import json
import pathlib
import socket
import urllib.parse


@dataclasses.dataclass
class Answer:
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
    """The host and port of a Hub."""
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def ask(url, method, target, body=None, token=None, timeout=60, **fields):
    """One request over a connection of its own. A body may be bytes, or an iterable that is sent piece by piece in chunks; what cannot be
    sent to the end still has its answer. An error must be a JSON object, and no error is the Hub's own."""
    connection = http.client.HTTPConnection(*address(url), timeout=timeout)
    try:
        try:
            connection.request(
                method, target, body, bearer(token) | {name.replace("_", "-"): value for name, value in fields.items()}
            )
        except (BrokenPipeError, ConnectionResetError):
            pass
        return whole(connection.getresponse(), method)
    finally:
        connection.close()


def whole(response, method="GET"):
    answer = Answer(response.status, response.headers, response.read())
    assert answer.status < 500, answer
    if answer.status >= 400 and answer.body and method != "HEAD":
        assert isinstance(answer.json["error"], str), answer
    return answer


def head(method, target, *lines, host="hub"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


class Socket:
    """A connection that sends what it is told to."""

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
        """The next answer."""
        line = self.stream.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        fields = http.client.parse_headers(self.stream)
        return Answer(
            int(line.split()[1]), fields, b"" if method == "HEAD" else self.stream.read(int(fields["Content-Length"]))
        )

    def ends(self):
        """Whether the Hub closes the connection, with nothing more to say."""
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
    """A new repository, and what users do to it over the wire."""

    def __init__(self, server, name, owner="me", **options):
        self.server, self.url, self.name, self.owner = server, server.url, f"{owner}/{name}", owner
        made = self.api("POST", "/api/repos/create", json.dumps({"name": name} | options).encode())
        assert made.status == 200, made

    def api(self, method, target, body=None, user=None, **fields):
        return ask(
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
        """An LFS object, through the batch and its address."""
        batch = self.api(
            "POST",
            f"/{self.name}.git/info/lfs/objects/batch",
            json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": len(content)}]}).encode(),
            user,
        ).json
        href = batch["objects"][0]["actions"]["upload"]["href"]
        return ask(self.url, "PUT", href.removeprefix(self.url), content)


def memory_bytes(process, field="VmRSS"):
    """Of a process: what is resident (VmRSS), or the most that was (VmHWM)."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


@contextlib.contextmanager
def grows_by_less_than(process, most_bytes):
    """At no time within the block."""
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # from here on the peak is counted anew
    before = memory_bytes(process)
    yield
    assert memory_bytes(process, "VmHWM") - before < most_bytes
