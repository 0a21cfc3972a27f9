"""Builds the source distribution."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
VERSION = re.search(r"project\(depickle VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


def call(*command, **options):
    """Runs a command, asserts exit code 0 and returns its output."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def build_sdist(folder):
    code = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    call(sys.executable, "-c", code, folder, cwd=ROOT)
    (found,) = folder.iterdir()
    return found
