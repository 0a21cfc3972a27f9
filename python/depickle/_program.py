"""The bundled program as a child process: its answers are JSON, its errors exceptions, and Ctrl-C is Ctrl-C."""

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
    """The program that came with the package, else the one that DEPICKLE_PROGRAM names."""
    named = os.environ.get("DEPICKLE_PROGRAM", "")
    for program in (_BUNDLED, named):
        if os.access(program, os.X_OK):
            return program
    reason = "the program is missing: install the package again, or name it in DEPICKLE_PROGRAM"
    raise FileNotFoundError(errno.ENOENT, reason, named or _BUNDLED)


def run(
    words: Sequence[str], on_event: Callable[[Json], object] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Json, int]:
    """Runs `depickle WORDS…`; returns the object that it answered with, and its exit code.

    An error of the program is raised. Whatever is raised here meanwhile, be it KeyboardInterrupt or by `on_event`,
    stops the program first, which leaves nothing half-done.
    """
    # The locale is part of the contract: in another one the program spells its answer in ASCII.
    surroundings = {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", **(environment or {})}
    # A session of its own: a terminal's Ctrl-C reaches only this process, which passes it on once. Twice would kill.
    with subprocess.Popen(
        [find(), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=surroundings,
        start_new_session=True,
    ) as process:
        try:
            out, said = _listen(process, on_event)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
    answer = _parsed(out)
    if answer is None:
        reason = said.strip() or "it said nothing"
        raise RuntimeError(f"depickle {words[0]} {_ending(code)} without an answer: {reason}")
    if answer.get("schema") == _ERROR:
        raise exception(answer, _last_error(said))
    return answer, code


def exception(error: Json, text: str) -> BaseException:
    """The exception for an error of the program (docs/json.md): the one table of the package."""
    code, message, hint, file = error["code"], error["message"], error["hint"], error["file"]
    reason = f"{message}\nhint: {hint}" if hint else message
    if code == "not_found" and file and not os.path.exists(file):  # else something in it is missing
        return FileNotFoundError(error["errno"] or errno.ENOENT, reason, file)
    if code == "io":
        return OSError(error["errno"] or errno.EIO, reason, file)
    return _KINDS.get(code, ValueError)(text)


_KINDS: dict[str, type[BaseException]] = {
    "unsafe": pickle.UnpicklingError,
    "denied": PermissionError,
    "network": ConnectionError,
    "cancelled": KeyboardInterrupt,
}


def kind_of(exit_code: int) -> type[BaseException]:
    """The class for what failed as a part of an answer, of which only the exit code is known."""
    return {1: pickle.UnpicklingError, 4: PermissionError, 75: ConnectionError}.get(exit_code, ValueError)


def _listen(process: "subprocess.Popen[bytes]", on_event: Callable[[Json], object] | None) -> tuple[bytes, str]:
    """What the process writes to stdout but for events, and to stderr, until it closes both."""
    out, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, out)  # type: ignore[arg-type]
        pipes.register(process.stderr, selectors.EVENT_READ, said)  # type: ignore[arg-type]
        while pipes.get_map():
            for key, _ in pipes.select():
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    pipes.unregister(key.fileobj)
                key.data.extend(chunk)
            for event in _events(out):
                if on_event:
                    on_event(event)
    return bytes(out), said.decode("utf-8", "backslashreplace")


def _events(out: bytearray) -> Iterator[Json]:
    """Takes the events that have come whole from the beginning of `out`; the answer follows them."""
    while out.startswith(_EVENT) and b"\n" in out:
        end = out.index(b"\n") + 1
        line = bytes(out[:end])
        del out[:end]
        yield json.loads(line)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate()  # what it still says must not fill a pipe
    except BaseException:  # a second Ctrl-C: no more patience
        process.kill()
        process.communicate()
        raise


def _parsed(out: bytes) -> Json | None:
    try:
        answer = json.loads(out)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _ending(code: int) -> str:
    return f"ended with {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"


def _last_error(said: str) -> str:
    """What the program said after `error:`, with the line of its hint."""
    return f"\n{said}".rpartition("\nerror: ")[2].strip()
