"""What the jobs answer. Each class is a form of docs/json.md, with the same names; `json` is the whole object."""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Step:
    """One report of progress: bytes done of this phase's total for this file; a total of 0 where it has no bytes."""

    phase: str
    file: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Tied:
    name: str
    kept: str


@dataclass(frozen=True)
class Leftover:
    path: str
    description: str
    tensors: int


@dataclass(frozen=True)
class Unsupported:
    name: str
    what: str


@dataclass(frozen=True)
class UntouchedFile:
    file: str
    reason: str


@dataclass(frozen=True)
class FailedFile:
    file: str
    error: str
    hint: str


@dataclass(frozen=True)
class ConvertedFile:
    source: str
    target: str
    container: str
    root: str
    tensors: int
    identical: int
    tensor_bytes: int
    file_bytes: int
    seconds: float
    tied: list[Tied]
    leftovers: list[Leftover]
    skipped: list[Unsupported]
    notes: list[str]


@dataclass(frozen=True)
class ConvertedIndex:
    source: str
    target: str
    total_size: int


@dataclass(frozen=True)
class PullRequest:
    number: int
    title: str
    author: str
    status: str
    base: str


@dataclass(frozen=True)
class Conversion:
    """`outcome` is "written", "planned" (dry_run), "nothing-to-do", and for repositories "opened" or "already-open"."""

    dry_run: bool
    outcome: str
    files: list[ConvertedFile]
    indexes: list[ConvertedIndex]
    already: list[UntouchedFile]
    left: list[UntouchedFile]
    failed: list[FailedFile]
    notes: list[str]
    repo: str = ""
    commit: str = ""
    pull_request: int | None = None
    url: str = ""
    title: str = ""
    description: str = ""
    previous: list[PullRequest] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)
    downloaded_bytes: int = 0
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Difference:
    """`finding` is "different", "dtype", "shape", "missing" (only in a), "added" (only in b) or "tied"."""

    name: str
    finding: str
    a: str = ""
    b: str = ""
    element: int | None = None
    kept: str = ""


@dataclass(frozen=True)
class Comparison:
    """True where all tensors are identical."""

    identical: bool
    tensors_compared: int
    tensors_identical: int
    bytes_compared: int
    tensors: list[Difference]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.identical


@dataclass(frozen=True)
class Finding:
    record: str
    offset: int
    what: str
    words: str
    count: int


@dataclass(frozen=True)
class Global:
    """`class_` is "inert" (on the closed list) or "code"."""

    record: str
    name: str
    class_: str
    count: int
    offset: int


@dataclass(frozen=True)
class ScannedFile:
    file: str
    verdict: str
    pickles: int
    findings: list[Finding]
    globals: list[Global]
    notes: list[str]
    error: str | None


@dataclass(frozen=True)
class Scan:
    """True where loading any of the files would do nothing but build tensors."""

    files: list[ScannedFile]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The worst of the files': "has-code", then "unreadable", then "tensors-only"."""
        verdicts = {file.verdict for file in self.files}
        return next((verdict for verdict in ("has-code", "unreadable") if verdict in verdicts), "tensors-only")

    def __bool__(self) -> bool:
        return self.verdict == "tensors-only"


@dataclass(frozen=True)
class ChangedFile:
    file: str
    change: str
    kind: str
    bytes: int
    expected: bool


@dataclass(frozen=True)
class TensorFinding:
    file: str
    name: str
    finding: str
    what: str


@dataclass(frozen=True)
class Check:
    """True where the pull request adds only weights, and each tensor is identical to the pickle's."""

    repo: str
    number: int
    title: str
    author: str
    status: str
    base: str
    head: str
    verdict: str
    sentence: str
    tensors_compared: int
    tensors_identical: int
    bytes_compared: int
    files: list[ChangedFile]
    tensors: list[TensorFinding]
    notes: list[str]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.verdict == "identical"


@dataclass(frozen=True)
class Flaw:
    file: str
    tensor: str
    what: str


@dataclass(frozen=True)
class Verification:
    """True where everything that the receipt says was proved again."""

    proven: bool
    files: int
    tensors: int
    flaws: list[Flaw]
    notes: list[str]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.proven


@dataclass(frozen=True)
class Tensor:
    """`strides` count elements; `offset` is None where the bytes do not lie in the file as they are."""

    name: str
    dtype: str
    shape: list[int]
    strides: list[int]
    bytes: int
    storage: str
    offset: int | None


@dataclass(frozen=True)
class Inspection:
    container: str
    files: list[str]
    root: str
    tensors: list[Tensor]
    leftovers: list[Leftover]
    unsupported: list[Unsupported]
    metadata: dict[str, str]
    notes: list[str]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Model:
    """What a library would open: `name` is a component of a pipeline, else empty."""

    name: str
    path: str
    pickle: bool


@dataclass(frozen=True)
class Download:
    """`path` is the snapshot's folder, or the file that was asked for."""

    path: str
    commit: str
    downloaded_bytes: int
    models: list[Model]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def made(kind: type[Kind], json: dict[str, Any]) -> Kind:
    """An answer, or a part of one, from its JSON. Fields that newer programs add are in `json` only."""
    hints = typing.get_type_hints(kind)
    known = {field.name: field.name.rstrip("_") for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {name: _value(hints[name], json[key]) for name, key in known.items() if key in json}
    return kind(**values, **({"json": json} if "json" in known else {}))


def _value(hint: Any, value: Any) -> Any:
    part: type[Any] = typing.get_args(hint)[0] if typing.get_origin(hint) is list else object
    return [made(part, each) for each in value] if dataclasses.is_dataclass(part) else value
