"""Every JSON output has the keys and the types of docs/json.md."""
import collections
import json
import re

import pytest
import torch
from safetensors.torch import save_file

import pickles
import zips
from program import ROOT, run

DOCUMENTED = {
    name: json.loads(text)
    for name, text in re.findall(r"```json (\w+)\n(.*?)```", (ROOT / "docs/json.md").read_text(), re.S)
}


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def differences(real, documented, path="$"):
    """Yields the differences in keys and types. For lists, the keys of all elements are merged."""
    if real is None or documented is None:
        return
    if kind(real) != kind(documented):
        yield f"{path}: {kind(real)}, documented {kind(documented)}"
    elif isinstance(real, dict) and path != "$.metadata":
        for key in real.keys() ^ documented.keys():
            yield f"{path}.{key} is {'not documented' if key in real else 'documented and missing'}"
        for key in real.keys() & documented.keys():
            yield from differences(real[key], documented[key], f"{path}.{key}")
    elif isinstance(real, list) and real:
        if not documented:
            yield from ([] if isinstance(real[0], str) else [f"{path}: no example"])
        elif isinstance(real[0], dict):
            merged = [collections.ChainMap(*reversed(values)) for values in (real, documented)]
            yield from differences(dict(merged[0]), dict(merged[1]), path)
        else:
            yield from differences(real[0], documented[0], path)


def check(name, real):
    assert real["schema"] == DOCUMENTED[name]["schema"]
    assert list(differences(real, DOCUMENTED[name])) == []


@pytest.fixture
def model(tmp_path):
    """A folder that fills every field of a report: a nested checkpoint with tied and unsupported tensors, a sharded
    model, files that are not weights, and a broken file."""
    weight = torch.arange(6.0).view(2, 3)
    torch.save(
        {
            "state_dict": {"weight": weight, "lm_head.weight": weight, "q": torch.ones(2, dtype=torch.complex128)},
            "epoch": 3,
        },
        tmp_path / "checkpoint.pt",
    )
    (tmp_path / "sharded").mkdir()
    torch.save({"a": weight}, tmp_path / "sharded/pytorch_model-00001-of-00001.bin")
    (tmp_path / "sharded/pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {"total_size": 24}, "weight_map": {"a": "pytorch_model-00001-of-00001.bin"}})
    )
    torch.save({"state": {}}, tmp_path / "optimizer.pt")
    (tmp_path / "broken.bin").write_bytes(b"PK\x03\x04")
    torch.save({"b": weight}, tmp_path / "twin.bin")
    save_file({"b": weight}, tmp_path / "twin.safetensors")
    return tmp_path


def test_error(tmp_path):
    done = run("inspect", tmp_path / "gone.bin", "--json")
    check("error", done.json)
    assert done.err.startswith("error: ")


def test_inspect(model):
    check("inspect", run("inspect", model / "checkpoint.pt", "--json").json)


def test_json_is_utf8_in_every_locale(tmp_path):
    save_file({"größe": torch.ones(1)}, tmp_path / "x.safetensors")
    done = run("inspect", tmp_path / "x.safetensors", "--json", prefix=("env", "LC_ALL=C"))
    assert done.json["tensors"][0]["name"] == "größe"


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["real", "planned"])
def test_convert(arguments, model, tmp_path):
    done = run("convert", model, "-o", tmp_path / "out", "--skip-unsupported", "--json", *arguments)
    assert all(done.json[key] for key in ("files", "indexes", "already", "left", "failed")), done.out
    check("convert", done.json)


def test_events(model, tmp_path):
    lines = [
        json.loads(line)
        for line in run(
            "convert", model / "checkpoint.pt", "-o", tmp_path / "out.safetensors", "--skip-unsupported", "--events"
        ).out.splitlines()
    ]
    assert len(lines) > 1
    for line in lines[:-1]:
        assert list(differences(line, DOCUMENTED["event"])) == []
    check("convert", lines[-1])


def test_compare(tmp_path):
    save_file({"w": torch.ones(3), "v": torch.ones(2)}, tmp_path / "a.safetensors")
    save_file(
        {"w": torch.tensor([1.0, 1.0, 2.0]), "v": torch.ones(2).half()}, tmp_path / "b.safetensors", metadata={"t": "w"}
    )
    save_file({"w": torch.ones(3), "v": torch.ones(2), "t": torch.ones(3)}, tmp_path / "a.safetensors")
    check("compare", run("compare", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--json").json)


def test_scan(tmp_path):
    pickle = pickles.stream(pickles.call("posix", "getcwd"))
    (tmp_path / "suspicious.pt").write_bytes(zips.checkpoint(pickle, []))
    check("scan", run("scan", tmp_path / "suspicious.pt", "--json").json)


def test_receipt_and_verify(model, tmp_path):
    run("convert", model, "-o", tmp_path / "out", "--skip-unsupported", "--receipt", tmp_path / "receipt.json")
    check("receipt", json.loads((tmp_path / "receipt.json").read_text()))
    (tmp_path / "checkpoint.pt").unlink()
    target = next((tmp_path / "out").glob("checkpoint.safetensors"))
    target.write_bytes(target.read_bytes()[:-1] + b"\x01")
    done = run("verify", tmp_path / "receipt.json", "--json")
    assert done.json["flaws"] and done.json["notes"]
    check("verify", done.json)


def test_version():
    check("version", run("version", "--json").json)
