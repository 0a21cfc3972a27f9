"""Hostile files: nothing is executed, nothing crashes, and the error names the problem."""

import collections
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

import depickle.torch


class Call:
    """An object that is pickled as a call of `function`."""

    def __init__(self, function, *args, state=None, pairs=None):
        self.parts = (function, args, state, None, iter(pairs) if pairs else None)

    def __reduce__(self):
        return self.parts


class Storage:
    """An object that is pickled as the persistent id of a storage."""

    def __init__(self, numel=4, key="0", kind=torch.FloatStorage, location="cpu"):
        self.id = ("storage", kind, key, location, numel)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def write(path, value, storage=struct.pack("<4f", 1, 2, 3, 4), protocol=2):
    """Writes a torch zip file with the pickle of `value` and one storage."""
    data = value if isinstance(value, bytes) else io.BytesIO()
    if not isinstance(value, bytes):
        Pickler(data, protocol).dump(value)
        data = data.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [("data.pkl", data), ("version", b"3\n"), ("data/0", storage)]:
            archive.writestr(f"archive/{name}", content)
    return path


def tensor(*, storage=None, offset=0, size=(2, 2), stride=(2, 1), grad=False, hooks=None, extra=()):
    hooks = collections.OrderedDict() if hooks is None else hooks
    return Call(torch._utils._rebuild_tensor_v2, storage or Storage(), offset, size, stride, grad, hooks, *extra)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hostile.pt"


def test_torch_reads_the_helper_s_files(path):
    write(path, {"a": tensor()})
    assert torch.equal(torch.load(path)["a"], depickle.torch.load(path)["a"])


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("function", [os.system, eval, exec, __import__, getattr, subprocess.Popen])
def test_calls_are_never_executed(path, tmp_path, function, protocol):
    marker = tmp_path / "marker"
    write(path, {"w": tensor(), "x": Call(function, f"touch {marker}")}, protocol=protocol)
    found = depickle.torch.load(path)
    assert not marker.exists()
    assert found["x"].name == function.__name__ and found["x"].args == (f"touch {marker}",)
    assert found["w"].tolist() == [[1, 2], [3, 4]]
    assert not callable(found["x"])
    with pytest.raises(pickle.UnpicklingError, match=function.__name__):
        depickle.torch.load(path, inert=False)
    assert not marker.exists()


