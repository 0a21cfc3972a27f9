"""transformers and diffusers write and load the same files and tensors with and without depickle.safetensors."""
import json
import pathlib
import stat
import subprocess
import sys

import pytest

import fresh
from real_models import INSTALL, KINDS

PROGRAM = pathlib.Path(__file__).with_name("real_models.py")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder with the models and the reports of all processes."""
    root = tmp_path_factory.mktemp("models")
    command = [sys.executable, PROGRAM, root]
    environment = fresh.environment(OMP_NUM_THREADS="1")
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return root


@pytest.fixture(scope="module")
def loaded(root):
    """install -> report of a process that has loaded the files of all."""
    return {install: json.loads((root / f"{install}.json").read_text()) for install in INSTALL}


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("install", INSTALL[1:])
def test_files_are_identical(root, install, kind):
    theirs, ours = (files_of(root / name / kind) for name in ("never", install))
    assert ours == theirs
    weights = [path for path in ours if path.suffix == ".safetensors"]
    assert len(weights) > 1 if "sharded" in kind else len(weights) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", INSTALL)
@pytest.mark.parametrize("writer", INSTALL)
def test_tensors_and_outputs_are_identical(loaded, writer, reader, kind):
    expected = loaded["never"]["models"][f"never/{kind}"]
    assert len(expected["tensors"]) > 10
    assert loaded[reader]["models"][f"{writer}/{kind}"] == expected


def test_tied_weights_share_memory(loaded):
    for install in INSTALL:
        models = loaded[install]["models"]
        assert ["lm_head.weight", "transformer.wte.weight"] in models["before/gpt2-tied"]["tied"]
        embeddings = ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "lm_head.weight", "shared.weight"]
        assert embeddings in models["before/t5-tied"]["tied"]


@pytest.mark.parametrize("install", INSTALL)
def test_huggingface_hub_saves_and_loads_a_state_dict(root, loaded, install):
    assert loaded[install]["hub"] == [0, 1, 2, 3]
    assert files_of(root / install / "hub") == files_of(root / "never/hub")


def test_our_functions_were_used_after_install(loaded):
    after_saving, after_loading = loaded["before"]["proofs"]
    for proof in (after_saving, after_loading, *loaded["after"]["proofs"]):
        assert all(proof["ours"].values()), proof
    assert not after_saving["upstream mapped"] and not after_loading["upstream mapped"]


def test_upstreams_functions_were_used_without_install(loaded):
    after_saving, after_loading = loaded["never"]["proofs"]
    for proof in (after_saving, after_loading):
        assert proof["upstream mapped"] and not any(proof["ours"].values()), proof


def test_file_modes_follow_the_umask(root):
    """Upstream 0.8.0 ignores the umask; ours applies it."""
    modes = {
        install: {stat.S_IMODE(path.stat().st_mode) for path in (root / install).rglob("*.safetensors")}
        for install in INSTALL
    }
    assert modes == {"never": {0o600}, "before": {0o644}, "after": {0o644}}
