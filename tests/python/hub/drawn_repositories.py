"""Draws repositories with tiny models, with the mixtures of weights files that people upload.

Every tensor of a file has the same value, which is different for each file: the values of a loaded model show which
files were read.
"""

import dataclasses
import io
import json
import random

import torch
from safetensors.torch import save

STEMS = {
    ("transformers", "safetensors"): "model",
    ("transformers", "bin"): "pytorch_model",
    ("diffusers", "safetensors"): "diffusion_pytorch_model",
    ("diffusers", "bin"): "diffusion_pytorch_model",
}
LIBRARIES = {
    "bert": "transformers",
    "gpt2": "transformers",
    "unet": "diffusers",
    "vae": "diffusers",
    "text_encoder": "transformers",
    "safety_checker": "transformers",
}
COMPONENTS = {
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
}
STRAYS = [
    "model.pt",
    "model.bin",
    "pytorch_model.pth",
    "pytorch_model.safetensors",
    "model.ckpt",
    "best.pt",
    "optimizer.pt",
    "training_args.bin",
    "consolidated.00.pth",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "weights.bin",
    "model.onnx",
    "model-int8.safetensors",
]
# The classes that the test draws. A repository belongs to a class by its names or its faults; see classes_by_names().
# Not drawn: "diffusers .bin index", "file of another name" and "index: no metadata", which the libraries refuse and
# depickle loads, and "component without a folder", which diffusers loads from the root.
ENABLED = {
    "component without weights",
    "diffusers index and single file",
    "diffusers old index",
    "folder of no component",
    "index: absent tensor",
    "index: tensor twice",
    "index: unnamed shard",
    "index: unnamed tensor",
    "index: wrong shard",
    "mixed formats",
    "names of the other library",
    "null component with a folder",
    "old shards",
    "pipeline with a variant",
    "stray files",
    "transformers_weights",
    "upper case",
    "weights at the root of a pipeline",
}
STATES = ["absent", "single", "sharded", "both", "index", "shards", "lacking"]
INDEX_FAULTS = ["wrong shard", "unnamed tensor", "unnamed shard", "tensor twice", "absent tensor", "no metadata"]


@dataclasses.dataclass
class Drawn:
    seed: int
    loader: str  # "transformers", "unet", "vae" or "pipeline"
    variant: str | None = None
    subfolder: str | None = None
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    classes: set[str] = dataclasses.field(default_factory=set)  # the unusual properties of the repository
    weights: list[str] = dataclasses.field(default_factory=list)  # the file with the number n is weights[n - 1]

    def __str__(self):
        listing = "".join(f"\n  {path} ({len(content)} bytes)" for path, content in sorted(self.files.items()))
        return (
            f"seed {self.seed}: {self.loader}, variant {self.variant}, subfolder {self.subfolder}, "
            f"{', '.join(sorted(self.classes)) or 'usual'}{listing}"
        )


