"""Puts `depickle.safetensors` in the place of `safetensors`, and takes it out again.

Three things are changed, each to be undone: a finder that answers `import safetensors...` with our modules stands
before all others in sys.meta_path; upstream's modules leave sys.modules; and what other modules hold of upstream
becomes ours.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import Any

import depickle.safetensors as ours
from depickle.safetensors import SafetensorError

_NAME = "safetensors"
_COMPILED = "safetensors._safetensors_rust"


def _is_under(name: str) -> bool:
    return name == _NAME or name.startswith(_NAME + ".")


def _home(name: str) -> str:
    """Our module for a name of upstream's."""
    return f"depickle.{name}"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `safetensors.X` to be `depickle.safetensors.X`: the very module, not a second one made from its file."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _is_under(fullname):
            return None
        home = importlib.util.find_spec(_home(fullname))
        if home is None:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=home.origin, is_package=fullname == _NAME)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import system returns what stands in sys.modules when this is done.
        sys.modules[module.__name__] = importlib.import_module(_home(module.__name__))


class _Distribution(importlib.metadata.Distribution):
    """What importlib.metadata says of `safetensors` where the real one is not: libraries ask for its version."""

    _FILES = {
        "METADATA": f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {ours.__version__}\n",
        "top_level.txt": _NAME + "\n",
    }

    def read_text(self, filename: Any) -> str | None:
        return self._FILES.get(str(filename))

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


class _MetadataFinder(importlib.metadata.DistributionFinder):
    """Stands last in sys.meta_path, so that the metadata of the real package are found first."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        return None

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context = importlib.metadata.DistributionFinder.Context()
    ) -> Iterator[importlib.metadata.Distribution]:
        if context.name in (None, _NAME):
            yield _Distribution()


def _is_distributed() -> bool:
    try:
        importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _namespaces() -> Iterator[dict[str, Any]]:
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            yield object.__getattribute__(module, "__dict__")  # a lazy module would load itself if it were asked


def _counterparts(upstream: dict[str, ModuleType]) -> dict[int, tuple[Any, Any]]:
    """By id, the modules, functions and classes of upstream's that are loaded, each with ours.

    SafetensorError is not among them: who holds upstream's catches ours too, which derives from it.
    """
    pairs = {}
    for name, theirs in upstream.items():
        if importlib.util.find_spec(_home(name)) is None:
            continue
        module = importlib.import_module(_home(name))
        pairs[id(theirs)] = theirs, module
        for key, value in vars(theirs).items():
            # The classes of the compiled module say that they are builtins.
            is_theirs = name == _COMPILED or _is_under(getattr(value, "__module__", None) or "")
            if is_theirs and key in vars(module) and not key.startswith("__") and key != "SafetensorError":
                pairs[id(value)] = value, vars(module)[key]
    return pairs


def _put_finders(undo: ExitStack) -> None:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    undo.callback(sys.meta_path.remove, finder)
    if not _is_distributed():
        metadata = _MetadataFinder()
        sys.meta_path.append(metadata)
        undo.callback(sys.meta_path.remove, metadata)


def _take_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _is_under(name)}


def _replace_modules(undo: ExitStack) -> dict[str, ModuleType]:
    """Returns upstream's that were loaded; ours of these names are when this is done."""
    upstream = _take_out()
    undo.callback(sys.modules.update, upstream)
    undo.callback(_take_out)
    for name in upstream:
        if importlib.util.find_spec(_home(name)) is not None:
            importlib.import_module(name)
    return upstream


def _rebind(pairs: dict[int, tuple[Any, Any]], undo: ExitStack) -> None:
    def put_back(namespace: dict[str, Any], key: str, theirs: Any, mine: Any) -> None:
        if namespace.get(key) is mine:
            namespace[key] = theirs

    for namespace in _namespaces():
        for key, value in list(namespace.items()):
            theirs, mine = pairs.get(id(value), (None, None))
            if theirs is not None:
                namespace[key] = mine
                undo.callback(put_back, namespace, key, theirs, mine)


def _derive_error(upstream: dict[str, ModuleType], undo: ExitStack) -> None:
    """Makes ours a subclass of upstream's: an `except` clause looks at nothing but the bases of what was raised."""
    theirs = getattr(upstream.get(_COMPILED), "SafetensorError", None)
    if theirs is not None:
        bases = SafetensorError.__bases__
        SafetensorError.__bases__ = (*bases, theirs)
        undo.callback(setattr, SafetensorError, "__bases__", bases)


class Installed:
    """What `install` returns: as a context manager, it undoes at its end what that call did."""

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo

    def __enter__(self) -> Installed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            self._undo.close()


_lock = threading.RLock()
_undo = ExitStack()


def install() -> Installed:
    with _lock:
        if any(isinstance(finder, _Finder) for finder in sys.meta_path):
            return Installed(ExitStack())
        with ExitStack() as undo:  # what fails half-way is undone
            _put_finders(undo)
            upstream = _replace_modules(undo)
            _rebind(_counterparts(upstream), undo)
            _derive_error(upstream, undo)
            _undo.push(undo.pop_all())
        return Installed(_undo)


def uninstall() -> None:
    with _lock:
        _undo.close()
