"""transformers and diffusers write and load the same files and tensors with and without depickle.safetensors."""
import concurrent.futures
import json
import pathlib
import stat
import subprocess
import sys

import pytest

import fresh
from real_models import KINDS

pytestmark = pytest.mark.large

PROGRAM = pathlib.Path(__file__).with_name("real_models.py")
INSTALL = ["never", "before", "after"]


def real_models(*arguments):
    command = [sys.executable, PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=fresh.environment())
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def for_each_install(call):
    with concurrent.futures.ThreadPoolExecutor(2) as workers:
        return dict(zip(INSTALL, workers.map(call, INSTALL)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """install -> (folder, report of the writer)."""
    root = tmp_path_factory.mktemp("models")
    return for_each_install(lambda install: (root / install, real_models("save", install, root / install)))


@pytest.fixture(scope="module")
def loaded(saved):
    """install -> report of a reader about the files of all writers."""
    folders = [folder for folder, _ in saved.values()]
    return for_each_install(lambda install: real_models("load", install, *folders))


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("install", INSTALL[1:])
def test_files_are_identical(saved, install, kind):
    theirs, ours = (files_of(saved[name][0] / kind) for name in ("never", install))
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


def test_our_functions_were_used_after_install(saved, loaded):
    for report in (saved["before"][1], saved["after"][1], loaded["before"], loaded["after"]):
        assert all(report["proof"]["ours"].values()), report["proof"]
    assert not saved["before"][1]["proof"]["upstream mapped"] and not loaded["before"]["proof"]["upstream mapped"]


def test_upstreams_functions_were_used_without_install(saved, loaded):
    for proof in (saved["never"][1]["proof"], loaded["never"]["proof"]):
        assert proof["upstream mapped"] and not any(proof["ours"].values()), proof


def test_file_modes_follow_the_umask(saved):
    """Upstream 0.8.0 ignores the umask; ours applies it."""
    modes = {
        install: {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.safetensors")}
        for install, (folder, _) in saved.items()
    }
    assert modes == {"never": {0o600}, "before": {0o644}, "after": {0o644}}
