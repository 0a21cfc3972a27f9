"""The page judges files by the same endings as depickle/formats/detect."""
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]


def lists(path, declaration):
    """The lists of endings in a source file, by name."""
    found = re.findall(declaration + r"\s*=\s*[\[{](.*?)[\]}];", (ROOT / path).read_text(), re.S)
    return {name: re.findall(r'"(.*?)"', items) for name, items in found}


def test_the_page_has_the_endings_of_the_library():
    library = lists("depickle/formats/detect/file_name.cpp", r"constexpr std::string_view k(\w+)Endings\[\]")
    page = lists("web/hub/file_kind.js", r"const (\w+)Suffixes")
    assert page == {
        "pickle": library["Checkpoint"] + library["OtherPickle"],
        "other": library["OtherWeights"],
        "code": library["Code"],
    }
    assert all(page.values())
