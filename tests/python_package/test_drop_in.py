"""The framework modules of depickle.safetensors against those of `safetensors`: the same bytes, tensors and messages.

And what is better: see "What upstream gets wrong".
"""

import ast
import gc
import importlib
import importlib.util
import io
import pathlib
import re
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

import depickle
import depickle.safetensors
import depickle.safetensors.numpy
import depickle.safetensors.torch
import fresh

MODULES = {
    "numpy": (depickle.safetensors.numpy, safetensors.numpy),
    "torch": (depickle.safetensors.torch, safetensors.torch),
}
ours, theirs = MODULES["torch"]
ours_np, theirs_np = MODULES["numpy"]

TORCH_DTYPES = [t for t in ours._TYPES.values() if t is not None]


def of_every_dtype():
    """By name, a torch tensor of each dtype, with every byte value in it."""
    data = torch.arange(256, dtype=torch.uint8)
    return {str(t): data.clone().view(t) if t != torch.bool else (data > 7) for t in TORCH_DTYPES}


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def refusal(call, *words, **more):
    """The type and the text of what it raises."""
    with pytest.raises(Exception) as raised:
        call(*words, **more)
    return type(raised.value), str(raised.value)


# Names and signatures


@pytest.mark.parametrize("module", ["", ".numpy", ".torch"])
def test_every_name_of_upstream_is_there(module):
    names = [name for name in vars(sys.modules["safetensors" + module]) if not name.startswith("__")]
    imported = "os sys Any Dict List Optional Set Tuple Union serialize_file".split() if module else []
    mine = importlib.import_module("depickle.safetensors" + module)
    importlib.import_module("depickle.safetensors._safetensors_rust")
    assert [name for name in names if name not in imported and not hasattr(mine, name)] == []


@pytest.mark.parametrize("framework", ["numpy", "torch", "flax", "tensorflow", "paddle", "mlx"])
def test_arguments_are_upstreams_and_more_of_ours_come_by_name(framework):
    """Read from the sources: not every framework is installed."""

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


def test_it_says_the_version_of_the_api():
    assert depickle.safetensors.__version__ == safetensors.__version__ == "0.8.0"


