"""Timeouts of the program and the server that no option shortens. C++ tests with short timeouts cover the same code."""

import threading
import time

import pytest

from wire import Socket

pytestmark = pytest.mark.large


@pytest.fixture(scope="module", autouse=True)
def slow_head(server):
    """Sends one byte of a head per second while the tests of this module run. Yields (thread, begin and end)."""
    times = {}

    def send_slowly():
        with Socket(server.url) as slow:
            times["begin"] = time.monotonic()
            slow.socket.settimeout(1)
            for byte in b"GET /healthz HTTP/1.1\r\nHost: hub\r\nX: " + b"y" * 100:
                try:
                    slow.send(bytes([byte]))
                    if slow.socket.recv(1) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            times["end"] = time.monotonic()

    thread = threading.Thread(target=send_slowly)
    thread.start()
    yield thread, times
    thread.join()


def test_a_refused_connection_is_retried_for_20_seconds(hub):
    begin = time.monotonic()
    done = hub.run("check", "me/m", 7, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.code == 75 and "127.0.0.1:9" in done.err, done.err
    assert time.monotonic() - begin > 20, "5 retries wait 1, 2, 4, 8 and 8 s"


def test_a_slow_head_is_cut_off_after_20_seconds(slow_head):
    thread, times = slow_head
    thread.join(timeout=40)
    assert not thread.is_alive() and 15 < times["end"] - times["begin"] < 30, "the limit is 20 s after the first byte"
