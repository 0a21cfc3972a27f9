"""depickle.safetensors compared with `safetensors`: the same names, arguments, files, tensors and messages."""

import ast
import importlib
import importlib.util
import pathlib
import re
import sys

import ml_dtypes
import numpy as np
import pytest
import safetensors
import torch

import depickle
import depickle.safetensors
import fresh
from drop_in import bits, ours, ours_np, raised_by, tensors_of_every_dtype, theirs, theirs_np


# Names and signatures


@pytest.mark.parametrize("module", ["", ".numpy", ".torch"])
def test_every_upstream_name_exists(module):
    names = [name for name in vars(sys.modules["safetensors" + module]) if not name.startswith("__")]
    imported = "os sys Any Dict List Optional Set Tuple Union serialize_file".split() if module else []
    mine = importlib.import_module("depickle.safetensors" + module)
    importlib.import_module("depickle.safetensors._safetensors_rust")
    assert [name for name in names if name not in imported and not hasattr(mine, name)] == []


@pytest.mark.parametrize("framework", ["numpy", "torch", "flax", "tensorflow", "paddle", "mlx"])
def test_signatures_match_upstream_except_for_more_keyword_arguments(framework):
    """Compares the source files, because not every framework is installed."""

    def functions(package):
        path = pathlib.Path(importlib.util.find_spec(package).origin).parent / f"{framework}.py"
        return {node.name: node.args for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}

    def positional(arguments):
        return [each.arg for each in arguments.args], [ast.literal_eval(each) for each in arguments.defaults]

    mine, upstream = functions("depickle.safetensors"), functions("safetensors")
    for name, arguments in upstream.items():
        count = len(arguments.args)
        names, defaults = positional(mine[name])
        assert names[:count] == positional(arguments)[0], name
        assert defaults[: len(arguments.defaults)] == positional(arguments)[1], name
        assert {a.arg for a in arguments.kwonlyargs} <= {a.arg for a in mine[name].kwonlyargs}, name


def test_version_is_that_of_the_api():
    assert depickle.safetensors.__version__ == safetensors.__version__ == "0.8.0"


