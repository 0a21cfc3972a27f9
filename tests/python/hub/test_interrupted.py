"""kill -9 during an upload: the next run uploads the missing files and opens one pull request."""

import time

import pytest
import torch

from embedded import pickled

pytestmark = pytest.mark.hostile


def objects(hub):
    return [path for path in (hub.server.data / "lfs").rglob("*") if path.is_file() and len(path.name) == 64]


def wait_until_stable(read):
    """Returns the value of read() after it grew by less than 100,000 in half a second.

    The server still receives data of the killed client, and counts the metric requests too.
    """
    value, since = read(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        if (now := read()) - value > 100_000:
            value, since = now, time.monotonic()
    return value


def test_an_upload_continues_after_kill_9(hub):
    pipeline = (
        b'{"_class_name": "Pipeline", "unet": ["diffusers", "UNet2DModel"], "vae": ["diffusers", "AutoencoderKL"]}'
    )
    parts = {
        f"{name}/diffusion_pytorch_model.bin": pickled({f"{name}.w": torch.rand(2000, 1500)})
        for name in ("unet", "vae")
    }
    others = len(objects(hub))
    hub.make("me/p", {"model_index.json": pipeline, **parts})
    before = len(objects(hub))
    assert before - others == 2  # the pickles

    running = hub.start("convert", "me/p", "--pr")
    until = time.monotonic() + 60
    while len(objects(hub)) == before and time.monotonic() < until and running.poll() is None:
        time.sleep(0.002)
    running.kill()
    running.communicate()
    assert len(objects(hub)) > before, "the run was killed before its first upload"

    received = wait_until_stable(lambda: hub.metric("depickle_http_received_bytes_total"))
    first_run_opened = hub.open_requests("me/p")  # the server may have answered after the kill
    missing = before + 2 - len(objects(hub))
    done = hub.run("convert", "me/p", "--pr", "--json")
    assert done.code == (3 if first_run_opened else 0), done.err
    received = hub.metric("depickle_http_received_bytes_total") - received
    assert received < missing * 12_000_000 + 3_000_000, "a file was uploaded again"
    assert len(hub.open_requests("me/p")) == 1
    assert hub.run("check", "me/p", 1).code == 0
    assert not list((hub.home / "hub").rglob("*.depickle-tmp"))
