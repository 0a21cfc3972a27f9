"""What docs/python.md and docs/moving-from-safetensors.md show runs: the Python of a page, top to bottom, in one namespace and an empty folder."""
import pathlib
import re
import subprocess
import sys

import pytest

import fresh

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ["docs/python.md", "docs/moving-from-safetensors.md"]


def program_of(page):
    """The blocks of a page, each in its own lines, so that a traceback names those of the page."""
    text = (ROOT / page).read_text()
    lines = [""] * text.count("\n")
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        first = text.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        lines[first:first + len(code)] = code
    return "\n".join(lines)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_that_is_shown_runs(page, tmp_path):
    program = program_of(page)
    assert program.count("assert ") > 5, "a page that asserts nothing proves nothing"
    done = subprocess.run([sys.executable, "-c", f"exec(compile({program!r}, {page!r}, 'exec'))"], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=fresh.environment())
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^```(\w*)$", (ROOT / page).read_text(), re.M)
    assert all(fences[::2]) and not any(fences[1::2])
