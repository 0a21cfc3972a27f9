"""depickle.forbid_pickle: unpickling of weights raises, everything else works, and undo restores all functions."""

import io
import pickle
import sys

import numpy as np
import pytest
import torch

import depickle
import depickle.torch
import fresh
from threads import in_threads


@pytest.fixture
def path(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def raises_forbidden():
    return pytest.raises(pickle.UnpicklingError, match="forbid")


def test_torch(path):
    load, serialization_load, jit_load = torch.load, torch.serialization.load, torch.jit.load
    with depickle.forbid_pickle():
        for kwargs in ({}, {"weights_only": True}, {"weights_only": False}, {"mmap": True}):
            with raises_forbidden():
                torch.load(path, **kwargs)
        with raises_forbidden():
            torch.load(io.BytesIO(path.read_bytes()))
        with raises_forbidden():
            torch.serialization.load(path)
        with raises_forbidden():
            torch.jit.load(path)
        assert torch.equal(depickle.torch.load(path)["a"], torch.ones(2))
        assert list(depickle.open(path)) == ["a"]
    assert torch.load is load and torch.serialization.load is serialization_load and torch.jit.load is jit_load
    assert torch.equal(torch.load(path)["a"], torch.ones(2))


def test_message_contains_a_hint(path):
    with depickle.forbid_pickle(), pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(path)
    assert str(path) in str(caught.value) and "hint: load it with depickle.torch.load" in str(caught.value)


def test_tensors_in_a_pickle(path):
    data = pickle.dumps(torch.ones(2))
    with depickle.forbid_pickle():
        with raises_forbidden():
            pickle.loads(data)
        assert pickle.loads(pickle.dumps([1, "plain"])) == [1, "plain"]


def test_package(tmp_path):
    from torch.package import PackageExporter, PackageImporter

    with PackageExporter(tmp_path / "p.pt") as exporter:
        exporter.save_pickle("model", "model.pkl", {"a": 1})
    method = PackageImporter.load_pickle
    with depickle.forbid_pickle(), raises_forbidden():
        PackageImporter(tmp_path / "p.pt").load_pickle("model", "model.pkl")
    assert PackageImporter.load_pickle is method
    assert PackageImporter(tmp_path / "p.pt").load_pickle("model", "model.pkl") == {"a": 1}


def test_numpy(tmp_path):
    np.save(tmp_path / "plain.npy", np.arange(3))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "both.npz", plain=np.arange(3), objects=np.array([{}], object))
    (tmp_path / "raw.npy").write_bytes(pickle.dumps([1]))
    load = np.load
    with depickle.forbid_pickle():
        assert np.load(tmp_path / "plain.npy", allow_pickle=True).tolist() == [0, 1, 2]
        both = np.load(tmp_path / "both.npz", allow_pickle=True)
        assert both["plain"].tolist() == [0, 1, 2]
        for name in ("objects.npy", "raw.npy"):
            with raises_forbidden():
                np.load(tmp_path / name, allow_pickle=True)
            with raises_forbidden(), open(tmp_path / name, "rb") as f:
                np.load(f, None, True)
        with raises_forbidden():
            both["objects"]
        with pytest.raises(ValueError, match="allow_pickle"):
            np.load(tmp_path / "objects.npy")
    assert np.load is load
    assert np.load(tmp_path / "raw.npy", allow_pickle=True) == [1]
    assert np.load(tmp_path / "objects.npy", allow_pickle=True)[0] == {}


def test_names_imported_before(path):
    namespace = type(sys)("importing_module")
    exec("from torch import load", namespace.__dict__)
    sys.modules[namespace.__name__] = namespace
    try:
        with depickle.forbid_pickle(), raises_forbidden():
            namespace.load(path)
        assert namespace.load is torch.load
    finally:
        del sys.modules[namespace.__name__]


def test_nested_and_repeated(path):
    outer = depickle.forbid_pickle()
    with depickle.forbid_pickle() as inner:
        inner.undo()
        inner.undo()
        with raises_forbidden():
            torch.load(path)
    with raises_forbidden():
        torch.load(path)
    outer.allow()
    torch.load(path)


def test_threads(path):
    original = torch.load

    def work(_):
        for _ in range(12):
            with depickle.forbid_pickle():
                with raises_forbidden():
                    torch.load(path)

    in_threads(work, 4)
    torch.load(path)
    assert torch.load is original


def test_with_install(path):
    """torch.load of depickle.torch.install is not forbidden; any order of undoing restores the original."""
    original = torch.load
    forbidden = depickle.forbid_pickle()
    depickle.torch.install()
    assert torch.equal(torch.load(path)["a"], torch.ones(2))
    forbidden.undo()
    assert torch.equal(torch.load(path)["a"], torch.ones(2))
    depickle.torch.uninstall()
    assert torch.load(path) and torch.serialization.load(path)

    torch.load = torch.serialization.load = original
    depickle.torch.install()
    with depickle.forbid_pickle():
        torch.load(path)
        depickle.torch.uninstall()
    assert torch.load is original


LATER = """
import pickle, sys
import depickle
assert "torch" not in sys.modules and "numpy" not in sys.modules
forbidden = depickle.forbid_pickle()
import torch, numpy
for load in (lambda: torch.load(sys.argv[1]), lambda: torch.serialization.load(sys.argv[1]),
             lambda: torch.jit.load(sys.argv[1]), lambda: numpy.load(sys.argv[2], allow_pickle=True)):
    try:
        load()
    except pickle.UnpicklingError as error:
        assert "forbid" in str(error), error
    else:
        raise SystemExit("loaded")
forbidden.undo()
assert torch.load(sys.argv[1])["a"].tolist() == [1, 1] and numpy.load(sys.argv[2], allow_pickle=True)[0] == {}
import json, importlib.resources, torch.package.package_importer, inspect
inspect.getsource(torch.serialization)
"""


def test_modules_imported_later(path, tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    fresh.run(LATER, path, tmp_path / "o.npy")


FAKE = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
import depickle
with depickle.forbid_pickle():
    import joblib
    try:
        joblib.load("x")
    except pickle.UnpicklingError:
        pass
    else:
        raise SystemExit("loaded")
assert joblib.load("x") == "loaded"
"""


def test_joblib_with_a_fake_module(tmp_path):
    """Imitates joblib's modules, because the tests do not depend on joblib."""
    (tmp_path / "joblib").mkdir()
    (tmp_path / "joblib" / "__init__.py").write_text("from .numpy_pickle import load\n")
    (tmp_path / "joblib" / "numpy_pickle.py").write_text("def load(filename):\n    return 'loaded'\n")
    fresh.run(FAKE, tmp_path)
