"""Results of the commands. Each class has the fields of an object in docs/json.md; `json` is the whole object."""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """A progress event: the bytes done and the total of one phase of one file; the total is 0 if the phase has none."""

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
    reason: str
    hint: str
    general_hint: str


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
    remark: str


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
    """True if all tensors are identical."""

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
    grade: str
    global_: str
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
    """True if loading the files would only build tensors."""

    files: list[ScannedFile]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The worst verdict of all files: "has-code", then "unreadable", then "tensors-only"."""
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
    """True if the pull request only adds weights and each tensor is identical to that of the pickle."""

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
    """True if every statement of the receipt was verified."""

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
    """`strides` count elements; `offset` is None if the tensor's bytes are not in the file as they are."""

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
    """A model that a library would open: `name` is the component of a pipeline, else empty."""

    name: str
    path: str
    pickle: bool


@dataclass(frozen=True)
class Download:
    """`path` is the folder of the snapshot, or the requested file."""

    path: str
    commit: str
    downloaded_bytes: int
    models: list[Model]
    json: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def from_json(result_type: type[T], json: dict[str, Any]) -> T:
    """Creates a result, or a part of one, from its JSON. Fields that newer programs add are in `json` only."""
    types = typing.get_type_hints(result_type)
    keys = {field.name: field.name.rstrip("_") for field in dataclasses.fields(result_type)}  # type: ignore[arg-type]
    values = {name: _value(types[name], json[key]) for name, key in keys.items() if key in json}
    return result_type(**values, **({"json": json} if "json" in keys else {}))


def _value(value_type: Any, value: Any) -> Any:
    item: type[Any] = typing.get_args(value_type)[0] if typing.get_origin(value_type) is list else object
    return [from_json(item, each) for each in value] if dataclasses.is_dataclass(item) else value
