#!/usr/bin/env python3
"""Writes hub/samples next to this script: the sample models that ./run serves, written by transformers and diffusers.

usage: make_hub.py   (requires torch, transformers, diffusers and build/release/bin/depickle; the result is committed)
"""
import os
import pathlib
import shutil
import subprocess
import sys

import torch

EXAMPLES = pathlib.Path(__file__).parent
sys.path.insert(0, str(EXAMPLES.parent / "tests/python/hub"))
import models  # noqa: E402: the small models of the tests

DEPICKLE = EXAMPLES.parent / "build/release/bin/depickle"
SAMPLES = EXAMPLES / "hub/samples"

TEXTS = {
    "single": ("One file", "A small BERT with random weights in one `pytorch_model.bin`. Convert it."),
    "sharded": ("Shards", (
        "The same BERT in two shards with an index. A conversion writes two safetensors files and their index.")),
    "pipeline": ("A diffusers pipeline", (
        "The layout of Stable Diffusion, with random weights: four models in four folders, each in a pickle. "
        "A conversion finds all four.")),
    "with-code": ("A pickle with code", (
        "A harmless copy of a malicious upload: `pytorch_model.bin` contains weights and a call of `os.system` that "
        "only prints a line. Python's unpickler would execute it. depickle reports it, does not execute it, and "
        "converts the weights.")),
    "tampered": ("A tampered pull request", (
        "Pull request 1 adds this model as safetensors and claims that nothing has changed, but one bit of one weight "
        "is different. Check it.")),
}
PULL_REQUEST = """Adding `safetensors` variant of this model

The same weights as safetensors. Nothing has changed, you can merge this without a look.
"""


COMMAND = "echo 'This line was printed by a model file while it was loaded. It could have been anything.'"


class Greeting:
    """Unpickles as a call of os.system."""

    def __reduce__(self):
        return os.system, (COMMAND,)


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
    content[-1000] ^= 1  # flips the lowest bit of one number
    target.write_bytes(content)
    (pull_request / "PULL_REQUEST.md").write_text(PULL_REQUEST)


if __name__ == "__main__":
    shutil.rmtree(SAMPLES, ignore_errors=True)
    makers = {"single": models.single, "sharded": models.sharded, "pipeline": models.pipeline, "with-code": with_code,
              "tampered": tampered}
    for name, make in makers.items():
        torch.manual_seed(7)
        make(SAMPLES / name)
        title, text = TEXTS[name]
        library = "diffusers" if name == "pipeline" else "transformers"
        (SAMPLES / name / "README.md").write_text(f"---\nlibrary_name: {library}\n---\n# {title}\n\n{text}\n")
