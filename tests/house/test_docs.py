"""What the documents show is true: their C++ compiles, their links lead somewhere, the rule ids of the formats are those of the code."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("depickle/*/README.md")])
SOURCES = [path for folder in ("depickle", "cli") for path in (ROOT / folder).rglob("*") if path.suffix in (".h", ".cpp")]


def blocks(path):
    return re.findall(r"```cpp\n(.*?)```", path.read_text(), re.S)


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_the_cpp_that_is_shown_compiles(name, tmp_path):
    (block,) = blocks(ROOT / name)
    if "int main()" not in block:  # a piece of a function, behind its includes
        includes, body = block.split("\n\n", 1)
        block = f"{includes}\nint main() {{\n{body}\nreturn bytes.empty();\n}}\n"
    source = tmp_path / "shown.cpp"
    source.write_text(block)
    subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{ROOT}", source], check=True)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target.split("#")[0]).exists() or target.startswith("#"), target


def rules(text):
    return set(re.findall(r"\b(?:ST|SX|PK|ZP|TZ|TL|TS|TT|TF|TA|WT)\d\d\b", text))


def test_every_rule_of_the_code_is_documented():
    documented = set().union(*(rules(path.read_text()) for path in (ROOT / "docs/formats").glob("*.md")))
    used = set().union(*(rules(match) for path in SOURCES for match in re.findall(r'"(?:[A-Z]{2}\d\d)"', path.read_text())))
    assert used - documented == set()
    assert len(used) > 30
