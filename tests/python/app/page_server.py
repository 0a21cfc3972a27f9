"""Clients and a server for tests of the page's API."""

import http.client
import json
import subprocess
import urllib.parse

import embedded
import embedded_hub
import wire
from program import ENVIRONMENT, PROGRAM

TERMINAL = {"done", "failed", "cancelled"}


class Response(wire.Response):
    @property
    def error(self):
        return self.json["error"]


class Visitor:
    """A client that keeps its cookie, as a browser does."""

    def __init__(self, url, cookie=True):
        self.url, self.cookie = url, ""
        if cookie:
            self.cookie = self.get("/api/v1/about").fields["Set-Cookie"].split(";")[0]

    def request(self, method, path, body=None, timeout=60, **fields):
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            headers = {name.replace("_", "-"): value for name, value in fields.items()} | (
                {"Cookie": self.cookie} if self.cookie else {}
            )
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
                headers = {"Content-Type": "application/json"} | headers
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **fields):
        return self.request("GET", path, **fields)

    def post(self, path, body=None, **fields):
        return self.request("POST", path, {} if body is None else body, **fields)

    def start(self, kind, address, **more):
        response = self.post("/api/v1/jobs", {"kind": kind, "address": address} | more)
        assert response.status in (200, 201), response.body
        return response.json["id"]

    def stream(self, job, after=None):
        """Yields the events of a job as (id, event name, data) when they arrive, until the stream ends."""
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        headers = {"Cookie": self.cookie} | ({"Last-Event-ID": str(after)} if after is not None else {})
        try:
            connection.request("GET", f"/api/v1/jobs/{job}/events", headers=headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            fields = {}
            for line in response:
                name, separator, value = line.decode().rstrip("\n").partition(": ")
                if name and separator:
                    fields[name] = value
                elif not name and "event" in fields:
                    yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                    fields = {}
        finally:
            connection.close()

    def events(self, job, after=None):
        """Returns all events until the stream ends: [(id, event name, data)]."""
        return list(self.stream(job, after))

    def wait(self, job):
        """Returns the job in its last event."""
        _, name, data = self.events(job)[-1]
        assert name == "end" and data["state"] in TERMINAL
        return data

    def run(self, kind, address, **more):
        return self.wait(self.start(kind, address, **more))


class PageServer(embedded_hub.Server):
    """`depickle serve`; `err` is its stderr after the end."""

    def visitor(self, **more):
        return Visitor(self.url, **more)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        _, self.err = self.process.communicate(timeout=60)
        assert "Sanitizer" not in self.err and "runtime error" not in self.err, self.err
        return self.err

    def kill(self):
        self.process.kill()
        _, self.err = self.process.communicate(timeout=60)


def hub_of(server, home):
    server.token("me")
    server.token("other")
    return embedded.Hub(server, home)


def second_server(data, *options):
    """Runs a server that is expected to fail at once."""
    return subprocess.run(
        [str(PROGRAM), "serve", "--port", "0", "--data", str(data), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT,
    )
