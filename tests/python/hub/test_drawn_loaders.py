"""On drawn repositories, depickle selects the weights files that transformers and diffusers load, or refuses too."""

import itertools
import json
import pathlib
import re

import pytest

import embedded_hub
from drawn_repositories import ENABLED, draw
from embedded import Hub
from embedded_hub import HERE
from forks import ForkServer

MODULES = [
    "transformers.models.bert.modeling_bert",
    "transformers.models.clip.modeling_clip",
    "transformers.models.gpt2.modeling_gpt2",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
]
COUNT = 110


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub of its own, because nobody deletes the many repositories."""
    server = embedded_hub.Server(tmp_path_factory.mktemp("server") / "hub")
    yield Hub(server, tmp_path_factory.mktemp("home"))
    server.stop()


@pytest.fixture(scope="module")
def forks(hub, tmp_path_factory):
    """The libraries. They have another cache than depickle, because the test lists the files in that one."""
    other = Hub(hub.server, tmp_path_factory.mktemp("other"))
    # Without this variable, transformers asks the Hub in a thread for a conversion to safetensors.
    forks = ForkServer(*MODULES, environment=other.environment(DISABLE_SAFETENSORS_CONVERSION="1"))
    yield forks
    forks.stop()


@pytest.fixture(scope="module")
def models(forks):
    return json.loads(forks.run((HERE / "tiny_models.py").read_text()))


@pytest.fixture
def load(forks, tmp_path):
    """Loads the repositories at these addresses with the real libraries, in one process."""

    def run(drawn, addresses):
        requests = [
            {"loader": each.loader, "address": str(address), "variant": each.variant, "subfolder": each.subfolder}
            for each, address in zip(drawn, addresses)
        ]
        file = tmp_path / "requests.json"
        file.write_text(json.dumps(requests))
        return json.loads(forks.run((HERE / "load_drawn.py").read_text(), file, timeout=3600))

    return run


def enabled(models, count):
    """Returns the first `count` repositories whose classes are all enabled."""
    drawn = (draw(seed, models) for seed in itertools.count())
    return list(itertools.islice((each for each in drawn if each.classes <= ENABLED), count))


def theirs(report):
    """Returns the files and indexes that a library has read, or the kind of its refusal."""
    error = report["error"]
    if error is None:
        return report["files"], report["indexes"]
    if re.search(r"required according to the checkpoint index|named \S*-\d{5}-of-|directory: \S*-\d{5}-of-", error):
        return "missing shard"
    if re.search(r"of the `variant=|[Nn]o file named|does not appear to have a file named", error):
        return "no weights"
    if "transformers file in the config seems to be incorrect" in error:
        return "wrong transformers_weights"
    return f"another error: {error}"


def refusal(done):
    """Returns the kind of our refusal."""
    if "names the shard" in done.err:
        return "missing shard"
    if "transformers_weights is not" in done.err:
        return "wrong transformers_weights"
    return "no weights" if "no weights" in done.err else f"another error: {done.err}"


def downloaded(hub, repo, drawn):
    """Returns the files and indexes that download selects, or the kind of its refusal."""
    options = ["--variant", drawn.variant] if drawn.variant else []
    options += ["--subfolder", drawn.subfolder] if drawn.subfolder else []
    done = hub.run("download", repo, "--only-weights", "--json", *options)
    if done.code != 0:
        return refusal(done)
    folder = pathlib.Path(done.json["path"])
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not path.endswith(".json")], [path for path in paths if ".index." in path]


def are_equal(expected, found, drawn):
    """The kinds of two refusals may differ for a pipeline: either may meet another component first."""
    if isinstance(expected, str) and isinstance(found, str) and drawn.loader == "pipeline":
        return True
    return expected == found if isinstance(expected, str) else tuple(expected) == found


def assert_same(drawn, expected, found):
    differences = [
        f"{each}\n the library: {theirs}\n depickle:    {ours}"
        for each, theirs, ours in zip(drawn, expected, found)
        if not are_equal(theirs, ours, each)
    ]
    assert not differences, f"{len(differences)} of {len(drawn)} differ:\n" + "\n".join(differences[:20])
    loaded = [each for each in expected if not isinstance(each, str)]
    assert len(loaded) > len(drawn) / 3, "most draws are refused: the test shows little"


def test_download_selects_what_the_libraries_load(hub, models, load):
    drawn = enabled(models, COUNT)
    repos = [f"me/drawn-{each.seed}" for each in drawn]
    for repo, each in zip(repos, drawn):
        hub.make(repo, each.files)
    expected = [theirs(report) for report in load(drawn, repos)]
    assert_same(drawn, expected, [downloaded(hub, repo, each) for repo, each in zip(repos, drawn)])
