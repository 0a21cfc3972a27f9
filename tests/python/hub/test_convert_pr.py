"""convert --pr converts a repository and opens one pull request."""

import contextlib
import http.server
import json
import threading

import torch
from safetensors.torch import load

from embedded import files_of, pickled, safe, sharded_files, tied_model

TITLE = "Adding `safetensors` variant of this model"


def test_the_pull_request_has_the_right_parent_and_a_report(hub):
    base = hub.make("me/m", files_of(tied_model())).oid
    done = hub.run("convert", "me/m", "--pr")
    assert (done.code, done.out) == (0, f"{hub.endpoint}/me/m/discussions/1\n"), done.err
    details = hub.api().get_discussion_details("me/m", 1)
    assert (details.title, details.status, details.author) == (TITLE, "open", "me")
    for words in (
        "5 of 5 tensors are identical",
        "`model.safetensors`",
        "torch._utils._rebuild_tensor_v2",
        'revision="refs/pr/1"',
        "depickle check me/m 1",
        "<summary>Receipt</summary>",
    ):
        assert words in details.events[0].content, words
    log = hub.api().list_repo_commits("me/m", revision="refs/pr/1")
    assert log[1].commit_id == base
    assert hub.run("check", "me/m", 1).code == 0


def test_a_second_run_of_any_user_opens_no_second_pull_request(hub):
    hub.make("me/m", files_of(tied_model()))
    assert hub.run("convert", "me/m", "--pr").code == 0
    for user in ("me", "other"):
        done = hub.run("convert", "me/m", "--pr", user=user)
        assert (done.code, done.out) == (3, f"{hub.endpoint}/me/m/discussions/1\n"), done.err
    assert hub.open_requests("me/m") == [1]


def test_an_existing_pull_request_is_found_by_its_files(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    hub.pull_request("me/m", {"model.safetensors": safe(tensors)}, title="some weights")
    assert hub.run("convert", "me/m", "--pr").code == 3
    assert hub.open_requests("me/m") == [1]


def test_a_pull_request_with_only_the_title_does_not_count(hub):
    hub.make("me/m", files_of(tied_model()))
    hub.pull_request("me/m", {"NOTES.md": b"safetensors"}, title=TITLE)
    assert hub.run("convert", "me/m", "--pr").code == 0
    assert hub.open_requests("me/m") == [2, 1]


def test_an_own_pull_request_on_an_older_commit_is_superseded(hub):
    hub.make("me/m", files_of(tied_model()))
    assert hub.run("convert", "me/m", "--pr").code == 0
    hub.commit("me/m", {"pytorch_model.bin": pickled({"new": torch.ones(3)})})
    done = hub.run("convert", "me/m", "--pr", "--json")
    assert (done.code, done.json["pull_request"], done.json["superseded"]) == (0, 2, [1]), done.err
    assert hub.open_requests("me/m") == [2]
    assert "Superseded by #2" in hub.run("pr", "show", "me/m", 1).out


def test_two_concurrent_processes_open_one_pull_request(hub):
    hub.make("me/m", files_of(tied_model()))
    running = [hub.start("convert", "me/m", "--pr") for _ in range(2)]
    assert sorted(process.wait(120) for process in running) == [0, 3]
    assert hub.open_requests("me/m") == [1]


def test_shards_variants_and_components_are_all_converted(hub):
    pipeline = {
        "model_index.json": json.dumps({"unet": ["diffusers", "A"], "vae": ["diffusers", "B"]}).encode(),
        "unet/diffusion_pytorch_model.bin": pickled({"a": torch.ones(3)}),
        "unet/diffusion_pytorch_model.fp16.bin": pickled({"a": torch.ones(3).half()}),
        "vae/diffusion_pytorch_model.bin": pickled({"a": torch.arange(6.0).view(2, 3).T}),
    }
    hub.make("me/pipeline", pipeline)
    hub.make("me/shards", sharded_files())
    for repo in ("me/pipeline", "me/shards"):
        assert hub.run("convert", repo, "--pr").code == 0
        assert hub.run("check", repo, 1).code == 0
    assert {
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    } <= set(hub.api().list_repo_files("me/pipeline", revision="refs/pr/1"))
    assert {"model-00001-of-00002.safetensors", "model.safetensors.index.json"} <= set(
        hub.api().list_repo_files("me/shards", revision="refs/pr/1")
    )


def test_only_missing_files_are_converted(hub):
    hub.make(
        "me/m",
        {
            "a/pytorch_model.bin": pickled({"a": torch.ones(2)}),
            "b/pytorch_model.bin": pickled({"b": torch.ones(2)}),
            "a/model.safetensors": safe({"a": torch.ones(2)}, None),
        },
    )
    done = hub.run("convert", "me/m", "--pr", "--json")
    assert [file["target"] for file in done.json["files"]] == ["b/model.safetensors"], done.err
    assert hub.run("pr", "merge", "me/m", 1, "--yes").code == 0
    done = hub.run("convert", "me/m", "--pr")
    assert (done.code, done.out) == (3, "") and "already safetensors" in done.err


def test_a_dry_run_prints_the_plan_and_writes_nothing(hub):
    hub.make("me/m", files_of(tied_model()))
    done = hub.run("convert", "me/m", "--pr", "--dry-run")
    assert (
        done.code == 0
        and TITLE in done.out
        and "would write model.safetensors: 5 tensors" in done.out
        and "optimizer.pt: optimizer state" in done.out
    ), done.err
    assert hub.open_requests("me/m") == [] and not any(
        path.is_file() for path in hub.home.rglob("*") if hub.home.exists()
    )


def test_a_broken_component_opens_no_pull_request(hub):
    hub.make("me/m", files_of(tied_model()) | {"sub/pytorch_model.bin": b"PK\x03\x04 and then nothing"})
    done = hub.run("convert", "me/m", "--pr")
    assert done.code == 2 and "error: sub/pytorch_model.bin: " in done.err, done.err
    assert hub.open_requests("me/m") == []


def test_to_a_folder_without_a_pull_request(hub, tmp_path):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    assert hub.run("convert", "me/m", "-o", tmp_path / "out", user=None).code == 0
    assert torch.equal(load((tmp_path / "out/model.safetensors").read_bytes())["h.a"], tensors["h.a"])


@contextlib.contextmanager
def busy_hub():
    """Yields the URL of a server that asks every client to retry after an hour, which is too long to wait."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(503)
            self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_exit_codes_of_errors(hub):
    hub.make("me/m", files_of(tied_model()))
    assert hub.run("convert", "me/gone", "--pr").code == 2
    assert hub.run("convert", "me/m@gone", "--pr").code == 2
    assert hub.run("convert", "me/m", "--pr", user=None).code == 4
    assert hub.run("convert", "me/m", "--pr", HF_TOKEN="hf_wrong").code == 4
    assert hub.run("check", "me/m", 7).code == 2
    assert hub.run("check", "me/m", 7, HF_HUB_OFFLINE="1").code == 75
    with busy_hub() as url:
        done = hub.run("check", "me/m", 7, HF_ENDPOINT=url)
    assert done.code == 75 and "status 503" in done.err, done.err
