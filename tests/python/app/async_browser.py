"""An asyncio client of the page's API, so that one thread can run many. Implements the required part of HTTP/1.1."""

import asyncio
import json
import time


class Disconnected(Exception):
    """The server closed the connection."""


async def _head(reader):
    line = await reader.readline()
    if not line:
        raise Disconnected
    status, headers = int(line.split()[1]), {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return status, headers


async def _chunks(reader):
    while size := int((await reader.readline() or b"0").split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


class Browser:
    """A visitor with its own cookie. Its requests use one connection, one after the other."""

    def __init__(self, port):
        self.port, self.cookie, self.connection = port, None, None

    def _request(self, method, path, body=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        if self.cookie:
            lines.append(f"Cookie: {self.cookie}")
        content = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content

    async def request(self, method, path, body=None):
        """Returns (status, body); a JSON body is parsed."""
        try:
            if self.connection is None:
                self.connection = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.connection
            writer.write(self._request(method, path, body))
            status, headers = await _head(reader)
            if headers.get("transfer-encoding") == "chunked":
                content = b"".join([piece async for piece in _chunks(reader)])
            else:
                content = await reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, EOFError):
            raise Disconnected from None
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, json.loads(content) if "json" in headers.get("content-type", "") else content

    async def watch(self, job, opened=lambda: None):
        """Yields each event of a job as (name, data, time), until its end. Calls opened() when the stream starts."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        except OSError:
            raise Disconnected from None
        try:
            writer.write(self._request("GET", f"/api/v1/jobs/{job}/events"))
            status, headers = await _head(reader)
            assert status == 200 and headers["content-type"].startswith("text/event-stream"), (status, headers)
            opened()
            text = b""
            async for piece in _chunks(reader):
                text += piece
                *complete, text = text.split(b"\n\n")
                for event in complete:
                    fields = dict(
                        line.split(": ", 1)
                        for line in event.decode().splitlines()
                        if line and line[0] != ":" and ": " in line
                    )
                    if "data" in fields:
                        yield fields["event"], json.loads(fields["data"]), time.monotonic()
        except (OSError, EOFError):
            raise Disconnected from None
        finally:
            writer.close()

    def close(self):
        if self.connection:
            self.connection[1].close()
        self.connection = None
