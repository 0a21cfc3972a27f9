"""The documents are correct: their C++ compiles, their links work, and they have the rule ids of the code."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MODULES = ["depickle", "cli", "server", "web", "python", "tests", "bench", "fuzz", "examples", "tools"]
READMES = [path for folder in MODULES for path in (ROOT / folder).rglob("README.md") if "samples" not in path.parts]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *READMES])
SOURCES = [path for folder in MODULES[:2] for path in (ROOT / folder).rglob("*") if path.suffix in (".h", ".cpp")]


def blocks(path):
    return re.findall(r"```cpp\n(.*?)```", path.read_text(), re.S)


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_the_cpp_examples_compile(name, tmp_path):
    (block,) = blocks(ROOT / name)
    if "int main()" not in block:  # includes, then the statements of a function
        includes, body = block.split("\n\n", 1)
        block = f"{includes}\nint main() {{\n{body}\nreturn bytes.empty();\n}}\n"
    source = tmp_path / "example.cpp"
    source.write_text(block)
    subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", f"-I{ROOT}", source], check=True)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_work(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_each_defense_of_the_threat_model_names_its_tests():
    rows = re.findall(r"^\| .* \|$", (ROOT / "docs/threat-model.md").read_text(), re.M)[1:]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`([^`]+)`", row.split(" | ")[3])
        assert named, row
        for path, _, name in (test.partition("::") for test in named):
            assert re.search(rf"\b{name}\b", (ROOT / "tests" / path).read_text()), (path, name)


def anchors(path):
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rules(text):
    return set(re.findall(r"\b(?:ST|SX|PK|ZP|TZ|TL|TS|TT|TF|TA|WT)\d\d\b", text))


def test_every_rule_of_the_code_is_documented():
    documented = set().union(*(rules(path.read_text()) for path in (ROOT / "docs/formats").glob("*.md")))
    quoted = [match for path in SOURCES for match in re.findall(r'"(?:[A-Z]{2}\d\d)"', path.read_text())]
    used = set().union(*map(rules, quoted))
    assert used - documented == set()
    assert len(used) > 30
