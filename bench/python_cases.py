"""The cases of the Python package, compared with safetensors and torch in one process."""
import compileall
import importlib
import subprocess
import sys

import numpy
import torch

from cases import Case, Goal
from sides import BIN, BYTES, PAGES, Call, Side

PACKAGES = BIN.parent / "python"
sys.path.insert(0, str(PACKAGES))
OURS, THEIRS = "depickle", "safetensors"
NOISE = 0.95  # two measurements of the same code differ by this factor
torch.set_num_threads(1)  # peaks of memory are measured in forks, in which the threads of OpenMP do not exist


def module_of(package, name):
    return importlib.import_module(f"{'depickle.' if package == OURS else ''}safetensors{'.' if name else ''}{name}")


def same_bits(left, right):
    assert list(left) == list(right)
    for name in left:
        a, b = (numpy.asarray(value) for value in (left[name], right[name]))
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), name


def load_file(case, title, file, framework, at_least):
    def make(files, quick):
        path = files[file]
        load = {package: lambda load=module_of(package, framework).load_file: load(path) for package in (OURS, THEIRS)}
        name = {package: f"{package}.{framework}.load_file" for package in load}
        return Case(
            case,
            title,
            [path],
            2 * path.stat().st_size,
            [Call(name[package], load[package], 1 if quick else 5) for package in (OURS, THEIRS)]
            + [Call(name[package], load[package], touched=PAGES) for package in load],
            [
                Goal("faster", at_least, name[OURS], name[THEIRS]),
                Goal("faster", NOISE, name[OURS], name[THEIRS], PAGES),
            ],
            lambda: same_bits(load[OURS](), load[THEIRS]()),
        )

    return make, [file]


def torch_load(files, quick):
    import depickle.torch

    path = files["gpt2.bin"]
    ours = lambda: depickle.torch.load(path)
    theirs = lambda **options: torch.load(path, weights_only=True, **options)
    peers = {"torch.load": theirs, "torch.load(mmap=True)": lambda: theirs(mmap=True)}
    return Case(
        "python-torch-load",
        "torch.load",
        [path],
        3 * path.stat().st_size,
        [Call("depickle.torch.load", ours, 1 if quick else 20), *(Call(name, load) for name, load in peers.items())]
        + [Call(name, load, touched=PAGES) for name, load in {"depickle.torch.load": ours, **peers}.items()],
        [
            Goal("faster", bound, "depickle.torch.load", peer, touched)
            for bound, peer, touched in (
                (200, "torch.load", ""),
                (8, "torch.load(mmap=True)", ""),
                (15, "torch.load", PAGES),
                (NOISE, "torch.load(mmap=True)", PAGES),
            )
        ],
        lambda: same_bits(ours(), theirs()),
    )


def save_file(files, quick):
    """Saves tensors from memory to a new file; neither package waits for the disk."""
    path = files["gpt2.safetensors"]
    tensors = {name: tensor.clone() for name, tensor in module_of(THEIRS, "torch").load_file(path).items()}
    sides, goals = [], []
    for framework in ("torch", "numpy"):
        values = tensors if framework == "torch" else {name: tensor.numpy() for name, tensor in tensors.items()}
        for package in (OURS, THEIRS):
            output = path.with_name(f"out-{package}-{framework}")
            save = module_of(package, framework).save_file
            sides.append(
                Call(
                    f"{package}.{framework}.save_file",
                    lambda save=save, values=values, output=output: save(values, output),
                    output=output,
                )
            )
        goals.append(Goal("faster", NOISE, *(f"{package}.{framework}.save_file" for package in (OURS, THEIRS))))
    return Case("python-save", "save_file, 160 tensors", [path], 3 * path.stat().st_size, sides, goals)


def column_block(files, quick):
    """Reads a seventh of the columns of a 154 MB matrix. `contiguous` copies views, so that every byte is read."""
    path = files["gpt2.safetensors"]
    columns = slice(8, 16) if quick else slice(100, 210)
    contiguous = {"torch": torch.Tensor.contiguous, "numpy": numpy.ascontiguousarray}
    sides, goals, parts = [], [], {}
    for framework in contiguous:
        for backend in ("mmap", "pread"):
            name = {package: f"{package}, {framework}, {backend}" for package in (OURS, THEIRS)}
            for package in name:
                whole = module_of(package, "").safe_open(path, framework, backend=backend).get_slice("wte.weight")
                cut = lambda whole=whole: whole[:, columns]
                read = lambda cut=cut, copy=contiguous[framework]: {"part": copy(cut())}
                is_view = framework == "torch" and backend == "mmap"
                sides += [
                    Call(name[package], cut, 100 if is_view and not quick else 1),
                    Call(name[package], read, touched=BYTES),
                ]
                parts[name[package]] = read
            goals += [Goal("faster", NOISE, name[OURS], name[THEIRS], touched) for touched in ("", BYTES)]

    def check():
        first, *others = (read() for read in parts.values())
        for other in others:
            same_bits(first, other)

    return Case("python-slice", "get_slice, a block of columns", [path], path.stat().st_size, sides, goals, check)


class Import(Side):
    """An import in a new process, timed by that process, so that the start of Python does not count."""

    def __init__(self, package, times):
        super().__init__(f"import {package}")
        self.times = times
        self.command = [
            sys.executable,
            "-c",
            f"import sys, time; sys.path.append({str(PACKAGES)!r}); "
            f"a = time.perf_counter(); {self.name}; print(time.perf_counter() - a)",
        ]

    def sample(self):
        return sum(float(subprocess.check_output(self.command)) for _ in range(self.times)) / self.times


def imports(files, quick):
    compileall.compile_dir(PACKAGES, quiet=1)  # as an installation does
    times = 1 if quick else 10
    ours, theirs = Import("depickle.safetensors", times), Import("safetensors", times)
    return Case(
        "python-import", "import", [], 16 << 20, [ours, theirs], [Goal("faster", NOISE, ours.name, theirs.name)]
    )


# name → (the function that makes the case, the files that it needs)
CASES = {
    "python-load-torch": load_file("python-load-torch", "load_file, 160 tensors", "gpt2.safetensors", "torch", 5),
    "python-load-numpy": load_file("python-load-numpy", "load_file, 160 arrays", "gpt2.safetensors", "numpy", 200),
    "python-load-small": load_file(
        "python-load-small", "load_file, 1,000 small tensors", "small.safetensors", "torch", 5
    ),
    "python-torch-load": (torch_load, ["gpt2.bin"]),
    "python-save": (save_file, ["gpt2.safetensors"]),
    "python-slice": (column_block, ["gpt2.safetensors"]),
    "python-import": (imports, []),
}
GROUPS = {"python": list(CASES)}
