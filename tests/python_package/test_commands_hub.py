"""The program's commands as functions, with a Hub."""
import json
import os
import pathlib
import pickle
import sys

import pytest
import torch
from safetensors.torch import load_file

import depickle
from depickle import _program
from command_helpers import bits, checkpoint, fake  # noqa: F401

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests/python"), str(ROOT / "tests/python/hub")]

from embedded import files_of, hub, pickled, safe, server, tied_model  # noqa: E402, F401


@pytest.fixture
def client_hub(hub, monkeypatch):  # noqa: F811
    """An embedded Hub, with this process as its client."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    for name, value in hub.environment().items():
        if name.startswith("HF_"):
            monkeypatch.setenv(name, value)
    return hub


def test_a_pull_request_is_opened_and_checked(client_hub):
    client_hub.make("me/m", files_of(tied_model()))
    planned = depickle.convert("me/m", pr=True, dry_run=True)
    assert planned.outcome == "planned" and planned.commit and planned.description
    opened = depickle.convert("me/m", pr=True, progress=lambda step: None)
    assert opened.outcome == "opened" and opened.pull_request == 1 and opened.url.startswith(client_hub.url)
    again = depickle.convert("me/m", pr=True)
    assert again.outcome == "already-open" and again.previous[0].number == 1
    steps = []
    checked = depickle.check("me/m", 1, progress=steps.append)
    assert checked and checked.verdict == "identical" and checked.files[0].expected and steps
    assert depickle.check(opened.url).number == 1


def test_check_is_false_for_different_tensors(client_hub):
    tensors = tied_model()
    client_hub.make("me/m", files_of(tensors))
    number = client_hub.pull_request("me/m", {"model.safetensors": safe(tensors | {"h.a": tensors["h.a"] + 1})})
    checked = depickle.check("me/m", number)
    assert not checked and checked.verdict == "different" and checked.tensors[0].name == "h.a"


def test_convert_a_revision_to_a_folder(client_hub, tmp_path):
    tensors = tied_model()
    commit = client_hub.make("me/m", files_of(tensors)).oid
    client_hub.commit("me/m", {"pytorch_model.bin": pickled({"later": torch.ones(1)})})
    result = depickle.convert("me/m", tmp_path / "out", revision=commit)
    assert result.outcome == "written" and result.commit == commit
    assert bits(load_file(tmp_path / "out/model.safetensors")["h.a"]) == bits(tensors["h.a"])


def test_the_token_argument_is_not_in_the_process_arguments(client_hub, fake, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    token = client_hub.server.token("me")
    client_hub.make("me/secret", files_of(tied_model()), private=True)
    for none in (None, False, "hf_wrong"):
        with pytest.raises((PermissionError, FileNotFoundError)):
            depickle.inspect("hf://me/secret/pytorch_model.bin", token=none)
    fake(f"echo \"$@\" >> '{tmp_path}/arguments'; exec '{_program.find()}' \"$@\"")
    assert depickle.download("me/secret", token=token).downloaded_bytes > 0
    arguments = (tmp_path / "arguments").read_text()
    assert "me/secret" in arguments and token not in arguments
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises((PermissionError, FileNotFoundError)):
        depickle.inspect("hf://me/secret/pytorch_model.bin", token=False)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert depickle.inspect("hf://me/secret/pytorch_model.bin", token=token).tensors


def test_missing_repositories(client_hub):
    with pytest.raises(FileNotFoundError, match="me/gone"):
        depickle.download("me/gone")
    client_hub.make("me/m", {"config.json": b"{}"})
    with pytest.raises(FileNotFoundError):
        depickle.download("me/m", revision="no-such-branch")


@pytest.mark.large
def test_an_unreachable_hub_raises_connection_error(monkeypatch, tmp_path):
    """The program retries for 23 seconds. test_commands_errors.py tests the exception without the wait."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ConnectionError, match="127.0.0.1"):
        depickle.check("me/m", 1)


def test_download_returns_the_model_that_a_library_opens(client_hub, tmp_path):
    tensors = tied_model()
    converted = {name: safe(tensors) for name in ("model.safetensors", "model.fp16.safetensors")}
    client_hub.make("me/m", files_of(tensors) | converted)
    everything = depickle.download("me/m")
    assert [pathlib.Path(model.path).name for model in everything.models] == ["model.safetensors"]
    assert (pathlib.Path(everything.path) / "config.json").exists()
    weights = depickle.download("me/m", variant="fp16", only_weights=True, cache_dir=tmp_path / "cache")
    assert [path.name for path in pathlib.Path(weights.path).iterdir()] == ["model.fp16.safetensors"]
    assert str(tmp_path / "cache") in weights.path and weights.downloaded_bytes > 0
    named = depickle.download("me/m", include=["*.json", "*.pt"])
    assert named.models == [] and (pathlib.Path(named.path) / "optimizer.pt").exists()


def test_from_pretrained_opens_the_model_that_a_library_opens(client_hub, tmp_path):
    tensors = tied_model()
    half = safe({"half": torch.ones(2).half()}, None)
    client_hub.make("me/m", {"config.json": b"{}", "model.safetensors": safe(tensors), "model.fp16.safetensors": half})
    weights = depickle.from_pretrained("me/m")
    assert bits(weights["h.a"]) == bits(tensors["h.a"])
    assert set(depickle.from_pretrained("me/m", variant="fp16")) == {"half"}
    client_hub.make("me/p", files_of(tensors))
    assert bits(depickle.from_pretrained("me/p")["h.b"]) == bits(tensors["h.b"])
    with pytest.raises(pickle.UnpicklingError, match="is a pickle"):
        depickle.from_pretrained("me/p", paranoid=True)
    number = client_hub.pull_request("me/p", {"model.safetensors": safe(tensors)})
    assert "h.a" in depickle.from_pretrained("me/p", revision=f"refs/pr/{number}", paranoid=True)


def test_from_pretrained_of_a_path_and_of_a_pipeline(client_hub, checkpoint):
    with depickle.from_pretrained(checkpoint) as weights:
        assert weights["weight"].shape == (20, 30)
    with pytest.raises(pickle.UnpicklingError, match="is a pickle"):
        depickle.from_pretrained(checkpoint, paranoid=True)
    with pytest.raises(ValueError, match="is a path"):
        depickle.from_pretrained(checkpoint, revision="main")
    index = {"_class_name": "P", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]}
    names = {part: f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")}
    parts = {name: safe({part: torch.ones(1)}, None) for part, name in names.items()}
    client_hub.make("me/pipeline", {"model_index.json": json.dumps(index).encode()} | parts)
    with pytest.raises(ValueError, match="unet, vae"):
        depickle.from_pretrained("me/pipeline")
    assert set(depickle.from_pretrained("me/pipeline", subfolder="vae")) == {"vae"}
