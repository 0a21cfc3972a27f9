"""The checkpoints for the benchmarks, written by real torch and the real safetensors."""
import multiprocessing
import pathlib
import shutil
import sys

import numpy
import torch
from safetensors.torch import save_file

import machine

ROOT = pathlib.Path(__file__).parents[1]
FOLDER = ROOT / "build/bench-data"
sys.path.append(str(ROOT / "tests/python"))
import big  # noqa: E402


def gpt2(layers, width, words):
    """Yields names and shapes of a GPT-2: 160 tensors, 548 MB for 12 layers, width 768 and 50,257 words."""
    yield "wte.weight", (words, width)
    yield "wpe.weight", (1024, width)
    for layer in (f"h.{number}." for number in range(layers)):
        yield layer + "attn.bias", (1, 1, 1024, 1024)
        linears = (("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1))
        for name, rows, columns in linears:
            yield layer + name + ".weight", (rows * width, columns * width)
            yield layer + name + ".bias", (columns * width,)
        for name in ("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"):
            yield layer + name, (width,)
    yield "ln_f.weight", (width,)
    yield "ln_f.bias", (width,)


def make_gpt2(path, quick):
    shapes = gpt2(2, 64, 1000) if quick else gpt2(12, 768, 50257)
    torch.manual_seed(3)
    tensors = {name: torch.randn(shape) for name, shape in shapes}
    if path.suffix == ".bin":
        torch.save(tensors, path)
    else:
        save_file(tensors, path, metadata={"format": "pt"})


def many(count):
    return {f"model.layers.{index // 10}.block.{index % 10}.weight": torch.tensor([index, -index], dtype=torch.int32)
            for index in range(count)}


def make_many(path, quick):
    tensors = many(1000 if quick else 100_000)
    torch.save(tensors, path) if path.suffix == ".bin" else save_file(tensors, path)


def make_small(path, quick):
    """Writes a thousand tensors of 16 KiB, like adapters and experts."""
    torch.manual_seed(3)
    save_file({f"layers.{index}.weight": torch.randn(64, 64) for index in range(50 if quick else 1000)}, path)


def make_large(path, quick):
    """Writes a tensor of 4.5 GiB: holes and a few bytes."""
    rows, columns = (4000, 3020) if quick else (40_000, 30_200)
    tensor = big.empty(torch.float32, rows, columns)
    big.save_sparse({"w": tensor.t() if path.stem.startswith("transposed") else tensor}, path)
    offsets = (0, rows * columns // 3 * 4, rows * columns * 4 - 8)
    big.fill(path, "data/0", {offset: offset.to_bytes(8, "little") for offset in offsets})


def make_random(path, quick):
    """Writes random bytes, which cannot be compressed, enough for an upload in parts."""
    generator = numpy.random.default_rng(3)
    with open(path, "wb") as file:
        for _ in range(112 if quick else 1024):
            file.write(generator.bytes(1 << 20))


def make_tiny(path, quick):
    torch.save({"w": torch.ones(2, 3)}, path)


MAKERS = {
    "tiny.bin": make_tiny,
    "gpt2.bin": make_gpt2,
    "gpt2.safetensors": make_gpt2,
    "many.bin": make_many,
    "many.safetensors": make_many,
    "small.safetensors": make_small,
    "large.bin": make_large,
    "transposed.bin": make_large,
    "random.safetensors": make_random,
}


def make(name, path, quick):
    making = path.with_name(name.replace(".", "-making."))
    MAKERS[name](making, quick)
    making.rename(path)


def prepare(names, quick):
    """Returns {name: path}. Missing files are made in another process, so that this process does not grow."""
    folder = FOLDER / ("quick" if quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    needed = (1 if quick else 12) << 30
    if (free := shutil.disk_usage(folder).free) < needed:
        raise SystemExit(f"error: {folder}: not enough space on the disk (have {free >> 30} GiB, need {needed >> 30})")
    paths = {name: folder / name for name in names}
    for name, path in paths.items():
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(name, path, quick))
            maker.start()
            maker.join()
            if maker.exitcode != 0:
                raise SystemExit(f"error: {path} could not be made")
        if MAKERS[name] is not make_large:
            machine.settle(path)
    return paths


def clean():
    shutil.rmtree(FOLDER, ignore_errors=True)
