"""Runs the Python examples of docs/python.md and docs/moving-from-safetensors.md.

The code blocks of a page run in order, in one namespace and an empty folder.
"""
import pathlib
import re

import pytest

import fresh

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ["docs/python.md", "docs/moving-from-safetensors.md"]


def code_of(page):
    """Returns the code blocks of a page at their own line numbers, so that tracebacks match the page."""
    text = (ROOT / page).read_text()
    lines = [""] * text.count("\n")
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        first = text.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        lines[first:first + len(code)] = code
    return "\n".join(lines)


@pytest.mark.parametrize("page", PAGES)
def test_python_examples_run(page, tmp_path):
    program = code_of(page)
    assert program.count("assert ") > 5, "the page has too few assertions"
    fresh.fork(f"exec(compile({program!r}, {page!r}, 'exec'))", folder=tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_names_its_language(page):
    fences = re.findall(r"^```(\w*)$", (ROOT / page).read_text(), re.M)
    assert all(fences[::2]) and not any(fences[1::2])