class Drawing:
    """Draws one repository. `models` is the output of tiny_models.py."""

    def __init__(self, seed, models):
        self.random = random.Random(seed)
        self.models = models
        self.drawn = Drawn(seed, "")

    def chance(self, probability):
        return self.random.random() < probability

    def add_json(self, path, value):
        self.drawn.files[path] = json.dumps(value, indent=1).encode()

    def add_weights(self, path, names, kind):
        """Adds a file with these tensors. Their value is the number of the file."""
        if path in self.drawn.files:
            return
        self.drawn.weights.append(path)
        shapes = self.models[kind]["shapes"]
        tensors = {name: torch.full(shapes[name], float(len(self.drawn.weights))) for name in names}
        if path.lower().endswith(".safetensors"):
            self.drawn.files[path] = save(tensors, {"format": "pt"})
        else:
            content = io.BytesIO()
            torch.save(tensors, content)
            self.drawn.files[path] = content.getvalue()

    def add_sharded(self, folder, stem, ending, variant, kind, state):
        """Adds shards and their index, or only some of them."""
        dotted = f".{variant}" if variant else ""
        old_shards = bool(variant) and self.chance(0.4)
        old_index = bool(variant) and self.chance(0.4)
        if old_shards:
            self.drawn.classes.add("old shards")
        names = list(self.models[kind]["shapes"])
        self.random.shuffle(names)
        count = self.random.choice([1, 2, 2, 2, 3])
        parts = {}
        for number in range(count):
            place = f"-{number + 1:05}-of-{count:05}"
            shard = f"{stem}{place}{dotted}.{ending}" if old_shards else f"{stem}{dotted}{place}.{ending}"
            parts[shard] = names[number::count]
        weight_map = {name: shard for shard, part in parts.items() for name in part}
        index = {"metadata": {"total_size": 4}, "weight_map": weight_map}
        if state in ("sharded", "both") and self.chance(0.25):
            self.break_index(index, parts, names, f"{stem}{dotted}-extra.{ending}")
        if state != "shards":
            suffix = f".{ending}{dotted}.index.json" if old_index else f".{ending}.index{dotted}.json"
            self.add_json(f"{folder}{stem}{suffix}", index)
        absent = self.random.randrange(count) if state == "lacking" else None
        if state != "index":
            for number, (shard, part) in enumerate(parts.items()):
                if number != absent:
                    self.add_weights(folder + shard, part, kind)

    def break_index(self, index, parts, names, extra):
        fault = self.random.choice(INDEX_FAULTS)
        shards = list(parts)
        if fault == "wrong shard" and len(shards) > 1:
            index["weight_map"][parts[shards[0]][0]] = shards[1]
        elif fault == "unnamed tensor":
            del index["weight_map"][parts[shards[0]][0]]
        elif fault == "unnamed shard":
            parts[extra] = names[:3]
        elif fault == "tensor twice" and len(shards) > 1:
            parts[shards[1]] = [*parts[shards[1]], parts[shards[0]][0]]
        elif fault == "absent tensor":
            index["weight_map"]["absent.weight"] = shards[0]
        elif fault == "no metadata":
            del index["metadata"]
        else:
            return
        self.drawn.classes.add(f"index: {fault}")

    def add_piece(self, folder, library, ending, variant, kind, state):
        """Adds the weights of a model in one format and variant."""
        stem = STEMS[library, ending]
        if state in ("single", "both"):
            dotted = f".{variant}" if variant else ""
            self.add_weights(f"{folder}{stem}{dotted}.{ending}", self.models[kind]["shapes"], kind)
        if state not in ("absent", "single"):
            self.add_sharded(folder, stem, ending, variant, kind, state)

    def add_model(self, folder, kind, usual=None):
        """Adds a model: its configuration and weights, `usual` ones or any mixture."""
        config = dict(self.models[kind]["config"])
        if usual and self.chance(0.85):
            for ending, variant in usual:
                state = self.random.choices(["single", "sharded"], [4, 1])[0]
                self.add_piece(folder, LIBRARIES[kind], ending, variant, kind, state)
        else:
            self.add_mixture(folder, kind, config)
        self.add_json(f"{folder}config.json", config)

    def add_mixture(self, folder, kind, config):
        library = LIBRARIES[kind]
        for ending in ("safetensors", "bin"):
            for variant in (None, "fp16"):
                absent = 9 if variant == self.drawn.variant else 24
                odds = [absent, 6, 4, 2, 1, 1, 1]
                state = self.random.choices(STATES, odds)[0]
                self.add_piece(folder, library, ending, variant, kind, state)
        if self.chance(0.1):
            other = "diffusers" if library == "transformers" else "transformers"
            ending = self.random.choice(["safetensors", "bin"])
            self.drawn.classes.add("names of the other library")
            self.add_piece(folder, other, ending, None, kind, self.random.choice(["single", "sharded"]))
        if self.chance(0.3):
            for name in self.random.sample(STRAYS, self.random.randint(1, 3)):
                self.drawn.classes.add("stray files")
                self.add_weights(folder + name, list(self.models[kind]["shapes"])[:2], kind)
        if self.chance(0.05):
            self.rename_to_upper_case(folder)
        candidates = [path for path in self.drawn.files if ".safetensors" in path and path.startswith(folder)]
        if library == "transformers" and candidates and self.chance(0.06):
            config["transformers_weights"] = self.random.choice(candidates)[len(folder) :]
            self.drawn.classes.add("transformers_weights")

    def rename_to_upper_case(self, folder):
        candidates = [path for path in self.drawn.weights if path.startswith(folder)]
        if not candidates:
            return
        path = self.random.choice(candidates)
        name = path[len(folder) :]
        stem, ending = name.rsplit(".", 1)
        renamed = folder + self.random.choice([f"{stem}.{ending.upper()}", name.capitalize(), name.upper()])
        self.drawn.classes.add("upper case")
        self.drawn.files[renamed] = self.drawn.files.pop(path)
        self.drawn.weights[self.drawn.weights.index(path)] = renamed

    def draw_model(self):
        kind = self.random.choice(["bert", "gpt2", "bert", "unet", "vae"])
        self.drawn.loader = kind if LIBRARIES[kind] == "diffusers" else "transformers"
        self.drawn.variant = "fp16" if self.chance(0.35) else None
        if self.chance(0.25):
            self.drawn.subfolder = self.random.choice(["unet", "model", "v1.0/best"])
            if self.chance(0.5):
                self.add_model("", kind, self.usual())
        self.add_model(f"{self.drawn.subfolder}/" if self.drawn.subfolder else "", kind)

    def usual(self):
        """Returns (format, variant) of the weights that most components of a pipeline have."""
        endings = self.random.choice([["safetensors"], ["safetensors"], ["bin"], ["safetensors", "bin"]])
        variants = self.random.choice([[None, "fp16"], [self.drawn.variant], [self.drawn.variant], [None]])
        return [(ending, variant) for ending in endings for variant in variants]

    def draw_pipeline(self):
        self.drawn.loader = "pipeline"
        self.drawn.variant = "fp16" if self.chance(0.35) else None
        usual = self.usual()
        model_index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1"}
        for name in ("unet", "vae", "text_encoder"):
            model_index[name] = COMPONENTS[name]
            place = self.random.choices(["folder", "empty folder", "no folder"], [40, 1, 1])[0]
            if place == "folder":
                self.add_model(f"{name}/", name, usual)
            elif place == "no folder":
                self.drawn.classes.add("component without a folder")
            else:
                self.drawn.classes.add("component without weights")
                self.add_json(f"{name}/config.json", self.models[name]["config"])
        self.add_safety_checker(model_index, usual)
        self.add_other_components(model_index)
        if self.chance(0.1):
            self.drawn.classes.add("folder of no component")
            self.add_model("other/", "text_encoder", self.usual())
        if self.chance(0.1):
            self.drawn.classes.add("weights at the root of a pipeline")
            self.add_weights(self.random.choice(["model.safetensors", "v1-5.ckpt", "model.bin"]), [], "unet")
        self.add_json("model_index.json", model_index)

    def add_safety_checker(self, model_index, usual):
        """Adds the safety checker, which a pipeline may lack, with or without its folder."""
        kind = self.random.choice(["absent", "null", "null", "present", "null with a folder"])
        model_index["requires_safety_checker"] = kind == "present"
        model_index["safety_checker"] = COMPONENTS["safety_checker"] if kind == "present" else [None, None]
        if kind == "absent":
            del model_index["safety_checker"]
        if kind in ("present", "null with a folder"):
            self.add_model("safety_checker/", "safety_checker", usual if self.chance(0.8) else self.usual())
        if kind == "null with a folder":
            self.drawn.classes.add("null component with a folder")

    def add_other_components(self, model_index):
        """Adds the components without weights: scheduler, tokenizer, feature extractor."""
        model_index["scheduler"] = ["diffusers", "DDIMScheduler"]
        self.add_json("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler", "num_train_timesteps": 10})
        model_index["tokenizer"] = ["transformers", "CLIPTokenizer"]
        words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in "abcdefgh")]
        self.add_json("tokenizer/vocab.json", {word: number for number, word in enumerate(words)})
        self.drawn.files["tokenizer/merges.txt"] = b"#version: 0.2\n"
        self.add_json("tokenizer/tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 8})
        if model_index["requires_safety_checker"] or self.chance(0.5):
            model_index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
            self.add_json("feature_extractor/preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor"})
        else:
            model_index["feature_extractor"] = [None, None]
        if self.chance(0.3):
            model_index["image_encoder"] = [None, None]


