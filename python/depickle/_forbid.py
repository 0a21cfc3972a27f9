"""`forbid_pickle`: makes every unpickling of weights in this process raise."""

from __future__ import annotations

import functools
import importlib.machinery
import io
import os
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

from depickle._rebind import rebind, undo

_lock = threading.RLock()
_active = 0
_rebound: list[Any] = []
_stubs: dict[int, tuple[Any, Any]] = {}  # id of an original function: (original, its only stub)

_HINT = "hint: load it with depickle.torch.load, or convert it with depickle.convert"


class _Forbidden:
    """The result of `forbid_pickle`. `undo`, or the end of a `with` block, reverts that call."""

    def __init__(self) -> None:
        self._is_active = True

    def undo(self) -> None:
        """Allows unpickling again, unless another forbid_pickle is active. A second call does nothing."""
        with _lock:
            if self._is_active:
                self._is_active = False
                _release()

    allow = undo

    def __enter__(self) -> _Forbidden:
        return self

    def __exit__(self, *exception: object) -> None:
        self.undo()


def forbid_pickle() -> _Forbidden:
    """Makes every call that would unpickle weights in this process raise pickle.UnpicklingError.

    These are torch.load (also with weights_only), torch.jit.load, torch.package, torch.hub and other libraries that
    load through these, pickled tensors in any pickle, numpy's arrays of objects (plain arrays still load with
    allow_pickle=True), joblib.load and pandas.read_pickle, also if these modules are imported later. The module
    `pickle` itself is not changed, because multiprocessing needs it. depickle.torch.load still works, as does
    torch.load after depickle.torch.install(): they execute nothing.

        with depickle.forbid_pickle():          # or: forbidden = depickle.forbid_pickle(); …; forbidden.undo()
            model = load_somehow(path)

    Calls may be nested and come from several threads; unpickling is allowed again when the last one is undone.
    """
    global _active
    with _lock:
        forbidden = _Forbidden()
        _active += 1
        if _active == 1:
            sys.meta_path.insert(0, _watcher)
            for module in _GUARDS:
                _guard(module)
        return forbidden


def _release() -> None:
    global _active
    _active -= 1
    if _active == 0:
        sys.meta_path.remove(_watcher)
        undo(_rebound)


def _guard(module_name: str) -> None:
    """Replaces functions of a loaded module by stubs."""
    module = sys.modules.get(module_name)
    for name, make in _GUARDS[module_name].items():
        owner, _, attribute = name.rpartition(".")
        namespace: Any = getattr(module, owner, None) if owner else module
        original = vars(namespace).get(attribute) if namespace is not None else None
        if original is None or _is_ours(original):
            continue
        _, stub = _stubs.setdefault(id(original), (original, make(original)))
        if owner:
            setattr(namespace, attribute, stub)
            _rebound.append((_Attributes(namespace), attribute, original, stub))
        else:
            _rebound.extend(rebind(original, stub))


class _Attributes:
    """The attributes of a class, with the interface that `undo` expects of a module's names."""

    def __init__(self, owner: type) -> None:
        self.owner = owner

    def get(self, name: str) -> Any:
        return vars(self.owner).get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.owner, name, value)


def _is_ours(function: Any) -> bool:
    """Whether the function is a stub, or depickle.torch.load in place of torch.load."""
    return getattr(getattr(function, "__code__", None), "co_filename", "").startswith(os.path.dirname(__file__))


def _refuse(what: str, source: Any) -> None:
    name = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", type(source).__name__)
    raise pickle.UnpicklingError(f"{what}({name!r}): pickle is forbidden by depickle.forbid_pickle()\n{_HINT}")


def _stub(check: Callable[..., None]) -> Callable[[Any], Any]:
    """Creates stubs that run `check` on the arguments, then the original. An inactive stub only calls the original."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def stub(*args: Any, **kwargs: Any) -> Any:
            if _active:
                check(*args, **kwargs)
            return original(*args, **kwargs)

        return stub

    return make


def _always(what: str, position: int = 0) -> Callable[[Any], Any]:
    def check(*args: Any, **kwargs: Any) -> None:
        _refuse(what, args[position] if len(args) > position else next(iter(kwargs.values()), None))

    return _stub(check)


def _check_torch_load(f: Any = None, *args: Any, **kwargs: Any) -> None:
    if isinstance(f, (str, os.PathLike)) and os.fspath(f).endswith(".safetensors"):
        return  # torch.load reads it as safetensors
    _refuse("torch.load", f)


def _check_numpy_load(
    file: Any = None, mmap_mode: Any = None, allow_pickle: bool = False, *args: Any, **kwargs: Any
) -> None:
    """Refuses files other than .npy and .npz, which numpy would unpickle. Their arrays go through read_array."""
    if not allow_pickle:
        return
    if isinstance(file, (str, os.PathLike)):
        with io.open(file, "rb") as opened:
            head = opened.read(6)
    else:
        head = file.read(6)
        file.seek(-len(head), os.SEEK_CUR)
    if not head.startswith((b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")):
        _refuse("numpy.load", file)


def _read_array(original: Any) -> Any:
    @functools.wraps(original)
    def stub(fp: Any, allow_pickle: bool = False, *args: Any, **kwargs: Any) -> Any:
        if not (_active and allow_pickle):
            return original(fp, allow_pickle, *args, **kwargs)
        try:
            return original(fp, False, *args, **kwargs)
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
        _refuse("numpy.load", fp)

    return stub


_GUARDS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "torch.serialization": {"load": _stub(_check_torch_load)},
    "torch.jit._serialization": {"load": _always("torch.jit.load")},
    "torch.package.package_importer": {"PackageImporter.load_pickle": _always("torch.package.load_pickle", 2)},
    "numpy.lib.format": {"read_array": _read_array},
    "numpy.lib._format_impl": {"read_array": _read_array},
    "numpy.lib.npyio": {"load": _stub(_check_numpy_load)},
    "numpy.lib._npyio_impl": {"load": _stub(_check_numpy_load)},
    "joblib.numpy_pickle": {"load": _always("joblib.load")},
    "pandas.io.pickle": {"read_pickle": _always("pandas.read_pickle")},
}


class _Watcher:
    """Guards modules when they are imported. First in sys.meta_path; the usual finder finds the modules."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _GUARDS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            with _lock:
                if _active:
                    _guard(name)

        setattr(spec.loader, "exec_module", exec_module)
        return spec


_watcher = _Watcher()
