"""Python code in a process of its own: what may crash, hang, leak or patch the process does so there."""
import os
import pathlib
import subprocess
import sys
import textwrap

import depickle

PACKAGES = pathlib.Path(depickle.__file__).parents[1]


def environment(**more):
    """Of a child that imports the `depickle` under test, and asks no network for anything."""
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | offline | more


def run(code, *words, timeout=120, **more):
    """The completed process of `code` with `words` as sys.argv[1:]; it must end with 0."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment(**more))
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
    return done
