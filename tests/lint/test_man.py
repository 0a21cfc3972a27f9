"""The man pages cover every command and are free of errors and warnings."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ.get("DEPICKLE_BIN_DIR", ROOT / "build/release/bin")) / "depickle"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([PROGRAM, "help", "--man", folder], check=True)
    return {path.name: path for path in folder.iterdir()}


def test_every_command_has_a_page(pages):
    commands = re.findall(r"^\.BR depickle\\-(\w+) \(1\)", pages["depickle.1"].read_text(), re.M)
    assert {"convert", "inspect", "help"} <= set(commands)
    assert set(pages) == {"depickle.1", *(f"depickle-{command}.1" for command in commands)}


def test_a_page_has_the_options_of_its_command(pages):
    page = pages["depickle-convert.1"].read_text().replace("\\-", "-")
    assert ".B -n, --dry-run" in page and ".B SRC" in page and ".SH EXAMPLES" in page


def test_mandoc_finds_no_problem(pages):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages.values()], capture_output=True, text=True)
    # The pages have a version but no date, so that builds are reproducible.
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == [], done.stderr
