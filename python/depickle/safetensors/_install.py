"""Replaces `safetensors` by `depickle.safetensors`, and undoes it.

Three things change: a finder at the front of sys.meta_path returns our modules for `import safetensors...`; upstream's
modules are removed from sys.modules; and global names of other modules that refer to upstream's objects are set to
ours. Each change is recorded and can be undone.
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


def _counterpart_name(name: str) -> str:
    """Returns the name of our module for the name of upstream's."""
    return f"depickle.{name}"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `safetensors.X` as the module object `depickle.safetensors.X`, not as a second copy of it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not _is_under(fullname):
            return None
        ours_spec = importlib.util.find_spec(_counterpart_name(fullname))
        if ours_spec is None:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=ours_spec.origin, is_package=fullname == _NAME)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import system returns the module that is in sys.modules after this call.
        sys.modules[module.__name__] = importlib.import_module(_counterpart_name(module.__name__))


class _Distribution(importlib.metadata.Distribution):
    """Metadata of `safetensors` if the real package is not installed, because libraries ask for its version."""

    _FILES = {
        "METADATA": f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {ours.__version__}\n",
        "top_level.txt": _NAME + "\n",
    }

    def read_text(self, filename: Any) -> str | None:
        return self._FILES.get(str(filename))

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


class _MetadataFinder(importlib.metadata.DistributionFinder):
    """Last in sys.meta_path, so that the metadata of the real package is found first."""

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
            yield object.__getattribute__(module, "__dict__")  # getattr would load a lazy module


def _counterparts(upstream: dict[str, ModuleType]) -> dict[int, tuple[Any, Any]]:
    """Returns the loaded modules, functions and classes of upstream: id to (theirs, ours).

    SafetensorError is not included: ours derives from upstream's, so `except` clauses with upstream's class catch both.
    """
    pairs = {}
    for name, theirs in upstream.items():
        if importlib.util.find_spec(_counterpart_name(name)) is None:
            continue
        module = importlib.import_module(_counterpart_name(name))
        pairs[id(theirs)] = theirs, module
        for key, value in vars(theirs).items():
            # The classes of the compiled module have __module__ "builtins".
            is_theirs = name == _COMPILED or _is_under(getattr(value, "__module__", None) or "")
            if is_theirs and key in vars(module) and not key.startswith("__") and key != "SafetensorError":
                pairs[id(value)] = value, vars(module)[key]
    return pairs


def _add_finders(undo: ExitStack) -> None:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    undo.callback(sys.meta_path.remove, finder)
    if not _is_distributed():
        metadata = _MetadataFinder()
        sys.meta_path.append(metadata)
        undo.callback(sys.meta_path.remove, metadata)


def _remove_modules() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _is_under(name)}


def _replace_modules(undo: ExitStack) -> dict[str, ModuleType]:
    """Replaces upstream's loaded modules by ours, and returns upstream's."""
    upstream = _remove_modules()
    undo.callback(sys.modules.update, upstream)
    undo.callback(_remove_modules)
    for name in upstream:
        if importlib.util.find_spec(_counterpart_name(name)) is not None:
            importlib.import_module(name)
    return upstream


def _rebind(pairs: dict[int, tuple[Any, Any]], undo: ExitStack) -> None:
    def restore(namespace: dict[str, Any], key: str, theirs: Any, mine: Any) -> None:
        if namespace.get(key) is mine:
            namespace[key] = theirs

    for namespace in _namespaces():
        for key, value in list(namespace.items()):
            theirs, mine = pairs.get(id(value), (None, None))
            if theirs is not None:
                namespace[key] = mine
                undo.callback(restore, namespace, key, theirs, mine)


def _derive_error(upstream: dict[str, ModuleType], undo: ExitStack) -> None:
    """Makes our SafetensorError a subclass of upstream's: `except` clauses only check the bases of the exception."""
    theirs = getattr(upstream.get(_COMPILED), "SafetensorError", None)
    if theirs is not None:
        bases = SafetensorError.__bases__
        SafetensorError.__bases__ = (*bases, theirs)
        undo.callback(setattr, SafetensorError, "__bases__", bases)


class Installed:
    """The result of `install`: a context manager that undoes that call on exit."""

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
        with ExitStack() as undo:  # undoes a partial installation
            _add_finders(undo)
            upstream = _replace_modules(undo)
            _rebind(_counterparts(upstream), undo)
            _derive_error(upstream, undo)
            _undo.push(undo.pop_all())
        return Installed(_undo)


def uninstall() -> None:
    with _lock:
        _undo.close()