def test_nothing_is_imported(path, tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    write(path, b"\x80\x02cnever_imported\nThing\n)\x81}b.")
    assert repr(depickle.torch.load(path)) == "Inert(never_imported.Thing)"
    write(path, b"\x80\x02cnever_imported\nThing\n.")
    assert depickle.torch.load(path).args is None
    assert "never_imported" not in sys.modules


def test_computed_callables(path):
    write(path, b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x01\x00\x00\x00x\x86R(X\x02\x00\x00\x00idtR.")
    assert "getattr" in repr(depickle.torch.load(path))


def test_extension_codes(path):
    write(path, b"\x80\x02\x82\x05.")
    assert "extension 5" in repr(depickle.torch.load(path))


@pytest.mark.parametrize("kwargs, message", [
    ({"size": (2, 3)}, "reaches outside"),
    ({"offset": 1}, "reaches outside"),
    ({"stride": (3, 1)}, "reaches outside"),
    ({"size": (2**40, 2**40)}, "reaches outside"),
    ({"size": (2**62, 2**62), "stride": (2**62, 2**62)}, "reaches outside"),
    ({"size": (-1, 2)}, "shape contains int -1"),
    ({"stride": (2, -1)}, "stride contains int -1"),
    ({"offset": -1}, "offset"),
    ({"offset": 2**70}, "offset"),
    ({"size": (2,)}, "stride has 2 dimensions"),
    ({"size": (1,) * 65, "stride": (1,) * 65}, "dimensions"),
    ({"size": "text"}, "tuple"),
    ({"storage": 3}, "int 3 is not a storage"),
    ({"storage": Storage(5)}, "storage"),
    ({"storage": Storage(key="1")}, "record"),
    ({"storage": Storage(key="../0")}, "key"),
    ({"hooks": collections.OrderedDict(a=1)}, "hooks"),
    ({"hooks": Call(os.system, "true")}, "hooks"),
])  # fmt: skip
def test_tensors_with_invalid_arguments(path, kwargs, message):
    write(path, [tensor(**kwargs)])
    for inert in (True, False):
        with pytest.raises(pickle.UnpicklingError, match=message) as caught:
            depickle.torch.load(path, inert=inert)
        assert str(path) in str(caught.value)


def test_a_huge_expanded_tensor(path):
    """A tensor of a terabyte with stride 0 over four bytes takes no memory."""
    write(path, tensor(size=(2**38,), stride=(0,)))
    assert depickle.torch.load(path).numel() == 2**38


@pytest.mark.parametrize("build, message", [
    (lambda: Call(torch._utils._rebuild_tensor_v2), "a builder has 0 arguments"),
    (lambda: Call(torch._utils._rebuild_parameter, tensor(), True, Call(os.system, "true")), "hooks, which are code"),
    (lambda: tensor(storage=Storage(2, kind=torch.LongStorage), grad=True, size=(2,), stride=(1,)),
     "floating point and complex dtype"),
    (lambda: Call(torch.device, "no such device"), "Invalid device string"),
    (lambda: Call(torch.Size, ("a",)), "an iterable of 'int'"),
    (lambda: Call(set, ([],)), "unhashable type: 'list'"),
    (lambda: {Call(collections.OrderedDict): 1}, "unhashable type: 'collections.OrderedDict'"),
    (lambda: Call(torch._utils._rebuild_sparse_tensor, torch.sparse_coo,
                  (Call(torch._utils._rebuild_tensor_v2, Storage(2, kind=torch.LongStorage), 0, (1, 2), (2, 1), False,
                        collections.OrderedDict()), tensor(size=(2,), stride=(1,)), torch.Size((1,)))),
     'storage "0" has two types'),
])  # fmt: skip
def test_builders_with_wrong_arguments(path, build, message):
    write(path, [build()])
    with pytest.raises(pickle.UnpicklingError, match=message):
        depickle.torch.load(path)


@pytest.mark.parametrize("call", [Call(complex, 1, 10**400), Call(np.ndarray, (3,))], ids=["complex", "ndarray"])
def test_calls_with_unexpected_arguments_are_inert(path, call):
    write(path, [call])
    (found,) = depickle.torch.load(path)
    assert type(found) is depickle.torch.Inert and found.name == call.parts[0].__name__


def test_sparse_indices_outside(path):
    indices = Call(torch._utils._rebuild_tensor_v2, Storage(2, kind=torch.LongStorage), 0, (1, 2), (2, 1), False, {})
    value = Call(torch._utils._rebuild_sparse_tensor, Call(torch.serialization._get_layout, "torch.sparse_coo"),
                 (indices, torch.ones(2), torch.Size((1,))))  # fmt: skip
    write(path, [value], storage=struct.pack("<2q", 10**9, -5))
    with pytest.raises(pickle.UnpicklingError, match="indices|index"):
        depickle.torch.load(path)


def test_state_does_not_replace_methods(path):
    """State is stored in the object's __dict__; classes are not changed."""
    write(path, Call(collections.OrderedDict, state={"items": 3, "__class__": int, "_metadata": {}}, pairs=[("a", 1)]))
    found = depickle.torch.load(path)
    assert type(found) is collections.OrderedDict and list(collections.OrderedDict.items(found)) == [("a", 1)]


def test_unlisted_default_factories_are_inert(path):
    write(path, Call(collections.defaultdict, os.getcwd))
    assert type(depickle.torch.load(path)) is depickle.torch.Inert


# Deep, cyclic and damaged files


def test_deep_lists(path):
    write(path, b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    found, depth = depickle.torch.load(path), 1
    while found:
        found, depth = found[0], depth + 1
    assert depth == 100_000


@pytest.mark.parametrize("deep", [
    b"\x80\x02)" + b"\x85" * 100_000 + b".",
    b"\x80\x02" + b"cx\ny\n" * 50_000 + b")R" + b"\x85R" * 49_999 + b".",
    b"\x80\x02" + b"ccollections\nOrderedDict\n" * 50_000 + b")R" + b"\x85R" * 49_999 + b".",
    b"\x80\x04" + b"(" * 50_000 + b"\x91" * 50_000 + b".",
], ids=["tuples", "calls", "builders", "frozensets"])  # fmt: skip
def test_deep_tuples_and_calls(path, deep):
    write(path, deep)
    with pytest.raises(pickle.UnpicklingError, match="deep|nested"):
        depickle.torch.load(path)


def test_a_value_in_its_own_arguments(path):
    write(path, b"\x80\x02]q\x00h\x00cbuiltins\nfrozenset\nh\x00\x85Ra.")
    with pytest.raises(pickle.UnpicklingError, match="deep|nested"):
        depickle.torch.load(path)


def test_an_inert_object_in_its_own_state(path):
    write(path, b"\x80\x02cx\ny\n)\x81q\x00}X\x04\x00\x00\x00selfh\x00sb.")
    found = depickle.torch.load(path)
    assert found.state["self"] is found


def real_file(path, zipped):
    base = torch.randn(3, 4)
    state = {"a": base, "t": base.t(), "p": torch.nn.Parameter(base), "n": np.arange(3), "x": {"y": [1, (2, b"z")]}}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path.read_bytes()


def can_load(data):
    """Asserts that the only exceptions are UnpicklingError and those of torch for devices."""
    try:
        depickle.torch.load(io.BytesIO(data))
    except (pickle.UnpicklingError, RuntimeError) as error:
        assert type(error) is pickle.UnpicklingError or "deserialize" in str(error) or "location" in str(error), error
        return False
    return True


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_truncated(path, zipped):
    data = real_file(path, zipped)
    for end in range(0, len(data), max(1, len(data) // 400)):
        with pytest.raises(pickle.UnpicklingError):
            depickle.torch.load(io.BytesIO(data[:end]))


def test_truncated_on_disk(path):
    data = real_file(path, True)
    for end in (0, 1, 100, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(pickle.UnpicklingError, match="hostile.pt"):
            depickle.torch.load(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_random_damage(path, zipped):
    data = real_file(path, zipped)
    chance = random.Random(7)
    begin = data.index(b"\x80\x02")
    loaded = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(begin, min(len(data), begin + 1200))] = chance.randrange(256)
        loaded += can_load(bytes(damaged))
    assert 300 < loaded < 1500  # else the damage is not where the parser reads
