"""Runs Python code that may crash, hang, leak or patch its process in a child process."""

import functools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import textwrap

import depickle

PACKAGES = pathlib.Path(depickle.__file__).parents[1]
SERVER = pathlib.Path(__file__).with_name("fork_server.py")


def environment(**more):
    """Returns the environment of a child that imports the tested `depickle` and does not use the network."""
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | offline | more


def assert_succeeded(done):
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
    return done


def run(code, *arguments, timeout=300, **more):
    """Runs `code` in a new interpreter, with `arguments` as sys.argv[1:].

    Asserts exit code 0 and returns the completed process.
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(**more))
    return assert_succeeded(done)


def fork(code, *arguments, **options):
    """Calls `fork_unchecked`, asserts exit code 0 and returns the completed process."""
    return assert_succeeded(fork_unchecked(code, *arguments, **options))


def assert_runs_silently(code, *arguments, **options):
    """Asserts that `code`, run by `fork`, ends normally and prints nothing, not even an exception of a thread."""
    done = fork(code, *arguments, **options)
    assert (done.stdout, done.stderr) == ("", "")


def fork_unchecked(code, *arguments, imports=("torch",), folder=".", finalizes=False, timeout=300):
    """Runs `code` in a fork of a process that imported the modules once, and returns the completed process.

    `finalizes` is whether the interpreter is finalized at the end of the code, as by a normal exit.
    """
    request = {"code": textwrap.dedent(code), "arguments": list(map(str, arguments)), "environment": environment()}
    request |= {"folder": os.path.abspath(folder), "finalizes": finalizes}
    return _server(tuple(imports)).run(request, timeout)


@functools.cache
def _server(imports):
    return _Server(imports)


class _Server:
    """A process of fork_server.py, which runs until this process exits."""

    def __init__(self, imports):
        self.command = [sys.executable, str(SERVER), *imports]
        self.process = None

    def run(self, request, timeout):
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            exit_code = self._ask(json.dumps(request | {"stdout": out.name, "stderr": err.name}), timeout)
            texts = (pathlib.Path(file.name).read_text() for file in (out, err))
            return subprocess.CompletedProcess(request["arguments"], exit_code, *texts)

    def _ask(self, request, timeout):
        if self.process is None:
            self._start()
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self._stop()
            raise TimeoutError(f"the code did not end within {timeout} s")
        return int(self.process.stdout.readline())

    def _start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, text=True, env=environment(), start_new_session=True
        )

    def _stop(self):
        """Kills the server and its children."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.process = None
