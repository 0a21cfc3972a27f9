"""Runs Python code that may crash, hang, leak or patch its process in a child process."""
import os
import pathlib
import subprocess
import sys
import textwrap

import depickle

PACKAGES = pathlib.Path(depickle.__file__).parents[1]


def environment(**more):
    """Returns the environment of a child that imports the tested `depickle` and does not use the network."""
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | offline | more


def run(code, *arguments, timeout=120, **more):
    """Runs `code` with `arguments` as sys.argv[1:], asserts exit code 0 and returns the completed process."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(**more))
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
    return done
