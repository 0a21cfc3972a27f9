"""transformers and diffusers load the same tensors and outputs before a conversion, from its pull request, and after
the merge."""

import json

import pytest

from embedded import Hub
from embedded_hub import HERE
from forks import ForkServer

pytestmark = [pytest.mark.release, pytest.mark.large]  # the import of the libraries takes many seconds

MODULES = [
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
]
KINDS = {
    "single": "BertModel",
    "tied": "GPT2LMHeadModel",
    "sharded": "BertModel",
    "pipeline": "StableDiffusionPipeline",
}


@pytest.fixture(scope="module")
def hub(server, tmp_path_factory):
    """A Hub and one client for all tests. Each test has its own repository."""
    return Hub(server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def forks(hub):
    forks = ForkServer(*MODULES, environment=hub.environment())
    yield forks
    forks.stop()


@pytest.fixture(scope="module")
def folders(forks, tmp_path_factory):
    """A folder with each kind of model."""
    root = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        forks.run((HERE / "models.py").read_text(), kind, root / kind)
    return root


@pytest.fixture
def load(forks):
    def run(cls, repo, revision="main", safetensors="any"):
        return json.loads(forks.run((HERE / "load.py").read_text(), cls, repo, revision, safetensors))

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_conversion_pull_request_and_merge(hub, folders, load, kind):
    cls, repo = KINDS[kind], f"me/{kind}"
    hub.upload(repo, folders / kind)
    before = load(cls, repo, safetensors="false")
    assert before["tensors"] and before["outputs"]

    opened = hub.depickle("convert", repo, "--pr")
    assert opened.code == 0, opened.err
    assert opened.out.strip() == f"{hub.url}/{repo}/discussions/1"
    assert load(cls, repo, "refs/pr/1", "true") == before

    checked = hub.depickle("check", repo, 1, "--json")
    assert checked.code == 0, checked.out + checked.err
    assert checked.json["verdict"] == "identical"
    assert checked.json["tensors_compared"] == checked.json["tensors_identical"] > 0

    again = hub.depickle("convert", repo, "--pr")
    assert again.code == 3, again.out + again.err
    merged = hub.depickle("pr", "merge", repo, 1, "--yes")
    assert merged.code == 0, merged.err
    assert load(cls, repo, "main", "true") == before
    assert hub.depickle("convert", repo, "--pr").code == 3


def test_transformers_uses_the_pull_request_of_sfconvertbot(hub, folders, load):
    """The automatic conversion of transformers only uses a pull request of the user SFconvertbot."""
    hub.upload("me/auto", folders / "single")
    before = load("BertModel", "me/auto", safetensors="false")
    opened = hub.depickle("convert", "me/auto", "--pr", user="SFconvertbot")
    assert opened.code == 0, opened.err
    assert load("BertModel", "me/auto", "main", "true") == before, (
        "main has no safetensors, so transformers must use the pull request"
    )
