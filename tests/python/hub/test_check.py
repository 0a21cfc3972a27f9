"""check finds each kind of tampered pull request and reports the right finding."""

import io
import json

import pytest
import torch
from safetensors.torch import save

import no_seccomp
from embedded import files_of, pickled, safe, sharded_files, tied_model

MODEL = "model.safetensors"


def check(hub, number):
    done = hub.run("check", "me/m", number, "--json")
    assert done.out, done.err
    return done.code, done.json, [(found["finding"], found["name"]) for found in done.json["tensors"]]


@pytest.fixture
def tensors(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    return tensors


@pytest.mark.parametrize("alias", ["wte.weight", None], ids=["recorded", "not recorded"])
def test_a_correct_pull_request_of_another_user_is_identical(hub, tensors, alias):
    number = hub.pull_request("me/m", {MODEL: safe(tensors, alias)})
    code, report, findings = check(hub, number)
    assert (code, report["verdict"], report["tensors_identical"], findings) == (0, "identical", 5, [])
    assert hub.run("check", f"{hub.endpoint}/me/m/discussions/{number}").out.startswith(
        "identical: It adds only weights, and all 5 tensors are identical"
    )


def flipped(tensors):
    changed = {name: tensor.clone() for name, tensor in tensors.items()}
    changed["h.a"].view(torch.int32)[3, 3] ^= 1
    return changed


TAMPERED = {
    "one bit": (lambda t: safe(flipped(t)), [("different", "h.a")]),
    "missing": (lambda t: safe({name: tensor for name, tensor in t.items() if name != "h.b"}), [("missing", "h.b")]),
    "extra": (lambda t: safe(t | {"new": torch.ones(2)}), [("extra", "new")]),
    "renamed": (
        lambda t: safe({name.replace("h.b", "h.c"): tensor for name, tensor in t.items()}),
        [("missing", "h.b"), ("renamed", "h.c")],
    ),
    "swapped": (lambda t: safe(t | {"h.a": t["h.b"], "h.b": t["h.a"]}), [("swapped", "h.a"), ("swapped", "h.b")]),
    "dtype": (lambda t: safe(t | {"h.a": t["h.a"].half()}), [("dtype", "h.a")]),
    "shape": (lambda t: safe(t | {"h.a": t["h.a"].view(4, 16)}), [("shape", "h.a")]),
    "alias": (lambda t: safe(t, "h.a"), [("alias", "lm_head.weight")]),
    "head kept": (
        lambda t: save(
            {name: tensor for name, tensor in t.items() if name != "wte.weight"},
            {"format": "pt", "wte.weight": "lm_head.weight"},
        ),
        [("alias", "lm_head.weight")],
    ),
    "no safetensors": (lambda t: pickled(t | {"more": torch.ones(1)}), [("unreadable", "")]),
    "truncated": (lambda t: safe(t)[:-1], [("unreadable", "")]),
}


@pytest.mark.parametrize("make, expected", TAMPERED.values(), ids=TAMPERED)
def test_tampered_weights(hub, tensors, make, expected):
    code, report, findings = check(hub, hub.pull_request("me/m", {MODEL: make(tensors)}))
    assert (code, report["verdict"], findings) == (1, "different", expected)


@pytest.mark.parametrize(
    "files, delete, change, kind",
    [
        ({"modeling.py": b"import os"}, (), "added", "code"),
        ({"config.json": b'{"a": 1}'}, (), "changed", "config"),
        ({}, ("pytorch_model.bin",), "deleted", "pickle"),
        ({"README.md": b"hi"}, (), "added", "other"),
    ],
    ids=["code", "config", "deleted", "other"],
)
def test_more_than_weights(hub, tensors, files, delete, change, kind):
    code, report, findings = check(hub, hub.pull_request("me/m", {MODEL: safe(tensors)} | files, delete=delete))
    assert (code, report["verdict"], findings) == (1, "more-than-weights", [])
    assert [(file["change"], file["kind"]) for file in report["files"] if not file["expected"]] == [(change, kind)]


def test_pull_requests_without_comparable_weights(hub, tensors):
    assert check(hub, hub.pull_request("me/m", {"x.safetensors": save({"a": torch.ones(2)})}))[2] == [("unmatched", "")]
    code, report, findings = check(hub, hub.pull_request("me/m", {"NOTES.md": b"x"}))
    assert (code, report["verdict"], findings) == (1, "more-than-weights", [])


def test_weights_are_stale_only_after_their_pickle_changed(hub, tensors):
    number = hub.pull_request("me/m", {MODEL: safe(tensors)})
    hub.commit("me/m", {"README.md": b"moved"})
    code, report, _ = check(hub, number)
    assert code == 0 and "the branch has new commits" in report["notes"][0]
    hub.commit("me/m", {"pytorch_model.bin": pickled({"other": torch.ones(2)})})
    assert check(hub, number)[2] == [("stale", "")]


def test_check_reads_nothing_without_the_sandbox(hub, tensors):
    number = hub.pull_request("me/m", {MODEL: safe(tensors)})
    done = hub.run("check", "me/m", number, prefix=no_seccomp.PREFIX)
    assert done.code == 2 and "this kernel does not support the sandbox" in done.err and "--no-sandbox" in done.err
    assert hub.run("check", "me/m", number, "--no-sandbox", prefix=no_seccomp.PREFIX).code == 0


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    "weight_map, expected",
    [
        ({"a": FIRST, "b": SECOND}, []),
        ({"a": SECOND, "b": SECOND}, [("index", ""), ("missing", "a"), ("index", "a")]),
        ({"a": FIRST}, [("index", ""), ("missing", "b")]),
        ({"a": FIRST, "b": SECOND, "c": FIRST}, [("index", "c")]),
    ],
    ids=["correct", "wrong shard", "missing name", "extra name"],
)
def test_an_index_is_compared_with_its_shards(hub, weight_map, expected):
    files = sharded_files()
    hub.make("me/m", files)
    shards = {
        new: save(torch.load(io.BytesIO(files[old])), {"format": "pt"})
        for old, new in (("pytorch_model-00001-of-00002.bin", FIRST), ("pytorch_model-00002-of-00002.bin", SECOND))
    }
    index = json.dumps({"metadata": {"total_size": 24}, "weight_map": weight_map}).encode()
    code, _, findings = check(hub, hub.pull_request("me/m", shards | {"model.safetensors.index.json": index}))
    assert (code, findings) == (1 if expected else 0, expected)
