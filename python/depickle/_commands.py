"""The commands of the program as functions. Each runs in a process of its own: what reads hostile files has no way
into this one, other threads go on, and Ctrl-C stops it at once.

A path is a string or os.PathLike; an address is a path, hf://ORG/NAME[@REV][/PATH] or the address of a page.
An answer of "no" is a result; what could not be done is an exception. The Hub, its cache and its token are those of
huggingface_hub's environment; `token` is another one, or False for none.
"""

import os
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, TypeVar

from depickle import _program, _results
from depickle._progress import Listener, Progress

Address: TypeAlias = str | os.PathLike[str]
Token: TypeAlias = str | bool | None
Names: TypeAlias = str | Iterable[str]
Kind = TypeVar("Kind")


def convert(
    source: Address,
    output: Address | None = None,
    *,
    root: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    receipt: Address | None = None,
    align: Literal[8, 64, 4096] = 8,
    tied: Literal["hf", "copy"] = "hf",
    keep: Names = (),
    discard: Names = (),
    skip_unsupported: bool = False,
    checksums: bool = True,
    sandbox: bool = True,
    durable: bool = True,
    pr: bool = False,
    revision: str | None = None,
    token: Token = None,
    progress: Progress = None,
) -> _results.Conversion:
    """Converts a file, a folder or a repository (ORG/NAME) to safetensors, and proves that nothing changed.

    Without `output`, the result goes beside the source; of a repository it goes to `output`, or with `pr` into a pull
    request. Nothing that exists is replaced without `force`. `root` is the part of a nested checkpoint to take ("." is
    all of it), `receipt` the file of a proof for `verify`. Of tied tensors "hf" stores one and records the other names,
    "copy" stores each; `keep` and `discard` name those to keep or to drop. `sandbox=False` is for kernels without
    seccomp; `durable=False` does not wait for the disk. If any file fails, an exception says so, with the Conversion as its attribute `result`.
    """
    _one_of("align", align, (8, 64, 4096))
    _one_of("tied", tied, ("hf", "copy"))
    place = os.fsdecode(source) + (f"@{revision}" if revision else "")
    options = [
        *_option("--output", output),
        *_option("--root", root),
        *_option("--receipt", receipt),
        *(["--align", str(align)] if align != 8 else []),
        *(["--tied", tied] if tied != "hf" else []),
        *_options("--keep", keep),
        *_options("--discard", discard),
        *_flags(dry_run=dry_run, force=force, pr=pr, skip_unsupported=skip_unsupported),
        *_flags(no_checksums=not checksums, no_sandbox=not sandbox, no_sync=not durable),
    ]
    json, code = _run("convert", options, [place], progress, _as(token))
    json.setdefault("outcome", "nothing-to-do" if code == 3 else "planned" if dry_run else "written")
    result = _results.made(_results.Conversion, json)
    if result.failed:
        error = _program.kind_of(code)("\n".join(_told(failed) for failed in result.failed))
        error.result = result  # type: ignore[attr-defined]
        raise error
    return result


def compare(
    a: Address, b: Address, *, root: str | None = None, token: Token = None, progress: Progress = None
) -> _results.Comparison:
    """Compares two models of any format tensor by tensor. True where they are identical."""
    json, _ = _run("compare", _option("--root", root), [a, b], progress, _as(token))
    return _results.made(_results.Comparison, json)


def scan(*addresses: Address, token: Token = None) -> _results.Scan:
    """Says what loading these files would do beyond the building of tensors. True where that is nothing.

    A folder is searched for what may be a pickle. A file that cannot be read is a finding too.
    """
    if not addresses:
        raise TypeError("scan() needs at least one address")
    json, _ = _run("scan", [], addresses, None, _as(token))
    return _results.made(_results.Scan, json)


def check(
    repo: str, number: int | None = None, *, token: Token = None, progress: Progress = None
) -> _results.Check:
    """Holds a pull request against its base: which files change, and each tensor. True where it is the same model.

    `repo` is ORG/NAME, or the address of the pull request, which has its number.
    """
    words = [repo] if number is None else [repo, str(int(number))]
    json, _ = _run("check", [], words, progress, _as(token))
    return _results.made(_results.Check, json)


def verify(receipt: Address) -> _results.Verification:
    """Proves a receipt of `convert` again: digests of files and tensors, and the source where it is still there."""
    json, _ = _run("verify", [], [receipt])
    return _results.made(_results.Verification, json)


def inspect(address: Address, *, root: str | None = None, token: Token = None) -> _results.Inspection:
    """Lists the tensors of a model without reading them; of one on the Hub by a few range requests."""
    json, _ = _run("inspect", _option("--root", root), [address], None, _as(token))
    return _results.made(_results.Inspection, json)


def download(
    repo: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    subfolder: str | None = None,
    include: Names = (),
    paranoid: bool = False,
    only_weights: bool = False,
    cache_dir: Address | None = None,
    token: Token = None,
    progress: Progress = None,
) -> _results.Download:
    """Fetches what a model library would load into the cache that huggingface_hub shares.

    `include` are patterns of names, in place of that choice. `paranoid` refuses pickles.
    """
    options = [
        *_option("--revision", revision),
        *_option("--variant", variant),
        *_option("--subfolder", subfolder),
        *_options("--include", include),
        *_flags(paranoid=paranoid, only_weights=only_weights),
    ]
    cache = {} if cache_dir is None else {"HF_HUB_CACHE": os.fsdecode(cache_dir)}
    json, _ = _run("download", options, [repo], progress, {**_as(token), **cache})
    return _results.made(_results.Download, json)


def _run(
    command: str,
    options: list[str],
    addresses: Iterable[Address],
    progress: Progress = None,
    environment: dict[str, str] | None = None,
) -> tuple[dict[str, Any], int]:
    with Listener(progress) as listener:
        events = ["--events"] if listener else []
        places = [os.fsdecode(address) for address in addresses]
        return _program.run([command, "--json", *events, *options, "--", *places], listener, environment)


def _option(name: str, value: Address | None) -> list[str]:
    return [] if value is None else [f"{name}={os.fsdecode(value)}"]


def _options(name: str, values: Names) -> list[str]:
    return [f"{name}={value}" for value in ([values] if isinstance(values, str) else values)]


def _flags(**flags: bool) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name, wanted in flags.items() if wanted]


def _one_of(name: str, value: object, values: tuple[object, ...]) -> None:
    if value not in values:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(map(repr, values))}")


def _as(token: Token) -> dict[str, str]:
    """A token travels in the environment: the words of a process can be read by everybody."""
    if token is False:
        return {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    return {"HF_TOKEN": token, "HF_HUB_DISABLE_IMPLICIT_TOKEN": ""} if isinstance(token, str) else {}


def _told(failed: _results.FailedFile) -> str:
    return f"{failed.error}\nhint: {failed.hint}" if failed.hint else failed.error
