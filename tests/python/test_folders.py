"""A model's folder: every checkpoint is converted, a new index is written, and other files do not change."""
import json

import pytest
import torch
from safetensors.torch import save_file

from program import COULD_NOT, NOTHING_TO_DO, YES, error_line, inspect, run, snapshot
from tensors import differences, load, random_bits

pytestmark = pytest.mark.hostile


@pytest.fixture
def tensors():
    return {
        "a": random_bits(torch.float32, 3, 4),
        "b": random_bits(torch.bfloat16, 5),
        "c": random_bits(torch.int64, 2),
        "d": random_bits(torch.float16, 2, 2),
    }


@pytest.fixture
def sharded(tensors, tmp_path):
    """A sharded model as transformers saves it, with other files; `tied` has the storage of `a`, in the same shard."""
    folder = tmp_path / "model"
    folder.mkdir()
    shards = {
        "pytorch_model-00001-of-00002.bin": {"a": tensors["a"], "b": tensors["b"], "tied": tensors["a"]},
        "pytorch_model-00002-of-00002.bin": {"c": tensors["c"], "d": tensors["d"]},
    }
    for name, shard in shards.items():
        torch.save(shard, folder / name)
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {tensor: name for name, shard in shards.items() for tensor in shard},
    }
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text("{}")
    torch.save({"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}, folder / "optimizer.pt")
    torch.save({"lr": 1}, folder / "training_args.bin")
    return folder


def test_a_sharded_model(sharded, tensors, tmp_path):
    target = tmp_path / "out"
    done = run("convert", sharded, "-o", target)
    assert done.code == YES, done.err
    names = {path.name for path in target.rglob("*") if path.is_file()}
    assert names >= {
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    }
    assert not {name for name in names if "optimizer" in name or "training_args" in name}
    assert "optimizer.pt" in done.out + done.err and "training_args.bin" in done.out + done.err

    index = json.loads((target / "model.safetensors.index.json").read_text())
    kept = {}
    for shard in set(index["weight_map"].values()):
        table, _ = load(target / shard)
        assert {name for name, where in index["weight_map"].items() if where == shard} == set(table)
        kept |= table
    assert differences(kept, tensors) == []
    assert index["metadata"]["total_size"] == sum(tensor.numel() * tensor.element_size() for tensor in kept.values())
    assert run("compare", sharded, target).code == YES


def test_an_index_opens_as_one_table(sharded, tensors):
    for address in (sharded / "pytorch_model.bin.index.json", sharded):
        assert {tensor["name"] for tensor in inspect(address)["tensors"]} == {*tensors, "tied"}


def test_converting_in_place_keeps_the_source(sharded):
    before = snapshot(sharded)
    assert run("convert", sharded).code == YES
    after = snapshot(sharded)
    assert before.items() <= after.items() and "model.safetensors.index.json" in after


def test_a_second_run_has_nothing_to_do(sharded):
    assert run("convert", sharded).code == YES
    before = snapshot(sharded)
    assert run("convert", sharded).code == NOTHING_TO_DO
    assert snapshot(sharded) == before


def test_a_pipeline_keeps_its_subfolders_and_variants(tmp_path):
    source = tmp_path / "pipeline"
    files = {
        "unet/diffusion_pytorch_model.bin": "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.bin": "unet/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/pytorch_model.bin": "text_encoder/model.safetensors",
        "text_encoder/pytorch_model.fp16.bin": "text_encoder/model.fp16.safetensors",
    }
    strays = ["vae/other.pth", "last.ckpt"]
    for number, name in enumerate([*files, *strays]):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"w": torch.full((3,), float(number))}, source / name)
    (source / "model_index.json").write_text("{}")
    target = tmp_path / "out"
    done = run("convert", source, "-o", target, "--json")
    assert done.code == YES and [skipped["file"] for skipped in done.json["left"]] == sorted(strays)
    for number, name in enumerate(files.values()):
        assert torch.equal(load(target / name)[0]["w"], torch.full((3,), float(number))), name


