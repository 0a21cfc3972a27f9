"""Repositories as they are: wrong pull requests, left-over indexes, stray files. Both convert --pr and check."""

import io
import json

import pytest
import torch
from safetensors.torch import load, save

from embedded import files_of, pickled, safe, sharded_files, tied_model

TITLE = "Adding `safetensors` variant of this model"
BIN_INDEX, INDEX = "pytorch_model.bin.index.json", "model.safetensors.index.json"
SHARDS = {
    "pytorch_model-00001-of-00002.bin": "model-00001-of-00002.safetensors",
    "pytorch_model-00002-of-00002.bin": "model-00002-of-00002.safetensors",
}


def changed(tensors, how):
    return {name: how(tensor) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def index_of(shard_of):
    return json.dumps({"metadata": {"total_size": 24}, "weight_map": shard_of}).encode()


def right_shards(files):
    """The safetensors shards and the index of sharded_files()."""
    tables = {new: torch.load(io.BytesIO(files[old])) for old, new in SHARDS.items()}
    names = {name: shard for shard, table in tables.items() for name in table}
    return {shard: save(table, {"format": "pt"}) for shard, table in tables.items()} | {INDEX: index_of(names)}


def verdict(hub, number):
    done = hub.run("check", "me/m", number, "--json")
    assert done.out, done.err
    return done.json["verdict"], {found["finding"] for found in done.json["tensors"]}


@pytest.mark.parametrize("how", [torch.zeros_like, torch.Tensor.half], ids=["zeros", "half"])
@pytest.mark.parametrize("user", ["other", "me"])
def test_a_pull_request_with_other_weights_does_not_count(hub, how, user):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    wrong = hub.pull_request("me/m", {"model.safetensors": safe(changed(tensors, how))}, title=TITLE, user=user)
    plan = hub.run("convert", "me/m", "--pr", "--dry-run", "--json")
    assert plan.code == 0 and "do not merge it" in plan.json["previous"][0]["remark"], plan.err
    done = hub.run("convert", "me/m", "--pr")
    assert done.code == 0 and f"pull request #{wrong} of {user} does not count" in done.err, done.err
    assert verdict(hub, 2) == ("identical", set())
    # Our own wrong one is closed.
    assert hub.open_requests("me/m") == ([2] if user == "me" else [2, wrong])


def test_an_identical_pull_request_with_another_file_does_not_count(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    hub.pull_request("me/m", {"model.safetensors": safe(tensors), "modeling.py": b"import os"}, user="other")
    assert hub.run("convert", "me/m", "--pr").code == 0
    assert hub.open_requests("me/m") == [2, 1]


def test_only_pull_requests_into_the_same_branch_count(hub):
    hub.make("me/m", files_of(tied_model()))
    hub.api().create_branch("me/m", branch="v2")
    assert hub.run("convert", "me/m", "--pr").code == 0
    done = hub.run("convert", "me/m@v2", "--pr")
    assert done.code == 0, done.err
    assert hub.open_requests("me/m") == [2, 1]


def test_a_tag_or_an_old_commit_opens_no_pull_request_with_old_weights(hub):
    old = hub.make("me/m", files_of(tied_model())).oid
    hub.api().create_tag("me/m", tag="v1")
    assert hub.run("convert", "me/m@v1", "--pr").code == 0  # still the newest commit of main
    hub.commit("me/m", {"pytorch_model.bin": pickled({"new": torch.ones(3)})})
    for revision in ("v1", old):
        done = hub.run("convert", f"me/m@{revision}", "--pr")
        assert done.code == 2 and "is not the newest commit of a branch" in done.err and "me/m@main" in done.err
    assert hub.open_requests("me/m") == [1]


def test_a_left_over_index_is_replaced_and_check_finds_only_weights(hub):
    files = sharded_files()
    left_over = index_of({"a": "model-00001-of-00003.safetensors"})
    hub.make("me/m", files | {INDEX: left_over})
    done = hub.run("convert", "me/m", "--pr")
    assert done.code == 0, done.err
    text = hub.api().get_discussion_details("me/m", 1).events[0].content
    assert f"It replaces `{INDEX}`, which named files that do not exist." in text
    assert verdict(hub, 1) == ("identical", set())


def test_a_single_file_beside_a_left_over_index_is_compared(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors) | {INDEX: index_of({"a": "model-00001-of-00003.safetensors"})})
    assert hub.run("convert", "me/m", "--pr").code == 0
    assert verdict(hub, 1) == ("identical", set())


def test_check_compares_both_layouts_of_a_model(hub):
    files = sharded_files()
    hub.make("me/m", files)
    right = right_shards(files)
    assert verdict(hub, hub.pull_request("me/m", right)) == ("identical", set())
    zeros = save({"a": torch.zeros(3), "b": torch.zeros(3)}, {"format": "pt"})
    assert verdict(hub, hub.pull_request("me/m", right | {"model.safetensors": zeros}))[0] == "different"


def test_check_compares_with_the_pickle_that_libraries_load(hub):
    tensors = tied_model()
    zeros = changed(tensors, torch.zeros_like)
    hub.make("me/m", files_of(tensors) | {"model.pt": pickled(zeros), "model.ckpt": pickled(zeros)})
    assert verdict(hub, hub.pull_request("me/m", {"model.safetensors": safe(zeros)}))[0] == "different"
    assert verdict(hub, hub.pull_request("me/m", {"model.safetensors": safe(tensors)})) == ("identical", set())
    assert hub.run("convert", "me/m", "--pr", "--json").code == 3


def test_check_misses_no_shard_that_an_index_leaves_out(hub):
    files = sharded_files()
    first = next(iter(right_shards(files)))
    old_names = {"a": "pytorch_model-00001-of-00002.bin"}
    hub.make("me/m", files | {BIN_INDEX: index_of(old_names)})
    right = right_shards(files)
    names = json.loads(right[INDEX])["weight_map"]
    partial = index_of({name: shard for name, shard in names.items() if shard == first})
    assert verdict(hub, hub.pull_request("me/m", {first: right[first], INDEX: partial}))[0] == "different"
    assert hub.run("convert", "me/m", "--pr").code == 0
    assert verdict(hub, 2) == ("identical", set())


def test_stray_files_do_not_take_the_name_of_the_model(hub, tmp_path):
    files = sharded_files()
    strays = {name: pickled({"stray": torch.ones(2)}) for name in ("model.pt", "model.ckpt", "model.bin")}
    hub.make("me/m", files | strays)
    done = hub.run("convert", "me/m", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*SHARDS.values(), INDEX}
    assert {skipped["file"] for skipped in done.json["left"]} >= set(strays)


def test_odd_neighbors_are_skipped_and_named(hub, tmp_path):
    odd = {
        "pic.pt": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "vocab.pt": pickled({"words": {"a": 1}}),
        "model.ckpt": b"not a checkpoint of torch",
        "heads/mp_rank_00_model_states.pt": b"",
    }
    hub.make("me/m", {"net.pth": pickled({"w": torch.ones(2)})} | odd)
    done = hub.run("convert", "me/m", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert {skipped["file"] for skipped in done.json["left"]} == set(odd)
    assert torch.equal(load((tmp_path / "out/net.safetensors").read_bytes())["w"], torch.ones(2))
    assert hub.run("convert", "me/m", "--pr").code == 0
