"""download stores the files that a library would load in the library's cache."""

import pathlib

import torch

from embedded import Hub, files_of, pickled, safe, tied_model


def folder(done):
    assert done.code == 0, done.err
    return pathlib.Path(done.out.strip())


def test_only_safetensors_are_downloaded_if_they_exist(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors) | {"model.safetensors": safe(tensors), "tokenizer.model": b"t"})
    assert {path.name for path in folder(hub.run("download", "me/m")).iterdir()} == {
        ".gitattributes",
        "config.json",
        "model.safetensors",
        "tokenizer.model",
    }


def test_paranoid_refuses_a_pickle_and_names_the_pull_request(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    done = hub.run("download", "me/m", "--paranoid")
    assert done.code == 1 and "pytorch_model.bin: is a pickle" in done.err and "convert me/m --pr" in done.err
    hub.pull_request("me/m", {"model.safetensors": safe(tensors)})
    done = hub.run("download", "me/m", "--paranoid")
    assert done.code == 1 and "pull request #1 adds safetensors" in done.err
    assert (folder(hub.run("download", "me/m", "--paranoid", "--revision", "refs/pr/1")) / "model.safetensors").exists()
    assert (folder(hub.run("download", "me/m")) / "pytorch_model.bin").exists()


def test_variants_subfolders_files_and_patterns(hub):
    hub.make(
        "me/m",
        {
            "unet/diffusion_pytorch_model.bin": pickled({"a": torch.ones(2)}),
            "model.fp16.safetensors": safe({"a": torch.ones(2)}, None),
            "config.json": b"{}",
        },
    )

    def downloaded(*options):
        """Returns the paths that a client with an empty cache downloads."""
        client = Hub(hub.server, hub.home / str(options))
        root = folder(client.run("download", "me/m", *options))
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {".gitattributes"}

    component = "unet/diffusion_pytorch_model.bin"
    assert downloaded("--variant", "fp16") == {"config.json", "model.fp16.safetensors"}
    assert downloaded("--subfolder", "unet") == {"config.json", component}
    assert downloaded("--include", "unet/*") == {component}
    assert folder(hub.run("download", "hf://me/m/config.json")).read_bytes() == b"{}"
    assert hub.run("download", "me/m", "--variant", "bf16").code == 2
    assert hub.run("download", "me/m", "--include", "*.zip").code == 2


def test_huggingface_hub_finds_downloaded_files(hub):
    from huggingface_hub import hf_hub_download

    hub.make("me/m", files_of(tied_model()))
    assert hub.run("download", "me/m").code == 0
    found = hf_hub_download(
        "me/m", "pytorch_model.bin", endpoint=hub.endpoint, cache_dir=hub.home / "hub", local_files_only=True
    )
    assert pathlib.Path(found).exists()


def test_cached_files_are_not_downloaded_again(hub):
    hub.make("me/m", files_of(tied_model()))
    assert hub.run("download", "me/m", "--json").json["downloaded_bytes"] > 0
    assert hub.run("download", "me/m", "--json").json["downloaded_bytes"] == 0
    assert hub.run("convert", "me/m", "--pr", "--json").json["downloaded_bytes"] == 0