# The same bytes


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_files_are_upstreams_byte_for_byte(metadata, tmp_path):
    tensors = of_every_dtype() | {"scalar": torch.tensor(3.5), "empty": torch.zeros(2, 0), "zero": torch.zeros(0)}
    assert ours.save(tensors, metadata) == theirs.save(tensors, metadata)
    ours.save_file(tensors, tmp_path / "a", metadata)
    theirs.save_file(tensors, tmp_path / "b", metadata)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_files_are_upstreams_byte_for_byte(gpt, tmp_path):
    dtypes = ["bool", "int8", "uint16", "float64", "complex64", ml_dtypes.bfloat16]
    arrays = gpt | {str(dtype): np.arange(8).astype(dtype) for dtype in dtypes}
    arrays |= {"0d": np.array(2.0), "none": np.zeros((0, 3))}
    assert ours_np.save(arrays, {"a": "b"}) == theirs_np.save(arrays, {"a": "b"})
    ours_np.save_file(arrays, tmp_path / "a")
    theirs_np.save_file(arrays, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("backend", [None, "mmap", "pread"])
def test_torch_reads_every_dtype_back(tmp_path, backend):
    tensors = of_every_dtype() | {"scalar": torch.tensor(3.5), "empty": torch.zeros(2, 0)}
    ours.save_file(tensors, tmp_path / "x")
    for loaded in ours.load_file(tmp_path / "x", backend=backend), ours.load((tmp_path / "x").read_bytes()):
        assert {name: (t.dtype, t.shape, bits(t)) for name, t in loaded.items()} == {
            name: (t.dtype, t.shape, bits(t)) for name, t in tensors.items()
        }


@pytest.mark.parametrize("backend", [None, "mmap", "pread"])
def test_numpy_reads_every_dtype_back(tmp_path, backend):
    """Also those that numpy has from ml_dtypes, which upstream does not load."""
    tensors = {name: tensor for name, tensor in of_every_dtype().items() if "float4" not in name}
    ours.save_file(tensors, tmp_path / "x")
    for loaded in ours_np.load_file(tmp_path / "x", backend=backend), ours_np.load((tmp_path / "x").read_bytes()):
        assert {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in loaded.items()} == {
            name: (name.removeprefix("torch."), tuple(tensor.shape), bits(tensor)) for name, tensor in tensors.items()
        }
        assert ours_np.save(loaded) == (tmp_path / "x").read_bytes()


def test_numpy_says_what_it_has_no_dtype_for(tmp_path, monkeypatch):
    ours.save_file({"a": torch.zeros(2, 2, dtype=torch.float4_e2m1fn_x2)}, tmp_path / "x")
    data = (tmp_path / "x").read_bytes()
    assert refusal(ours_np.load, data) == (depickle.safetensors.SafetensorError, "Dtype not understood: F4")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    error, text = refusal(ours_np.load, ours.save({"a": torch.zeros(2, dtype=torch.bfloat16)}))
    assert error is depickle.safetensors.SafetensorError and "BF16" in text and "ml_dtypes" in text


# What lies where


def test_numpy_arrays_lie_in_the_file_and_can_be_written(gpt, tmp_path):
    ours_np.save_file(gpt, tmp_path / "x")
    before = (tmp_path / "x").read_bytes()
    loaded = ours_np.load_file(tmp_path / "x")
    gc.collect()
    assert all(array.flags.writeable and not array.flags.owndata for array in loaded.values())
    loaded["wte.weight"][:] = 1
    assert (loaded["wte.weight"] == 1).all() and (tmp_path / "x").read_bytes() == before


@pytest.mark.parametrize("load", [lambda path: ours.load_file(path), lambda path: ours.load(path.read_bytes())])
def test_each_tensor_has_a_storage_of_its_own_bytes(gpt, tmp_path, load):
    ours_np.save_file(gpt, tmp_path / "x")
    for tensor in load(tmp_path / "x").values():
        assert ours.storage_size(tensor) == tensor.nbytes and tensor.storage_offset() == 0


def test_load_does_not_write_to_the_bytes_it_was_given():
    data = ours.save({"a": torch.ones(4)})
    ours.load(data)["a"].zero_()
    ours_np.load(data)["a"][:] = 0
    assert (ours_np.load(data)["a"] == 1).all()


def test_load_takes_a_device():
    assert ours.load(ours.save({"a": torch.ones(4)}), device="meta")["a"].device.type == "meta"


# What upstream gets wrong


STRIDED = {
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "step": np.arange(24, dtype=np.int16)[::3],
    "backwards": np.arange(24, dtype=np.int16)[::-1],
    "broadcast": np.broadcast_to(np.float32(3), (2, 5)),
    "column": np.arange(12, dtype=ml_dtypes.bfloat16).reshape(3, 4)[:, 1],
    "big": np.arange(6, dtype=">f8"),
    "big strided": np.arange(6, dtype=">c8").reshape(2, 3).T,
    "big scalar": np.array(7, dtype=">i4"),
    "memmap": np.ones((2, 3), np.float32).view(np.memmap),
}


@pytest.mark.parametrize("case", STRIDED)
def test_strided_and_big_endian_arrays_are_saved_right(case, tmp_path):
    array = STRIDED[case]
    before = array.tobytes("A"), array.dtype, array.strides
    ours_np.save_file({"x": array}, tmp_path / "x")
    loaded = ours_np.load_file(tmp_path / "x")["x"]
    assert loaded.dtype == array.dtype.newbyteorder("<") and loaded.shape == array.shape
    assert loaded.tolist() == np.asarray(array).tolist()
    assert (array.tobytes("A"), array.dtype, array.strides) == before


def test_a_lazily_conjugated_tensor_is_saved_as_it_shows():
    tensor = torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64)
    loaded = ours.load(ours.save({"conj": tensor.conj(), "neg": tensor.conj().imag.contiguous()}))
    assert torch.equal(loaded["conj"], tensor.conj().resolve_conj()) and loaded["neg"].tolist() == [-2.0, 4.0]


def test_a_small_view_does_not_hide_a_later_overlap():
    base = torch.arange(10.0)
    names = {"all": base, "inner": base[2:3], "tail": base[5:]}
    assert theirs._find_shared_tensors(names) == [{"all", "inner"}, {"tail"}]
    assert ours._find_shared_tensors(names) == [{"all", "inner", "tail"}]
    assert refusal(ours.save, names)[0] is RuntimeError


