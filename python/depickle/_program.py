"""Runs the bundled program as a child process: parses its JSON, raises its errors, and forwards Ctrl-C."""

import errno
import json
import os
import pickle
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_BUNDLED = os.path.join(os.path.dirname(__file__), "bin", "depickle")
_EVENT = b'{"event":'
_ERROR = "depickle.error/1"


def find() -> str:
    """Returns the path of the program in the package, else the path in DEPICKLE_PROGRAM."""
    configured = os.environ.get("DEPICKLE_PROGRAM", "")
    for program in (_BUNDLED, configured):
        if os.access(program, os.X_OK):
            return program
    reason = "the program is missing: install the package again, or set DEPICKLE_PROGRAM to its path"
    raise FileNotFoundError(errno.ENOENT, reason, configured or _BUNDLED)


def run(
    arguments: Sequence[str],
    on_event: Callable[[Json], object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Json, int]:
    """Runs `depickle ARGUMENTS…` and returns its JSON object and its exit code.

    An error of the program is raised. An exception that is raised meanwhile (KeyboardInterrupt, or one from `on_event`)
    first stops the program, which then removes its unfinished files.
    """
    # Without a UTF-8 locale, the program writes its output in ASCII.
    child_environment = {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **(environment or {})}
    # In a session of its own, the program gets the terminal's Ctrl-C only once, from this process. A second one would
    # kill it.
    with subprocess.Popen(
        [find(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment,
        start_new_session=True,
    ) as process:
        try:
            out, err = _read_output(process, on_event)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    result = _parse(out)
    if result is None:
        reason = err.strip() or "stderr is empty"
        raise RuntimeError(f"depickle {arguments[0]} {_describe_exit(code)} without a result: {reason}")
    if result.get("schema") == _ERROR:
        raise exception(result, _last_error(err))
    return result, code


def exception(error: Json, text: str) -> BaseException:
    """Returns the exception for an error of the program (docs/json.md); `text` is what it printed on stderr."""
    code, message, file = error["code"], error["message"], error["file"]
    hint = hint_for(error["reason"], error["hint"], error["general_hint"])
    if code == "not_found" and file and not os.path.exists(file):  # else a part of an existing file is missing
        return FileNotFoundError(error["errno"] or errno.ENOENT, with_hint(message, hint), file)
    if code == "io":
        return OSError(error["errno"] or errno.EIO, with_hint(message, hint), file)
    return _EXCEPTIONS.get(code, ValueError)(with_hint(text.partition("\nhint: ")[0], hint))


_EXCEPTIONS: dict[str, type[BaseException]] = {
    "unsafe": pickle.UnpicklingError,
    "denied": PermissionError,
    "network": ConnectionError,
    "cancelled": KeyboardInterrupt,
}

# The arguments of this package's functions, by the error's reason. The program's own hints name its options.
_HINTS = {
    "target_exists": "choose another output, or replace the file with force=True",
    "target_is_source": "choose another output",
    "target_taken": "convert the file alone, with another output",
    "no_space": "choose an output on another disk",
    "checksum_mismatch": "checksums=False converts the file as it is",
    "unsupported_dtype": "skip_unsupported=True converts the other tensors and lists the skipped ones",
    "ambiguous_root": 'choose one with root=, or take everything with root="."',
    "no_tensors": "choose a part with root=",
    "no_such_variant": 'omit variant=, or list the names with download(include=["*.safetensors", "*.bin"])',
    "only_pickle": "convert(repo, pr=True) opens a pull request that adds safetensors",
    "no_sandbox": "convert(..., sandbox=False) reads the file without the sandbox",
}


def hint_for(reason: str, hint: str, general_hint: str) -> str:
    """Returns the hint of an error (docs/json.md), with the arguments of Python's functions instead of options."""
    ours = _HINTS.get(reason)
    if ours is None:
        return hint
    return f"{general_hint}; {ours}" if general_hint else ours


def with_hint(text: str, hint: str) -> str:
    return f"{text}\nhint: {hint}" if hint else text


def exception_class(exit_code: int) -> type[BaseException]:
    """Returns the exception class for failed files inside a result, for which only the exit code is known."""
    return {1: pickle.UnpicklingError, 4: PermissionError, 75: ConnectionError}.get(exit_code, ValueError)


def _read_output(process: "subprocess.Popen[bytes]", on_event: Callable[[Json], object] | None) -> tuple[bytes, str]:
    """Reads stdout and stderr until the process closes both; passes the events on stdout to `on_event`."""
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)  # type: ignore[arg-type]
        pipes.register(process.stderr, selectors.EVENT_READ, err)  # type: ignore[arg-type]
        while pipes.get_map():
            for key, _ in pipes.select():
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    pipes.unregister(key.fileobj)
                key.data.extend(chunk)
            for event in _take_events(out):
                if on_event:
                    on_event(event)
    return bytes(out), err.decode("utf-8", "backslashreplace")


def _take_events(out: bytearray) -> Iterator[Json]:
    """Removes the complete events from the start of `out`; the result follows them."""
    while out.startswith(_EVENT) and b"\n" in out:
        end = out.index(b"\n") + 1
        line = bytes(out[:end])
        del out[:end]
        yield json.loads(line)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate()  # drains the pipes, so that the process does not block on a full one
    except BaseException:  # a second Ctrl-C
        process.kill()
        process.communicate()
        raise


def _parse(out: bytes) -> Json | None:
    try:
        result = json.loads(out)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def _describe_exit(code: int) -> str:
    return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def _last_error(err: str) -> str:
    """Returns the text after the last `error:`, with the line of its hint."""
    return f"\n{err}".rpartition("\nerror: ")[2].strip()
