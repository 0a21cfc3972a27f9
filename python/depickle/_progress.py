"""What `progress=` takes: True, a function, or a progress bar in the manner of tqdm."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from depickle._results import Step


class Bar(Protocol):
    """As much of a tqdm bar as is needed."""

    total: Any

    def update(self, n: int, /) -> object: ...


Progress: TypeAlias = bool | Callable[[Step], object] | Bar | type[Any] | None


class Listener:
    """Tells `progress` what the program reports. Use it as a context: a bar that was made here ends with the job."""

    def __init__(self, progress: Progress) -> None:
        self._made: Any = None
        self._tell: Callable[[Step], object] | None = None
        listener: Any = _tqdm() if progress is True else progress
        if isinstance(listener, type) and hasattr(listener, "update"):
            listener = self._made = listener(total=0, unit="B", unit_scale=True)
        if hasattr(listener, "update"):
            self._tell = _Advance(listener)
        elif callable(listener):
            self._tell = listener
        elif listener:
            raise TypeError(f"progress is of type {type(listener).__name__}, not True, a function or a tqdm bar")

    def __enter__(self) -> Callable[[dict[str, Any]], object] | None:
        tell = self._tell
        if not tell:
            return None
        return lambda event: tell(Step(event["phase"], event["file"], event["done_bytes"], event["total_bytes"]))

    def __exit__(self, *_: object) -> None:
        if self._made is not None:
            self._made.close()


def _tqdm() -> type[Any]:
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    return tqdm  # type: ignore[no-any-return, unused-ignore]


class _Advance:
    """One bar for all phases of all files: its total grows as they begin, which no bar minds."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._done: dict[tuple[str, str], int] = {}

    def __call__(self, step: Step) -> None:
        what = (step.phase, step.file)
        if what not in self._done:
            self._done[what] = 0
            self._bar.total = (self._bar.total or 0) + step.total_bytes
            if hasattr(self._bar, "set_description"):
                self._bar.set_description(f"{step.phase} {step.file}", refresh=False)
        self._bar.update(step.done_bytes - self._done[what])
        self._done[what] = step.done_bytes