# Files and tensors


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_torch_files_equal_upstream_byte_for_byte(metadata, tmp_path):
    tensors = tensors_of_every_dtype()
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(2, 0), "zero": torch.zeros(0)}
    assert ours.save(tensors, metadata) == theirs.save(tensors, metadata)
    ours.save_file(tensors, tmp_path / "a", metadata)
    theirs.save_file(tensors, tmp_path / "b", metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_files_equal_upstream_byte_for_byte(gpt, tmp_path):
    dtypes = ["bool", "int8", "uint16", "float64", "complex64", ml_dtypes.bfloat16]
    arrays = gpt | {str(dtype): np.arange(8).astype(dtype) for dtype in dtypes}
    arrays |= {"0d": np.array(2.0), "none": np.zeros((0, 3))}
    assert ours_np.save(arrays, {"a": "b"}) == theirs_np.save(arrays, {"a": "b"})
    ours_np.save_file(arrays, tmp_path / "a")
    theirs_np.save_file(arrays, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("backend", [None, "mmap", "pread"])
def test_torch_loads_every_dtype(tmp_path, backend):
    tensors = tensors_of_every_dtype() | {"scalar": torch.tensor(3.5), "empty": torch.zeros(2, 0)}
    ours.save_file(tensors, tmp_path / "x")
    for loaded in ours.load_file(tmp_path / "x", backend=backend), ours.load((tmp_path / "x").read_bytes()):
        assert {name: (t.dtype, t.shape, bits(t)) for name, t in loaded.items()} == {
            name: (t.dtype, t.shape, bits(t)) for name, t in tensors.items()
        }


@pytest.mark.parametrize("backend", [None, "mmap", "pread"])
def test_numpy_loads_every_dtype(tmp_path, backend):
    """Includes the dtypes of ml_dtypes, which upstream does not load."""
    tensors = {name: tensor for name, tensor in tensors_of_every_dtype().items() if "float4" not in name}
    ours.save_file(tensors, tmp_path / "x")
    for loaded in ours_np.load_file(tmp_path / "x", backend=backend), ours_np.load((tmp_path / "x").read_bytes()):
        assert {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in loaded.items()} == {
            name: (name.removeprefix("torch."), tuple(tensor.shape), bits(tensor)) for name, tensor in tensors.items()
        }
        assert ours_np.save(loaded) == (tmp_path / "x").read_bytes()


def test_numpy_names_an_unsupported_dtype(tmp_path, monkeypatch):
    ours.save_file({"a": torch.zeros(2, 2, dtype=torch.float4_e2m1fn_x2)}, tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    assert raised_by(ours_np.load, data) == (depickle.safetensors.SafetensorError, "Dtype not understood: F4")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    error, text = raised_by(ours_np.load, ours.save({"a": torch.zeros(2, dtype=torch.bfloat16)}))
    assert error is depickle.safetensors.SafetensorError and "BF16" in text and "ml_dtypes" in text


# Messages


def invalid_tensors():
    base = torch.arange(6.0).reshape(2, 3)
    return {
        "not a dict": [base],
        "not a tensor": {"a": base, "b": 5},
        "sparse": {"a": base.to_sparse(), "b": base.to_sparse_csr(), "c": base},
        "shared": {"a": base, "b": base[:1]},
        "tied": {"a": base, "b": base},
        "strided": {"a": base.t()},
        "meta": {"a": base.to("meta")},
    }


@pytest.mark.parametrize("case", invalid_tensors())
def test_torch_errors_match_upstream(case, tmp_path):
    tensors = invalid_tensors()[case]

    def sort_names(error):
        return error[0], re.sub(r"\{.*?\}", lambda names: str(sorted(ast.literal_eval(names[0]))), error[1])

    assert sort_names(raised_by(ours.save, tensors)) == sort_names(raised_by(theirs.save, tensors))
    path = tmp_path / "x"
    mine, upstream = (raised_by(module.save_file, tensors, path) for module in (ours, theirs))
    assert sort_names(mine) == sort_names(upstream)
    assert list(tmp_path.iterdir()) == []


def test_private_helpers_match_upstream():
    base = torch.arange(24.0).reshape(4, 6)
    views = [base, base[1:], base[:, 2], base[::2], base[:0], base.to(torch.bfloat16), base.to("meta")]
    for view in [*views, torch.tensor(1.0), torch.zeros(0)]:
        for name in "storage_ptr", "storage_size", "_is_complete":
            assert getattr(ours, name)(view) == getattr(theirs, name)(view), (name, view.shape)
        if view.is_contiguous() and view.device.type != "meta":
            assert ours._end_ptr(view) == theirs._end_ptr(view)
            mine, upstream = ours._to_ndarray(view), theirs._to_ndarray(view)
            assert mine[0].tobytes() == upstream[0].tobytes()
            assert not view.nelement() or mine[0].ctypes.data == upstream[0].ctypes.data
    assert {dtype: ours._SIZE[dtype] for dtype in theirs._SIZE} == theirs._SIZE
    assert {code: ours._getdtype(code) for code in theirs._TYPES} == theirs._TYPES
    assert {code: ours_np._getdtype(code) for code in theirs_np._TYPES} == theirs_np._TYPES
    assert [ours_np._is_little_endian(np.zeros(1, kind)) for kind in ("<f4", ">f4", "u1")] == [True, False, True]
    views = {"a": base, "b": base[:1], "c": base[2:], "d": torch.ones(2)}
    assert ours._find_shared_tensors(views) == theirs._find_shared_tensors(views)
    choices = [{}, {"preferred_names": ["b2"]}, {"discard_names": ["a"]}, {"discard_names": ["a", "b1", "b2"]}]
    for choice in [*choices, {"preferred_names": ["x"], "discard_names": ["a", "b2"]}]:
        tied = {"a": base, "b2": base, "b1": base, "other": torch.ones(3)}
        assert ours._remove_duplicate_names(tied, **choice) == theirs._remove_duplicate_names(tied, **choice), choice


def test_the_interface_of_0_7_is_supported():
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    old = ours._flatten(tensors)
    assert old["a"] == {"dtype": "float32", "shape": torch.Size([2, 3]), "data": ours._tobytes(tensors["a"], "a")}
    assert depickle.safetensors.serialize(old) == ours.save(tensors)
    assert "`t`" in raised_by(ours._tobytes, tensors["a"].t(), "t")[1]


# Cost


def test_import_does_not_import_a_framework():
    code = "import sys, depickle.safetensors; print({'numpy', 'torch', 'typing', 'inspect'} & set(sys.modules))"
    assert fresh.run(code).stdout.strip() == "set()"


def test_import_loads_no_other_module():
    code = """
        import sys
        before = set(sys.modules)
        import depickle.safetensors
        print(sorted(set(sys.modules) - before))
    """
    assert fresh.run(code).stdout.split("\n")[0] == str(["depickle", "depickle.safetensors"])


def test_save_file_does_not_copy_the_tensors(tmp_path):
    code = """
        import resource, sys, numpy
        from depickle.safetensors.numpy import save_file
        array = numpy.ones(50_000_000, numpy.uint8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        save_file({"a": array}, sys.argv[1])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    assert int(fresh.run(code, tmp_path / "x").stdout) < 20_000  # KiB