@pytest.mark.parametrize("module", MODULES)
def test_the_callers_dict_and_metadata_stay_as_they_are(module, tmp_path):
    tensors = {"a": np.asfortranarray(np.ones((2, 3)))} if module == "numpy" else {"a": torch.ones(2, 3)}
    before, metadata = dict(tensors), {"k": "v"}
    MODULES[module][0].save(tensors, metadata)
    MODULES[module][0].save_file(tensors, tmp_path / "x", metadata)
    assert list(tensors) == list(before) and tensors["a"] is before["a"] and metadata == {"k": "v"}


@pytest.mark.parametrize("wrong, kind", [([1.0], "list"), (1.5, "float"), (torch.ones(2), "torch.Tensor")])
def test_numpy_names_the_key_of_what_is_no_array(wrong, kind):
    assert refusal(ours_np.save, {"a": np.ones(1), "b": wrong}) == (
        ValueError,
        f"Key `b` is invalid, expected np.ndarray but received <class '{kind}'>",
    )


# Files that are open, and bytes of any kind


@pytest.mark.parametrize("module", MODULES)
def test_open_files_go_where_paths_do(module, gpt, tmp_path):
    tested = MODULES[module][0]
    tensors = gpt if module == "numpy" else {name: torch.from_numpy(array) for name, array in gpt.items()}
    expected = tested.save(tensors, {"k": "v"})

    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    tested.save_file(tensors, buffer, {"k": "v"})
    assert buffer.getvalue() == b"before" + expected
    buffer.seek(6)
    assert same(tested.load_file(buffer), tensors)
    buffer.seek(6)
    assert same(tested.load(buffer), tensors)

    for buffering in 0, -1:
        with open(tmp_path / "x", "wb", buffering=buffering) as file:
            tested.save_file(tensors, file, {"k": "v"}, durable=True)
        assert (tmp_path / "x").read_bytes() == expected
        with open(tmp_path / "x", "rb", buffering=buffering) as file:
            assert same(tested.load_file(file), tensors)

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, archive.open("member", "w") as member:
        tested.save_file(tensors, member, {"k": "v"})
    with zipfile.ZipFile(tmp_path / "x.zip") as archive, archive.open("member") as member:
        assert same(tested.load_file(member), tensors)


def same(one, other):
    one, other = ({name: np.asarray(value).tobytes() for name, value in each.items()} for each in (one, other))
    return one == other


def test_a_raw_file_that_takes_bytes_piecemeal():
    class Slow(io.RawIOBase):
        taken = b""

        def writable(self):
            return True

        def write(self, data):
            self.taken += bytes(data[:7])
            return min(7, len(data))

    slow = Slow()
    ours.save_file({"a": torch.arange(9)}, slow)
    assert slow.taken == ours.save({"a": torch.arange(9)})


