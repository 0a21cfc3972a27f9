"""263 files with the recorded verdicts of the real library: depickle's verdicts are the same."""
import json

import pytest

from program import SHARED
from safetensors_verdict import ask, tensors

pytestmark = pytest.mark.hostile

FOLDER = SHARED / "corpus" / "safetensors"
if not FOLDER.exists():
    pytest.skip("../shared does not exist", allow_module_level=True)
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text())


def make(recipe, path):
    """Writes a file that is too large for the corpus; its zeros at the end are a hole in the file."""
    with open(path, "wb") as out:
        for text, times in recipe:
            if text == "00":
                out.truncate(out.tell() + times)
            else:
                out.write(bytes.fromhex(text) * times)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipes")
    paths = {name: FOLDER / name for name in VERDICTS}
    for name, verdict in VERDICTS.items():
        if "recipe" in verdict:
            paths[name] = folder / name
            make(verdict["recipe"], paths[name])
    yield paths
    for path in folder.iterdir():
        path.unlink()


def test_reference_mode_agrees_with_the_real_library(paths):
    assert len(paths) == 263
    wrong = {}
    for (name, verdict), answer in zip(VERDICTS.items(), ask("reference", paths.values()), strict=True):
        expected = None
        if verdict["accept"] and not verdict.get("duplicate"):
            expected = {n: (t["dtype"], t["shape"], t["sha256"]) for n, t in verdict["tensors"].items()}
        if tensors(answer) != expected:
            wrong[name] = answer
    assert not wrong


def test_strict_mode_follows_the_format_literally(paths):
    wrong = {}
    for (name, verdict), answer in zip(VERDICTS.items(), ask("strict", paths.values()), strict=True):
        if verdict["strict"] != "unclear" and answer["accept"] != (verdict["strict"] == "accept"):
            wrong[name] = answer
    assert not wrong


def test_every_refusal_names_the_rule_and_the_file(paths):
    for mode in ("reference", "strict"):
        for path, answer in zip(paths.values(), ask(mode, paths.values()), strict=True):
            if not answer["accept"]:
                assert answer["rule"].startswith("ST"), answer
                assert answer["error"].startswith(f"{path}: "), answer
