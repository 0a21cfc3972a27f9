"""Loads models with transformers or diffusers, and reports the weights files that they read and the tensors' values.

python load_drawn.py REQUESTS    a file with a JSON list of {loader, address, variant, subfolder}
                                 -> one JSON list of {files, indexes, error, values}
"""

import json
import re
import sys

import diffusers
import safetensors.torch
import torch
import transformers

opened = set()
FACTORIES = {
    "transformers": transformers.AutoModel,
    "unet": diffusers.UNet2DConditionModel,
    "vae": diffusers.AutoencoderKL,
    "pipeline": diffusers.DiffusionPipeline,
}


def recorded(function):
    """Returns the function, which then records its first argument, a path."""

    def record(path, *arguments, **options):
        opened.add(str(path))
        return function(path, *arguments, **options)

    return record


def record_index(event, arguments):
    if event == "open" and arguments[1] == "r" and re.search(r"\.index\.[^/]*json$", str(arguments[0])):
        opened.add(str(arguments[0]))


transformers.modeling_utils.safe_open = recorded(transformers.modeling_utils.safe_open)
safetensors.torch.load_file = recorded(safetensors.torch.load_file)
torch.load = recorded(torch.load)
sys.addaudithook(record_index)
transformers.logging.set_verbosity_error()
diffusers.logging.set_verbosity(50)


def relative(path, address):
    """Returns the path in the repository: a path below the local folder, or below the snapshot of the cache."""
    snapshot = re.search(r"/snapshots/[0-9a-f]{40}/", path)
    return path[snapshot.end() :] if snapshot else path.removeprefix(address).lstrip("/")


def value_of(tensor):
    """Returns the value of all elements, or None if they differ: the file did not contain the tensor."""
    first = tensor.flatten()[0]
    return float(first) if bool((tensor == first).all()) else None


def load(request):
    opened.clear()
    options = {name: request[name] for name in ("variant", "subfolder") if request[name]}
    try:
        loaded = FACTORIES[request["loader"]].from_pretrained(request["address"], **options)
    except Exception as error:
        return {"files": [], "indexes": [], "values": {}, "error": f"{type(error).__name__}: {error}"}
    parts = {"": loaded} if isinstance(loaded, torch.nn.Module) else loaded.components
    paths = sorted(relative(path, request["address"]) for path in opened)
    return {
        "files": [path for path in paths if not path.endswith(".json")],
        "indexes": [path for path in paths if path.endswith(".json")],
        "error": None,
        "values": {
            name: {key: value_of(tensor) for key, tensor in part.state_dict().items()}
            for name, part in parts.items()
            if isinstance(part, torch.nn.Module)
        },
    }


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(json.dumps([load(request) for request in json.load(file)]))
