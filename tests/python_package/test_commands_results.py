"""The program's commands as functions: results."""
import dataclasses
import json
import os
import pathlib
import re
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import depickle
from depickle import _results
from command_helpers import bits, checkpoint, converted_as  # noqa: F401

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests/python"), str(ROOT / "tests/python/hub")]

from embedded import safe  # noqa: E402


def test_convert_returns_a_report_and_the_tensors_are_identical(checkpoint):
    result = depickle.convert(checkpoint)
    (file,) = result.files
    assert result.outcome == "written" and (file.tensors, file.identical) == (2, 2)
    assert file.tied == [_results.Tied(name="lm_head.weight", kept="weight")]
    assert file.root == "state_dict" and file.leftovers[0].path == "epoch"
    assert result.json["schema"] == "depickle.convert/1" and result.json["files"][0]["target"] == file.target
    assert converted_as(checkpoint, file.target)


def test_options_of_convert_are_passed_to_the_program(checkpoint, tmp_path):
    target = tmp_path / "-x.safetensors"
    options = {"align": 4096, "tied": "copy", "root": "state_dict", "checksums": False, "durable": False}
    options["receipt"] = tmp_path / "receipt.json"
    assert depickle.convert(checkpoint, target, dry_run=True, **options).outcome == "planned" and not target.exists()
    depickle.convert(checkpoint, target, **options)
    assert set(load_file(target)) == {"weight", "lm_head.weight"}
    assert (8 + int.from_bytes(target.read_bytes()[:8], "little")) % 4096 == 0
    assert depickle.verify(tmp_path / "receipt.json").tensors == 2
    assert depickle.convert(checkpoint, target, root="state_dict").outcome == "nothing-to-do"
    save_file({"weight": torch.zeros(1)}, target)
    with pytest.raises(FileExistsError, match="already exists with different content"):
        depickle.convert(checkpoint, target)
    for options, kept in (({"keep": "weight"}, "weight"), ({"discard": ["weight"]}, "lm_head.weight")):
        depickle.convert(checkpoint, target, force=True, **options)
        assert set(load_file(target)) == {kept}


def test_verify_is_false_after_a_change_and_names_the_file(checkpoint, tmp_path):
    depickle.convert(checkpoint, tmp_path / "x.safetensors", receipt=tmp_path / "receipt.json")
    assert depickle.verify(tmp_path / "receipt.json")
    with open(tmp_path / "x.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    broken = depickle.verify(tmp_path / "receipt.json")
    assert not broken and not broken.proven and broken.flaws[0].file == "x.safetensors"


def test_convert_with_nothing_to_do_is_a_result(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(safe({"a": torch.ones(2)}, None))
    result = depickle.convert(tmp_path / "model.safetensors")
    assert result.outcome == "nothing-to-do" and result.already[0].file == "model.safetensors"
    assert depickle.convert(tmp_path).outcome == "nothing-to-do"


def test_compare_is_true_for_identical_models_and_lists_differences(checkpoint, tmp_path):
    depickle.convert(checkpoint, tmp_path / "same.safetensors")
    assert depickle.compare(checkpoint, tmp_path / "same.safetensors")
    torch.save({"weight": torch.ones(20, 30, dtype=torch.float16), "new": torch.ones(1)}, tmp_path / "other.pt")
    different = depickle.compare(checkpoint, tmp_path / "other.pt")
    assert not different and not different.identical
    assert {(each.name, each.finding) for each in different.tensors} >= {("weight", "dtype"), ("new", "added")}
    assert depickle.compare(checkpoint, checkpoint, root="state_dict").tensors_compared == 2


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def test_scan_reports_code_and_does_not_run_it(checkpoint, tmp_path):
    assert depickle.scan(checkpoint) and depickle.scan(checkpoint).verdict == "tensors-only"
    torch.save({"w": torch.ones(3), "evil": Evil(tmp_path / "marker")}, tmp_path / "evil.pt")
    (tmp_path / "noise.bin").write_bytes(b"\x80\x04noise")
    found = depickle.scan(tmp_path / "evil.pt", tmp_path / "noise.bin", checkpoint)
    assert [file.verdict for file in found.files] == ["has-code", "unreadable", "tensors-only"]
    assert not found and found.verdict == "has-code" and "system" in found.files[0].findings[0].what
    assert any(each.class_ == "code" for each in found.files[0].globals) and found.files[1].error
    assert depickle.scan(tmp_path / "noise.bin").verdict == "unreadable" and len(depickle.scan(tmp_path).files) == 3
    depickle.convert(tmp_path / "evil.pt")
    assert bits(load_file(tmp_path / "evil.safetensors")["w"]) == bits(torch.ones(3))
    assert not (tmp_path / "marker").exists()


def test_inspect_lists_the_tensors(checkpoint):
    result = depickle.inspect(str(checkpoint))
    assert [(each.name, each.dtype, each.shape) for each in result.tensors][0] == ("weight", "F32", [20, 30])
    assert depickle.inspect(checkpoint, root=".").leftovers[0].description == "int 3"


def test_results_have_the_fields_of_json_md():
    text = (ROOT / "docs/json.md").read_text()
    documented = {name: json.loads(form) for name, form in re.findall(r"```json (\w+)\n(.*?)```", text, re.S)}
    kinds = {
        "check": _results.Check,
        "compare": _results.Comparison,
        "convert_repo": _results.Conversion,
        "download": _results.Download,
        "inspect": _results.Inspection,
        "scan": _results.Scan,
        "verify": _results.Verification,
    }
    for form, kind in kinds.items():
        assert fields(kind) == set(documented[form]) - {"schema"}, form
        assert_same_fields(_results.from_json(kind, documented[form]), documented[form])


def fields(kind):
    return {field.name.rstrip("_") for field in dataclasses.fields(kind)} - {"json"}


def assert_same_fields(result, documented):
    """Compares lists of objects by the union of their keys."""
    for name in fields(type(result)):
        value = getattr(result, name, None)
        if isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
            assert fields(type(value[0])) == set().union(*documented[name]), name
            for each, form in zip(value, documented[name], strict=True):
                assert_same_fields(each, form)


def test_paths_may_be_any_path_of_python(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    odd = tmp_path / "ünï — 模型.pt"
    odd.write_bytes(checkpoint.read_bytes())
    assert depickle.convert(str(odd)).files[0].target == str(odd.with_suffix(".safetensors"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "--help").write_bytes(checkpoint.read_bytes())
    assert depickle.scan("--help").files[0].file == "--help"
    for call in (depickle.convert, depickle.inspect, depickle.verify, depickle.scan):
        with pytest.raises(TypeError):
            call(5)
    with pytest.raises(ValueError, match="null"):
        depickle.inspect("a\0b")
