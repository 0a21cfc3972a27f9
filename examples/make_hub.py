#!/usr/bin/env python3
"""Writes hub/samples into this folder: the sample models of ./run, written by real libraries.

usage: make_hub.py   (needs torch, transformers, diffusers and build/release/bin/depickle; the result is committed)
"""
import os
import pathlib
import shutil
import subprocess
import sys

import torch

EXAMPLES = pathlib.Path(__file__).parent
sys.path.insert(0, str(EXAMPLES.parent / "tests/python/hub"))
import models  # noqa: E402: the tiny models of the tests

DEPICKLE = EXAMPLES.parent / "build/release/bin/depickle"
SAMPLES = EXAMPLES / "hub/samples"

TEXTS = {
    "single": ("One file", "A tiny BERT with random weights in one `pytorch_model.bin`. Convert it."),
    "sharded": ("Sharded", (
        "The same BERT in two shards with an index. The conversion writes two safetensors files and an index.")),
    "pipeline": ("A diffusers pipeline", (
        "A pipeline like Stable Diffusion, with random weights: four models in four folders, each in a pickle. "
        "The conversion finds all four.")),
    "with-code": ("With code", (
        "A harmless example of a malicious upload: `pytorch_model.bin` contains weights and a call of `os.system` that "
        "only prints a line. Python's unpickler would run it; depickle reports it, does not run it, and converts the "
        "weights.")),
    "tampered": ("With a tampered pull request", (
        "Pull request 1 adds this model as safetensors and claims that nothing has changed, but one bit of one weight "
        "is different. Check it.")),
}
PULL_REQUEST = """Adding `safetensors` variant of this model

The same weights as safetensors. Nothing has changed, you can merge this without a look.
"""


class Greeting:
    """Calls os.system when it is unpickled."""

    def __reduce__(self):
        line = "This line was printed by a model file while it was loaded. It could have been anything."
        return os.system, (f"echo '{line}'",)


def with_code(folder):
    models.single(folder)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({"state_dict": dict(state), "greeting": Greeting()}, folder / "pytorch_model.bin")


def tampered(folder):
    models.single(folder)
    pull_request = folder.with_name("tampered@1")
    pull_request.mkdir()
    target = pull_request / "model.safetensors"
    command = [DEPICKLE, "convert", folder / "pytorch_model.bin", "-o", target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    content = bytearray(target.read_bytes())
    content[-1000] ^= 1  # the lowest bit of one number
    target.write_bytes(content)
    (pull_request / "PULL_REQUEST.md").write_text(PULL_REQUEST)


if __name__ == "__main__":
    shutil.rmtree(SAMPLES, ignore_errors=True)
    makers = {"single": models.single, "sharded": models.sharded, "pipeline": models.pipeline}
    for name, make in (makers | {"with-code": with_code, "tampered": tampered}).items():
        torch.manual_seed(7)
        make(SAMPLES / name)
        title, text = TEXTS[name]
        library = "diffusers" if name == "pipeline" else "transformers"
        (SAMPLES / name / "README.md").write_text(f"---\nlibrary_name: {library}\n---\n# {title}\n\n{text}\n")
