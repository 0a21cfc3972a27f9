#!/usr/bin/env python3
"""Writes hub/samples beside this script: the models with which ./run opens, as real libraries write them.

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
    "sharded": ("In shards", "The same BERT in two shards with an index. Converting it writes two safetensors files and their index."),
    "pipeline": ("A diffusers pipeline", "Shaped like Stable Diffusion, with random weights: four models in four folders, each in a pickle. Converting it finds all four."),
    "with-code": ("With code inside", (
        "What a malicious upload looks like, with the harm taken out: beside its weights, `pytorch_model.bin` holds a call of `os.system` that only prints a line. "
        "Python's unpickler would run it; depickle names it, does not run it, and converts the weights.")),
    "tampered": ("With a tampered pull request", (
        "Pull request 1 offers this model as safetensors, and says that nothing has changed. One bit of one weight has. Check it.")),
}
PULL_REQUEST = """Adding `safetensors` variant of this model

The same weights as safetensors. Nothing has changed, you can merge this without a look.
"""


class Greeting:
    """Calls os.system when it is unpickled."""

    def __reduce__(self):
        return os.system, ("echo 'This line was printed by a model file while it was loaded. It could have been anything.'",)


def with_code(folder):
    models.single(folder)
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({"state_dict": dict(state), "greeting": Greeting()}, folder / "pytorch_model.bin")


def tampered(folder):
    models.single(folder)
    pull_request = folder.with_name("tampered@1")
    pull_request.mkdir()
    target = pull_request / "model.safetensors"
    subprocess.run([DEPICKLE, "convert", folder / "pytorch_model.bin", "-o", target], check=True, stdout=subprocess.DEVNULL)
    content = bytearray(target.read_bytes())
    content[-1000] ^= 1  # the lowest bit of one number
    target.write_bytes(content)
    (pull_request / "PULL_REQUEST.md").write_text(PULL_REQUEST)


if __name__ == "__main__":
    shutil.rmtree(SAMPLES, ignore_errors=True)
    for name, make in {"single": models.single, "sharded": models.sharded, "pipeline": models.pipeline, "with-code": with_code, "tampered": tampered}.items():
        torch.manual_seed(7)
        make(SAMPLES / name)
        title, text = TEXTS[name]
        library = "diffusers" if name == "pipeline" else "transformers"
        (SAMPLES / name / "README.md").write_text(f"---\nlibrary_name: {library}\n---\n# {title}\n\n{text}\n")
