"""The page's API as a program sees it."""

import http.client
import json
import subprocess
import urllib.parse

import embedded
import embedded_hub
import wire
from program import ENVIRONMENT, PROGRAM

TERMINAL = {"done", "failed", "cancelled"}


class Answer(wire.Answer):
    @property
    def error(self):
        return self.json["error"]


class Visitor:
    """One browser: it keeps its cookie."""

    def __init__(self, url, cookie=True):
        self.url, self.cookie = url, ""
        if cookie:
            self.cookie = self.get("/api/v1/about").fields["Set-Cookie"].split(";")[0]

    def ask(self, method, path, body=None, timeout=60, **fields):
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            sent = {name.replace("_", "-"): value for name, value in fields.items()} | (
                {"Cookie": self.cookie} if self.cookie else {}
            )
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
                sent = {"Content-Type": "application/json"} | sent
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **fields):
        return self.ask("GET", path, **fields)

    def post(self, path, body=None, **fields):
        return self.ask("POST", path, {} if body is None else body, **fields)

    def begin(self, kind, address, **more):
        answer = self.post("/api/v1/jobs", {"kind": kind, "address": address} | more)
        assert answer.status in (200, 201), answer.body
        return answer.json["id"]

    def events(self, job, after=None):
        """All events until the stream ends: [(id, sort, data)]."""
        text = self.get(
            f"/api/v1/jobs/{job}/events", **({"Last_Event_ID": str(after)} if after is not None else {})
        ).body.decode()
        events = []
        for block in text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in lines:
                events.append((int(lines["id"]), lines["event"], json.loads(lines["data"])))
        return events

    def wait(self, job):
        """The job as its last event tells it."""
        _, sort, data = self.events(job)[-1]
        assert sort == "end" and data["state"] in TERMINAL
        return data

    def run(self, kind, address, **more):
        return self.wait(self.begin(kind, address, **more))


class PageServer(embedded_hub.Server):
    """`depickle serve`, with what it said kept for the test."""

    def visitor(self, **more):
        return Visitor(self.url, **more)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        _, self.said = self.process.communicate(timeout=60)
        assert "Sanitizer" not in self.said and "runtime error" not in self.said, self.said
        return self.said

    def kill(self):
        self.process.kill()
        _, self.said = self.process.communicate(timeout=60)


def hub_of(server, home):
    server.token("me")
    server.token("other")
    return embedded.Hub(server, home)


def second_server(data, *options):
    """A server that is expected to give up at once."""
    return subprocess.run(
        [str(PROGRAM), "serve", "--port", "0", "--data", str(data), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )
