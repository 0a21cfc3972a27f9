"""transformers and diffusers load the same tensors and outputs before a conversion, from its pull request, and after
the merge."""

import json
import os
import os
import subprocess

import pytest

from embedded_hub import HERE, PYTHON

pytestmark = [pytest.mark.release, pytest.mark.large]  # its time is Python's, importing; once is enough

KINDS = {
    "single": "BertModel",
    "tied": "GPT2LMHeadModel",
    "sharded": "BertModel",
    "pipeline": "StableDiffusionPipeline",
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder with each kind of model."""
    root = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        subprocess.run(
            [PYTHON, HERE / "models.py", kind, root / kind],
            check=True,
            capture_output=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
    return root


def load(hub, cls, repo, revision="main", safetensors="any"):
    done = subprocess.run(
        [PYTHON, HERE / "load.py", cls, repo, revision, safetensors],
        capture_output=True,
        text=True,
        env=hub.environment(),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_conversion_pull_request_and_merge(hub, folders, kind):
    cls, repo = KINDS[kind], f"me/{kind}"
    hub.upload(repo, folders / kind)
    before = load(hub, cls, repo, safetensors="false")
    assert before["tensors"] and before["outputs"]

    opened = hub.depickle("convert", repo, "--pr")
    assert opened.code == 0, opened.err
    assert opened.out.strip() == f"{hub.url}/{repo}/discussions/1"
    assert load(hub, cls, repo, "refs/pr/1", "true") == before

    checked = hub.depickle("check", repo, 1, "--json")
    assert checked.code == 0, checked.out + checked.err
    assert checked.json["verdict"] == "identical"
    assert checked.json["tensors_compared"] == checked.json["tensors_identical"] > 0

    again = hub.depickle("convert", repo, "--pr")
    assert again.code == 3, again.out + again.err
    merged = hub.depickle("pr", "merge", repo, 1, "--yes")
    assert merged.code == 0, merged.err
    assert load(hub, cls, repo, "main", "true") == before
    assert hub.depickle("convert", repo, "--pr").code == 3


def test_transformers_uses_the_pull_request_of_sfconvertbot(hub, folders):
    """The automatic conversion of transformers only uses a pull request of the user SFconvertbot."""
    hub.upload("me/auto", folders / "single")
    before = load(hub, "BertModel", "me/auto", safetensors="false")
    opened = hub.depickle("convert", "me/auto", "--pr", user="SFconvertbot")
    assert opened.code == 0, opened.err
    assert load(hub, "BertModel", "me/auto", "main", "true") == before, (
        "main has no safetensors, so transformers must use the pull request"
    )
