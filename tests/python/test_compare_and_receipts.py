"""compare finds one changed bit; verify fails if a file or the receipt has changed."""
import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from program import NO, YES, assert_refused, run
from tensors import random_bits, raw

NAN_A, NAN_B = (torch.tensor([bits], dtype=torch.int32).view(torch.float32) for bits in (0x7FC00001, 0x7FC00002))


def findings(a, b):
    done = run("compare", a, b, "--json")
    report = done.json
    assert report["schema"] == "depickle.compare/1" and report["identical"] == (done.code == YES)
    return {
        tensor["name"]: tensor["finding"]
        for tensor in report["tensors"]
        if tensor["finding"] not in ("identical", "tied")
    }


@pytest.fixture
def pair(tmp_path):
    base = random_bits(torch.float32, 30, 20)
    tensors = {
        "w": base,
        "t": base.t(),
        "tied": base,
        "zero": torch.zeros(2),
        "nan": NAN_A,
        "h": random_bits(torch.float16, 100001),
    }
    torch.save(tensors, tmp_path / "a.pt")
    return tensors, tmp_path / "a.pt", tmp_path / "b.pt"


def test_containers_and_layouts_do_not_matter(pair, tmp_path):
    tensors, a, b = pair
    torch.save(
        {name: tensor.contiguous().clone() for name, tensor in reversed(tensors.items())},
        b,
        _use_new_zipfile_serialization=False,
    )
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, tmp_path / "c.safetensors")
    assert findings(a, b) == findings(a, tmp_path / "c.safetensors") == findings(tmp_path / "c.safetensors", b) == {}


@pytest.mark.parametrize("name, value", [("nan", NAN_B), ("zero", torch.tensor([0.0, -0.0])), ("w", None), ("h", None)])
def test_one_changed_bit_is_found(pair, name, value):
    tensors, a, b = pair
    changed = dict(tensors)
    changed[name] = tensors[name].clone() if value is None else value
    if value is None:
        changed[name].view(torch.int16)[-1, ...].view(-1)[-1] ^= 1
    torch.save(changed, b)
    assert findings(a, b) == {name: "different"}


def test_names_dtypes_and_shapes_are_compared(pair):
    tensors, a, b = pair
    changed = {name: tensor for name, tensor in tensors.items() if name != "nan"} | {
        "new": torch.ones(1),
        "zero": torch.zeros(2, dtype=torch.int32),
        "w": tensors["w"].view(20, 30),
    }
    torch.save(changed, b)
    assert findings(a, b) == {"nan": "missing", "new": "added", "zero": "dtype", "w": "shape"}
    assert run("compare", a, b).code == NO


def test_an_unreadable_file_is_an_error_not_a_difference(pair, tmp_path):
    _, a, b = pair
    b.write_bytes(b"PK\3\4")
    assert_refused(run("compare", a, b), b)
    assert_refused(run("compare", a, tmp_path / "gone"), tmp_path / "gone")


@pytest.fixture
def receipt(pair, tmp_path):
    _, a, _ = pair
    done = run("convert", a, "-o", tmp_path / "model.safetensors", "--receipt", tmp_path / "receipt.json")
    assert done.code == YES, done.err
    return tmp_path / "receipt.json"


def test_a_receipt_contains_the_digests_of_files_and_tensors(pair, receipt, tmp_path):
    tensors, a, _ = pair
    content = receipt.read_text()
    assert json.loads(content)["schema"].startswith("depickle.receipt/")
    for file in (a, tmp_path / "model.safetensors"):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in content and str(file.stat().st_size) in content
    for name, tensor in tensors.items():
        assert name in content and hashlib.sha256(raw(tensor)).hexdigest() in content


def test_a_receipt_can_be_verified(receipt):
    done = run("verify", receipt)
    assert done.code == YES, done.err
    assert run("verify", receipt, "--json").json["schema"].startswith("depickle.verify/")


@pytest.mark.parametrize("file", ["model.safetensors", "a.pt"])
def test_a_changed_file_fails_its_receipt(receipt, file, tmp_path):
    content = bytearray((tmp_path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    done = run("verify", receipt)
    assert done.code == NO and file in done.out + done.err


def test_a_changed_receipt_fails(pair, receipt):
    tensors, _, _ = pair
    digest = hashlib.sha256(raw(tensors["zero"])).hexdigest()
    receipt.write_text(receipt.read_text().replace(digest, digest[::-1]))
    assert run("verify", receipt).code == NO


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": "depickle.receipt/999"}', b'{"schema": 1}'])
def test_a_file_that_is_not_a_receipt_is_refused(content, tmp_path):
    (tmp_path / "receipt.json").write_bytes(content)
    assert_refused(run("verify", tmp_path / "receipt.json"), tmp_path / "receipt.json")


def test_verify_needs_the_target_but_not_the_source(receipt, tmp_path):
    (tmp_path / "a.pt").unlink()
    done = run("verify", receipt)
    assert done.code == YES and "a.pt" in done.out + done.err
    (tmp_path / "model.safetensors").unlink()
    assert run("verify", receipt).code == NO
