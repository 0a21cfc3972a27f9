"""The program's commands as functions.

Each call runs the program in a child process: hostile files are never read in this process, other threads continue to
run, and Ctrl-C stops the call at once.

A path is a string or os.PathLike; an address is a path, hf://ORG/NAME[@REV][/PATH] or the URL of a page on the Hub.
A negative answer is a result; a failure is an exception. The endpoint, the cache and the token are those of
huggingface_hub's environment; `token` replaces the token, False sends none.
"""

import os
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from depickle import _program, _results
from depickle._progress import Listener, Progress

Address: TypeAlias = str | os.PathLike[str]
Token: TypeAlias = str | bool | None
Names: TypeAlias = str | Iterable[str]


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
    """Converts a file, a folder or a repository (ORG/NAME) to safetensors and verifies that every tensor is identical.

    Without `output`, the target is written next to the source. A repository is converted to the folder `output`, or
    with `pr` to a pull request. An existing file is replaced only with `force`. `root` is the part of a nested
    checkpoint to convert ("." is all of it); `receipt` is a file to write for `verify`. For tied tensors, "hf" stores
    one and records the other names, "copy" stores each; `keep` and `discard` name those to keep or to drop.
    `sandbox=False` is for kernels without seccomp; `durable=False` does not wait for the disk. If a file fails, the
    exception's attribute `result` is the Conversion.
    """
    _one_of("align", align, (8, 64, 4096))
    _one_of("tied", tied, ("hf", "copy"))
    address = os.fsdecode(source) + (f"@{revision}" if revision else "")
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
    json, code = _run("convert", options, [address], progress, _token_environment(token))
    json.setdefault("outcome", "nothing-to-do" if code == 3 else "planned" if dry_run else "written")
    result = _results.from_json(_results.Conversion, json)
    if result.failed:
        error = _program.exception_class(code)("\n".join(_failure_text(file) for file in result.failed))
        error.result = result  # type: ignore[attr-defined]
        raise error
    return result


def compare(
    a: Address, b: Address, *, root: str | None = None, token: Token = None, progress: Progress = None
) -> _results.Comparison:
    """Compares two models of any format, tensor by tensor. True if they are identical."""
    json, _ = _run("compare", _option("--root", root), [a, b], progress, _token_environment(token))
    return _results.from_json(_results.Comparison, json)


def scan(*addresses: Address, token: Token = None) -> _results.Scan:
    """Reports what loading these files would execute. True if it would only build tensors.

    Folders are searched for files that may be pickles. A file that cannot be parsed is also a finding.
    """
    if not addresses:
        raise TypeError("scan() needs at least one address")
    json, _ = _run("scan", [], addresses, None, _token_environment(token))
    return _results.from_json(_results.Scan, json)


def check(repo: str, number: int | None = None, *, token: Token = None, progress: Progress = None) -> _results.Check:
    """Compares a pull request with its base: changed files and every tensor. True if the model is the same.

    `repo` is ORG/NAME, or the URL of the pull request, which contains the number.
    """
    arguments = [repo] if number is None else [repo, str(int(number))]
    json, _ = _run("check", [], arguments, progress, _token_environment(token))
    return _results.from_json(_results.Check, json)


def verify(receipt: Address) -> _results.Verification:
    """Verifies a receipt of `convert`: the digests of files and tensors, and the source if it still exists."""
    json, _ = _run("verify", [], [receipt])
    return _results.from_json(_results.Verification, json)


def inspect(address: Address, *, root: str | None = None, token: Token = None) -> _results.Inspection:
    """Lists the tensors of a model without reading them; a model on the Hub takes a few range requests."""
    json, _ = _run("inspect", _option("--root", root), [address], None, _token_environment(token))
    return _results.from_json(_results.Inspection, json)


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
    """Downloads the files that a model library would load into huggingface_hub's cache.

    `include` selects files by name patterns instead. `paranoid` refuses pickles.
    """
    options = [
        *_option("--revision", revision),
        *_option("--variant", variant),
        *_option("--subfolder", subfolder),
        *_options("--include", include),
        *_flags(paranoid=paranoid, only_weights=only_weights),
    ]
    cache = {} if cache_dir is None else {"HF_HUB_CACHE": os.fsdecode(cache_dir)}
    json, _ = _run("download", options, [repo], progress, {**_token_environment(token), **cache})
    return _results.from_json(_results.Download, json)


def _run(
    command: str,
    options: list[str],
    addresses: Iterable[Address],
    progress: Progress = None,
    environment: dict[str, str] | None = None,
) -> tuple[dict[str, Any], int]:
    with Listener(progress) as listener:
        events = ["--events"] if listener else []
        decoded = [os.fsdecode(address) for address in addresses]
        return _program.run([command, "--json", *events, *options, "--", *decoded], listener, environment)


def _option(name: str, value: Address | None) -> list[str]:
    return [] if value is None else [f"{name}={os.fsdecode(value)}"]


def _options(name: str, values: Names) -> list[str]:
    return [f"{name}={value}" for value in ([values] if isinstance(values, str) else values)]


def _flags(**flags: bool) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name, is_set in flags.items() if is_set]


def _one_of(name: str, value: object, values: tuple[object, ...]) -> None:
    if value not in values:
        raise ValueError(f"{name} is {value!r} (expected one of {', '.join(map(repr, values))})")


def _token_environment(token: Token) -> dict[str, str]:
    """The token is passed in the environment: every user can read the arguments of a process."""
    if token is False:
        return {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    return {"HF_TOKEN": token, "HF_HUB_DISABLE_IMPLICIT_TOKEN": ""} if isinstance(token, str) else {}


def _failure_text(file: _results.FailedFile) -> str:
    return _program.with_hint(file.error, _program.hint_for(file.reason, file.hint, file.general_hint))