def test_a_file_that_raises_says_so():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    assert refusal(ours.save_file, {"a": torch.ones(1)}, Full()) == (OSError, "[Errno 28] No space left on device")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_load_takes_whatever_is_bytes(kind):
    data = kind(ours.save({"a": torch.arange(5)}))
    assert ours.load(data)["a"].tolist() == ours_np.load(data)["a"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("wrong", ["text", 5, None, io.StringIO("text")])
def test_load_of_what_is_not_bytes(module, wrong):
    assert refusal(MODULES[module][0].load, wrong)[0] is TypeError


@pytest.mark.parametrize("module", MODULES)
def test_durable_is_asked_for_by_name_and_gives_the_same_file(module, tmp_path):
    tensors = {"a": np.ones(3)} if module == "numpy" else {"a": torch.ones(3)}
    for durable in True, False:
        MODULES[module][0].save_file(tensors, tmp_path / str(durable), durable=durable)
    assert (tmp_path / "True").read_bytes() == (tmp_path / "False").read_bytes()
    with pytest.raises(TypeError):
        MODULES[module][0].save_file(tensors, tmp_path / "x", None, True)
    with pytest.raises(io.UnsupportedOperation):
        MODULES[module][0].save_file(tensors, io.BytesIO(), durable=True)


# Messages, word for word


def refused_tensors():
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


@pytest.mark.parametrize("case", refused_tensors())
def test_torch_refuses_with_upstreams_words(case, tmp_path):
    tensors = refused_tensors()[case]

    def in_order(refused):
        return refused[0], re.sub(r"\{.*?\}", lambda names: str(sorted(ast.literal_eval(names[0]))), refused[1])

    assert in_order(refusal(ours.save, tensors)) == in_order(refusal(theirs.save, tensors))
    path = tmp_path / "x"
    assert in_order(refusal(ours.save_file, tensors, path)) == in_order(refusal(theirs.save_file, tensors, path))
    assert list(tmp_path.iterdir()) == []


def test_private_helpers_agree():
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


def test_what_0_7_had_is_still_taken():
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    old = ours._flatten(tensors)
    assert old["a"] == {"dtype": "float32", "shape": torch.Size([2, 3]), "data": ours._tobytes(tensors["a"], "a")}
    assert depickle.safetensors.serialize(old) == ours.save(tensors)
    assert "`t`" in refusal(ours._tobytes, tensors["a"].t(), "t")[1]


# Models


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.b = self.a = torch.nn.Linear(3, 3)
        self.c = torch.nn.Linear(3, 3)
        self.c.weight = torch.nn.Parameter(torch.arange(9.0).reshape(3, 3).t())


class Untied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (torch.nn.Linear(3, 3) for _ in "abc")


def test_a_model_goes_to_the_same_file_and_back(tmp_path):
    model, metadata = Tied(), {"b.bias": "mine"}
    ours.save_model(model, tmp_path / "a", metadata)
    theirs.save_model(model, tmp_path / "b", dict(metadata))
    assert metadata == {"b.bias": "mine"}
    with safetensors.safe_open(tmp_path / "a", "pt") as a, safetensors.safe_open(tmp_path / "b", "pt") as b:
        assert a.metadata() == b.metadata() == {"b.bias": "mine", "b.weight": "a.weight"} and a.keys() == b.keys()
    loaded = Tied()
    assert ours.load_model(loaded, tmp_path / "b") == theirs.load_model(Tied(), tmp_path / "a") == (set(), [])
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_model_goes_through_an_open_file():
    model, buffer, loaded = Tied(), io.BytesIO(), Tied()
    ours.save_model(model, buffer)
    buffer.seek(0)
    ours.load_model(loaded, buffer)
    assert torch.equal(loaded.a.weight, model.a.weight)


def test_models_that_do_not_match_are_refused_with_upstreams_words(tmp_path):
    theirs.save_model(Tied(), tmp_path / "tied")
    theirs.save_model(Untied(), tmp_path / "untied")
    for kind, file in (Untied, "tied"), (Tied, "untied"):
        assert refusal(ours.load_model, kind(), tmp_path / file) == refusal(theirs.load_model, kind(), tmp_path / file)
        mine, upstream = (module.load_model(kind(), tmp_path / file, strict=False) for module in (ours, theirs))
        assert mine == upstream
    for model, more in (Tied(), {"force_contiguous": False}), (Partial(), {}):
        mine, upstream = (refusal(module.save_model, model, tmp_path / "x", **more) for module in (ours, theirs))
        assert mine == upstream


class Partial(torch.nn.Module):
    """Its only tensor is a view of a larger one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("view", torch.zeros(1000, 10)[:100])


# What it costs


def test_importing_it_imports_no_framework():
    code = "import sys, depickle.safetensors; print({'numpy', 'torch', 'typing', 'inspect'} & set(sys.modules))"
    assert fresh.run(code).stdout.strip() == "set()"


def test_importing_it_loads_nothing_else():
    code = """
        import sys
        before = set(sys.modules)
        import depickle.safetensors
        print(sorted(set(sys.modules) - before))
    """
    assert fresh.run(code).stdout.split("\n")[0] == str(["depickle", "depickle.safetensors"])


def test_saving_allocates_nothing_of_the_size_of_the_tensors(tmp_path):
    code = """
        import resource, sys, numpy
        from depickle.safetensors.numpy import save_file
        array = numpy.ones(50_000_000, numpy.uint8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        save_file({"a": array}, sys.argv[1])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    assert int(fresh.run(code, tmp_path / "x").stdout) < 20_000  # KiB