@pytest.mark.parametrize(
    "name, target",
    [
        ("pytorch_model.bin", "model.safetensors"),
        ("pytorch_model.fp16.bin", "model.fp16.safetensors"),
        ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"),
        ("yolo.pt", "yolo.safetensors"),
        ("x.pth", "x.safetensors"),
        ("last.ckpt", "last.safetensors"),
    ],
)
def test_the_default_target_follows_the_name_of_the_source(name, target, tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / name)
    assert run("convert", tmp_path / name).code == YES
    assert set(snapshot(tmp_path)) == {name, target}


def test_a_model_with_a_bad_shard_gets_no_index(sharded, tmp_path):
    shard = sharded / "pytorch_model-00002-of-00002.bin"
    shard.write_bytes(shard.read_bytes()[:-30])
    done = run("convert", sharded, "-o", tmp_path / "out")
    assert done.code == COULD_NOT and shard.name in error_line(done)
    assert not list((tmp_path / "out").rglob("*.index.json")) and not list((tmp_path / "out").rglob(".*"))


def test_a_wrong_index_is_refused(sharded, tmp_path):
    index = sharded / "pytorch_model.bin.index.json"
    good = json.loads(index.read_text())
    for change in (
        {"weight_map": good["weight_map"] | {"ghost": "pytorch_model-00001-of-00002.bin"}},
        {"weight_map": good["weight_map"] | {"a": "gone.bin"}},
        {"weight_map": good["weight_map"] | {"a": "../../etc/passwd"}},
        {"weight_map": good["weight_map"] | {"a": "/etc/passwd"}},
        {"weight_map": []},
        {"weight_map": {"a": 1}},
    ):
        index.write_text(json.dumps(good | change))
        done = run("inspect", index)
        assert done.code == COULD_NOT, change
    index.write_text("{")
    assert run("inspect", index).code == COULD_NOT


def test_the_failures_of_a_folder_have_the_hints_of_the_program(tmp_path):
    for name in ("a.bin", "b.bin"):
        torch.save({"q": torch.ones(2, dtype=torch.complex128)}, tmp_path / name)
    alone = run("convert", tmp_path / "a.bin", "--json")
    folder = run("convert", tmp_path, "--json")
    assert alone.code == folder.code == COULD_NOT and "--skip-unsupported" in alone.json["hint"]
    assert [failure["hint"] for failure in folder.json["failed"]] == [alone.json["hint"]] * 2


def test_a_safetensors_file_and_a_pickle_with_exchanged_extensions(tmp_path):
    save_file({"s": torch.ones(2)}, tmp_path / "model.ckpt")
    torch.save({"p": torch.ones(3)}, tmp_path / "model.safetensors")
    before = snapshot(tmp_path)
    in_place = run("convert", tmp_path, "--json")
    assert in_place.code == NOTHING_TO_DO
    assert "only be converted into another folder" in in_place.json["left"][0]["reason"]
    assert snapshot(tmp_path) == before
    done = run("convert", tmp_path, "-o", tmp_path / "out", "--json")
    assert done.code == YES and [skipped["file"] for skipped in done.json["already"]] == ["model.ckpt"], done.err
    assert "not a safetensors file" in done.json["files"][0]["notes"][0]
    assert set(load(tmp_path / "out/model.safetensors")[0]) == {"p"}


def test_shards_beside_a_quantized_copy_are_converted(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({"b": torch.ones(2)}, tmp_path / "pytorch_model-00002-of-00002.bin")
    for dtype, code in ((torch.int8, YES), (torch.float32, NOTHING_TO_DO)):
        save_file({"a": torch.ones(2).to(dtype), "b": torch.ones(2).to(dtype)}, tmp_path / "model.safetensors")
        done = run("convert", tmp_path, "-o", tmp_path / str(dtype))
        assert done.code == code, done.err
        assert ("libraries load it first" in done.out) == (code == YES)
