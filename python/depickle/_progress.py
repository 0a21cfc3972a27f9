"""The argument `progress=`: True, a function, or a progress bar with the interface of tqdm."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from depickle._results import Step


class Bar(Protocol):
    """The required part of a tqdm bar's interface."""

    total: Any

    def update(self, n: int, /) -> object: ...


Progress: TypeAlias = bool | Callable[[Step], object] | Bar | type[Any] | None


class Listener:
    """A context manager that forwards the program's events to `progress`; on exit it closes the bar that it created."""

    def __init__(self, progress: Progress) -> None:
        self._own_bar: Any = None
        self._notify: Callable[[Step], object] | None = None
        listener: Any = _tqdm() if progress is True else progress
        if isinstance(listener, type) and hasattr(listener, "update"):
            listener = self._own_bar = listener(total=0, unit="B", unit_scale=True)
        if hasattr(listener, "update"):
            self._notify = _BarUpdater(listener)
        elif callable(listener):
            self._notify = listener
        elif listener:
            raise TypeError(f"progress is a {type(listener).__name__} (expected True, a function or a tqdm bar)")

    def __enter__(self) -> Callable[[dict[str, Any]], object] | None:
        notify = self._notify
        if not notify:
            return None
        return lambda event: notify(Step(event["phase"], event["file"], event["done_bytes"], event["total_bytes"]))

    def __exit__(self, *_: object) -> None:
        if self._own_bar is not None:
            self._own_bar.close()


def _tqdm() -> type[Any]:
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    return tqdm  # type: ignore[no-any-return, unused-ignore]


class _BarUpdater:
    """One bar for all phases of all files. Its total grows as phases start."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._done_bytes: dict[tuple[str, str], int] = {}

    def __call__(self, step: Step) -> None:
        key = (step.phase, step.file)
        if key not in self._done_bytes:
            self._done_bytes[key] = 0
            self._bar.total = (self._bar.total or 0) + step.total_bytes
            if hasattr(self._bar, "set_description"):
                self._bar.set_description(f"{step.phase} {step.file}", refresh=False)
        self._bar.update(step.done_bytes - self._done_bytes[key])
        self._done_bytes[key] = step.done_bytes
