"""kill -9 in the middle of an upload: the next run sends what is missing and opens the one pull request."""

import time

import torch

from embedded import hub, pickled  # noqa: F401


def objects(hub):
    return [path for path in (hub.server.data / "lfs").rglob("*") if path.is_file() and len(path.name) == 64]


def settled(read):
    """What `read` returns once it has stood still for a second, but for the asking: the server still counts what the dead client had sent."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        if (now := read()) - value > 100_000:
            value, since = now, time.monotonic()
    return value


def test_an_upload_that_was_killed_is_not_begun_again(hub):
    pipeline = (
        b'{"_class_name": "Pipeline", "unet": ["diffusers", "UNet2DModel"], "vae": ["diffusers", "AutoencoderKL"]}'
    )
    parts = {
        f"{name}/diffusion_pytorch_model.bin": pickled({f"{name}.w": torch.rand(3000, 3000)})
        for name in ("unet", "vae")
    }
    hub.make("me/p", {"model_index.json": pipeline, **parts})
    before = len(objects(hub))
    assert before == 2, "the pickles"

    running = hub.start("convert", "me/p", "--pr")
    until = time.monotonic() + 60
    while len(objects(hub)) == before and time.monotonic() < until and running.poll() is None:
        time.sleep(0.002)
    running.kill()
    running.communicate()
    assert len(objects(hub)) > before, "nothing had arrived"
    first_run_opened = hub.open_requests("me/p")

    received = settled(lambda: hub.metric("depickle_http_received_bytes_total"))
    done = hub.run("convert", "me/p", "--pr", "--json")
    assert done.code == (3 if first_run_opened else 0), done.err
    assert hub.metric("depickle_http_received_bytes_total") - received < sum(map(len, parts.values())) - 30_000_000, (
        "one of two was there already"
    )
    assert len(hub.open_requests("me/p")) == 1
    assert hub.run("check", "me/p", 1).code == 0
    assert not list((hub.home / "hub").rglob("*.depickle-tmp"))
