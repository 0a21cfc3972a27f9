"""download selects the weights files that transformers and diffusers load, on drawn repositories, or refuses too."""

import itertools
import json
import pathlib

import pytest

from drawn_repositories import ENABLED, draw
from embedded import Hub
from embedded_hub import HERE
from forks import ForkServer

MODULES = [
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
]
# A text of the library's error, the reason, a text of ours.
REASONS = [
    ("of the `variant=", "no variant", "no weights of the variant"),
    ("required according to the checkpoint index", "missing shard", "names the shard"),
    ("does not appear to have a file named model-0", "missing shard", "names the shard"),
]


@pytest.fixture(scope="module")
def hub(server, tmp_path_factory):
    hub = Hub(server, tmp_path_factory.mktemp("home"))
    yield hub
    hub.delete_made()


@pytest.fixture(scope="module")
def forks(hub):
    # transformers would ask the Hub for a conversion to safetensors in a thread.
    environment = hub.environment(DISABLE_SAFETENSORS_CONVERSION="1")
    forks = ForkServer(*MODULES, environment=environment)
    yield forks
    forks.stop()


@pytest.fixture(scope="module")
def models(forks):
    return json.loads(forks.run((HERE / "tiny_models.py").read_text()))


def enabled(models, first, count):
    """Returns the first repositories from the seed `first` on whose classes are all enabled."""
    drawn = (draw(seed, models) for seed in itertools.count(first))
    return list(itertools.islice((each for each in drawn if each.classes <= ENABLED), count))


def load(forks, folder, requests):
    """Loads with the real libraries, in one process."""
    file = folder / "requests.json"
    file.write_text(json.dumps(requests))
    return json.loads(forks.run((HERE / "load_drawn.py").read_text(), file))
