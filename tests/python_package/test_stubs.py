"""The type stubs match the package."""
import ast
import pathlib
import re
import subprocess
import sys

import pytest

import fresh
from depickle import _core

SAMPLE = '''
import io
import os
import pathlib
from typing import Any

import numpy
import torch

import depickle
import depickle.safetensors
import depickle.safetensors.numpy
import depickle.safetensors.torch
import depickle.torch
from depickle.safetensors import SafetensorError, TensorSpec, deserialize, safe_open, serialize, serialize_file


def shapes(path: "str | os.PathLike[str]") -> dict[str, list[int]]:
    with safe_open(path, framework="pt", device="cpu", backend="pread") as file:
        names: list[str] = file.keys()
        metadata: dict[str, str] | None = file.metadata()
        print(metadata, len(file), "a" in file, [name for name in file], file.offset_keys())
        return {name: file.get_slice(name).get_shape() for name in names}


def load(path: pathlib.Path) -> dict[str, torch.Tensor]:
    arrays: dict[str, numpy.ndarray[Any, Any]] = depickle.safetensors.numpy.load_file(path)
    depickle.safetensors.numpy.save_file(arrays, path)
    return depickle.safetensors.torch.load_file(path, device="cpu")


def save(model: torch.nn.Module, path: pathlib.Path) -> tuple[list[str], list[str]]:
    depickle.safetensors.torch.save_file(model.state_dict(), path, metadata={"format": "pt"})
    depickle.safetensors.torch.save_model(model, str(path))
    missing, unexpected = depickle.safetensors.torch.load_model(model, path)
    return sorted(missing), sorted(unexpected)


def raw(data: bytes) -> bytes:
    spec = TensorSpec(dtype="float32", shape=[2], data_ptr=0, data_len=8)
    serialize_file({"a": spec}, "model.safetensors", metadata=None)
    for name, info in deserialize(data):
        print(name.upper(), info["dtype"])
    return serialize({"a": spec}, {"format": "pt"})


def process() -> None:
    depickle.safetensors.install()
    depickle.safetensors.uninstall()
    depickle.torch.install()
    depickle.torch.uninstall()
    with depickle.forbid_pickle():
        pass
    try:
        depickle.torch.load(io.BytesIO(b""), map_location="cpu")
    except SafetensorError as error:
        print(str(error), depickle.__version__.upper())
'''


# Kept between runs: it contains the types of torch, which take mypy most of its time.
CACHE = pathlib.Path(__file__).parents[2] / "build/mypy"


def mypy(module, *arguments, cwd):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = fresh.environment(MYPYPATH=str(fresh.PACKAGES))
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600, env=environment)


MISTAKES = [
    "safe_open(3.5, 'pt')",
    "safe_open('a', 'pt').get_tensor(3)",
    "depickle.safetensors.torch.save_file([], 'a')",
    "depickle.safetensors.torch.load_file('a', nothing=1)",
    "serialize_file({}, 3.5)",
    "depickle.nothing",
]


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The errors of mypy for code without and with mistakes: [(file, line)]."""
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "sample.py").write_text(SAMPLE)
    (folder / "mistakes.py").write_text("\n".join([SAMPLE, *MISTAKES]))
    options = ["--strict", "--no-warn-unused-ignores", "--follow-imports=silent", "--cache-dir", CACHE]
    done = mypy("mypy", *options, "sample.py", "mistakes.py", cwd=folder)
    assert done.returncode == 1 and f"Found {len(MISTAKES)} errors in 1 file (checked 2 " in done.stdout, done
    found = [line.split(":") for line in done.stdout.splitlines() if " error: " in line]
    return [(file, int(line)) for file, line, *_ in found]


def test_code_that_uses_the_package_passes_mypy_strict(errors):
    assert [error for error in errors if error[0] == "sample.py"] == []


def test_mypy_finds_mistakes(errors):
    first = SAMPLE.count("\n") + 2
    assert errors == [("mistakes.py", line) for line in range(first, first + len(MISTAKES))]


# stubtest does not recognize nanobind's functions and classes (the tests below check them), some aliases are strings,
# and of the frameworks only torch and numpy are installed.
ALLOWED = r"""
depickle\._core\..*
depickle\.safetensors\._files\.(Data|Path|Source|Target)
depickle\._commands\.(Address|Token|Names)
depickle\.safetensors\.(flax|tensorflow|paddle|mlx)(\..*)?
"""


# stubtest parses everything again each time. Of torch's and numpy's types it compares nothing.
CONFIGURATION = """
[mypy]
ignore_errors = True
[mypy-torch.*,numpy.*]
follow_imports = skip
follow_imports_for_stubs = True
"""


def test_stubs_and_runtime_agree(tmp_path):
    allowed, config = tmp_path / "allowed.txt", tmp_path / "mypy.ini"
    allowed.write_text(ALLOWED)
    config.write_text(CONFIGURATION)
    options = ["--allowlist", allowed, "--ignore-unused-allowlist", "--ignore-missing-stub"]
    options += ["--mypy-config-file", config]
    done = mypy("mypy.stubtest", "depickle", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


STUB = {
    node.name: node
    for node in ast.parse((fresh.PACKAGES / "depickle/_core.pyi").read_text()).body
    if isinstance(node, (ast.ClassDef, ast.FunctionDef))
}
PROTOCOLS = {
    name
    for name, node in STUB.items()
    if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
}


def own_names(node):
    return {part.name for part in node.body if isinstance(part, ast.FunctionDef)} - {"__init__", "__buffer__"}


def test_every_name_of_the_stub_exists_in_the_extension():
    missing = [name for name in STUB.keys() - PROTOCOLS if not hasattr(_core, name)]
    for name, node in STUB.items():
        if isinstance(node, ast.ClassDef) and name not in PROTOCOLS:
            missing += [f"{name}.{part}" for part in own_names(node) if not hasattr(getattr(_core, name, None), part)]
    assert not missing


def test_every_name_of_the_extension_is_in_the_stub():
    extra = [name for name in vars(_core) if not name.startswith("__") and name not in STUB]
    for name, value in vars(_core).items():
        if isinstance(value, type) and name in STUB:
            parts = {part for part in vars(value) if not part.startswith("__")}
            extra += [f"{name}.{part}" for part in parts - own_names(STUB[name])]
    assert not extra


def argument_names(node):
    return [part.arg for part in [*node.args.args, *node.args.kwonlyargs]]


def test_argument_names_match():
    checked = 0
    for name, node in STUB.items():
        function = getattr(_core, name, None)
        signature = getattr(function, "__nb_signature__", None)
        if isinstance(node, ast.FunctionDef) and signature and len(signature) == 1:
            text = re.sub(r"\\\d+", "None", signature[0][0])  # defaults are numbered
            assert argument_names(ast.parse(f"{text}: ...").body[0]) == argument_names(node), name
            checked += 1
    assert checked >= 4


def test_the_package_is_marked_as_typed():
    package = pathlib.Path(fresh.PACKAGES) / "depickle"
    assert (package / "py.typed").exists() and (package / "_core.pyi").exists()