def draw(seed, models):
    """Returns the repository of this seed."""
    drawing = Drawing(seed, models)
    if drawing.chance(0.6):
        drawing.draw_model()
    else:
        drawing.draw_pipeline()
    drawing.drawn.classes |= classes_by_names(drawing.drawn)
    return drawing.drawn


def classes_by_names(drawn):
    """Returns the classes that follow from the names of the files."""
    if drawn.loader == "pipeline":
        folders = {name: f"{name}/" for name in ("unet", "vae", "text_encoder", "safety_checker")}
        classes = {"pipeline with a variant"} if drawn.variant else set()
    else:
        folders = {drawn.loader: f"{drawn.subfolder}/" if drawn.subfolder else ""}
        classes = set()
    formats = []
    for kind, folder in folders.items():
        names = {path[len(folder) :] for path in drawn.files if path.startswith(folder)}
        names = {name for name in names if "/" not in name}
        library = LIBRARIES.get(kind, "transformers")
        classes |= classes_of_model(names, library)
        weights = {name for name in names if folder + name in drawn.weights}
        if drawn.loader != "pipeline" and not drawn.variant and len(weights) == 1:
            classes |= set() if formats_of_model(names, library, None) else {"file of another name"}
        if drawn.loader == "pipeline" and names:
            formats.append(frozenset(formats_of_model(names, library, drawn.variant)))
            classes |= set() if formats[-1] else {"component without weights"}
    if len(set(formats)) > 1:
        classes.add("mixed formats")
    return classes


def classes_of_model(names, library):
    classes = set()
    stem = "diffusion_pytorch_model"
    new = {f"{stem}.safetensors.index.json", f"{stem}.safetensors.index.fp16.json"}
    if library == "diffusers":
        if names & new and names & {f"{stem}.safetensors", f"{stem}.fp16.safetensors"}:
            classes.add("diffusers index and single file")
        if f"{stem}.safetensors.fp16.index.json" in names:
            classes.add("diffusers old index")
        if any(name.startswith(f"{stem}.bin.index") for name in names):
            classes.add("diffusers .bin index")
    return classes


def formats_of_model(names, library, variant):
    """Returns the formats in which the library finds the weights by their plain names or those of the variant."""
    found = set()
    for ending in ("safetensors", "bin"):
        stem = STEMS[library, ending]
        for dotted in {"", f".{variant}" if variant else ""}:
            if names & {f"{stem}{dotted}.{ending}", f"{stem}.{ending}.index{dotted}.json"}:
                found.add(ending)
    return found
