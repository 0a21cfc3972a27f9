"""Checkpoints of real torch, in every container and layout: the same tensors come out, bit for bit."""
import collections

import pytest
import torch
import torch.nn as nn
from safetensors.torch import save_file
from torch.utils.serialization import config

from program import YES, inspect, run
from tensors import assert_converts, header, load, random_bits, raw, save_and_load

CONTAINERS = (
    {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}
    | {f"protocol {n}": {"pickle_protocol": n} for n in (2, 3, 4, 5)}
    | {f"legacy protocol {n}": {"_use_new_zipfile_serialization": False, "pickle_protocol": n} for n in (3, 4, 5)}
)


@pytest.fixture(params=CONTAINERS)
def container(request):
    """The options of torch.save for this container."""
    return CONTAINERS[request.param]


def layouts():
    base = random_bits(torch.float32, 6, 5, 4, 3)
    half = random_bits(torch.bfloat16, 300, 17)
    return {
        "base": base,
        "transposed": half.t(),
        "permuted": base.permute(3, 1, 0, 2),
        "expanded": random_bits(torch.float32, 1).expand(7, 9),
        "expanded inside": base[0, 0, 0].unsqueeze(1).expand(3, 4),
        "channels last": random_bits(torch.float16, 2, 3, 8, 8).contiguous(memory_format=torch.channels_last),
        "channels last 3d": random_bits(torch.float32, 2, 3, 2, 4, 5).contiguous(memory_format=torch.channels_last_3d),
        "slice": base[1:, ::2, 1:3],
        "part": torch.arange(500, dtype=torch.int16)[100:103],
        "column": half[:, 5],
        "diagonal": base[0, :, :3, 0].diagonal(),
        "window": torch.arange(6.0).as_strided((4, 3), (1, 1)),
        "reversed rows": half.flip(0)[:, :3],
        "scalar": torch.tensor(-0.0),
        "element": base[3, 2, 1, 0],
        "empty": torch.empty(3, 0, 2),
    }


def test_layouts_are_written_in_c_order(container, tmp_path):
    expected = save_and_load(layouts(), tmp_path / "model.pt", **container)
    assert_converts(tmp_path / "model.pt", expected)
    report = {tensor["name"]: tensor for tensor in inspect(tmp_path / "model.pt")["tensors"]}
    assert report["transposed"]["shape"] == [17, 300] and report["transposed"]["strides"] == [1, 17]
    assert report["expanded"]["strides"] == [0, 0]
    with open(tmp_path / "model.pt", "rb") as file:  # a contiguous tensor has an offset in the file
        file.seek(report["base"]["offset"])
        assert file.read(report["base"]["bytes"]) == raw(expected["base"])
    assert report["transposed"]["offset"] is None


def test_conjugated_and_negated_views_are_resolved(container, tmp_path):
    c = random_bits(torch.complex64, 4, 5)
    views = {
        "conj": c.conj(),
        "conj transposed": c.conj().t(),
        "negative": c.clone().conj().imag,
        "real": c.clone().real,
        "imaginary": c.clone().imag,
        "both": torch._neg_view(c.clone()).conj(),
    }
    assert torch.is_conj(views["conj"]) and views["negative"].is_neg()
    assert_converts(tmp_path / "model.pt", save_and_load(views, tmp_path / "model.pt", **container))


def test_a_contiguous_state_dict_gives_the_bytes_of_save_file(container, tmp_path):
    """Every dtype at once, and names that need escapes: order, padding and escapes are those of upstream."""
    tensors = {
        f"z.{index}": random_bits(dtype, 3, 2)
        for index, dtype in enumerate(
            [
                torch.float32,
                torch.bfloat16,
                torch.int64,
                torch.bool,
                torch.float16,
                torch.uint8,
                torch.float64,
                torch.complex64,
            ]
        )
    }
    tensors |= {
        'quote " backslash \\ slash /': torch.ones(3),
        "tab\tnewline\nbell\x07 del\x7f": torch.ones(1),
        "Ünïcode 🥒 \u2028": torch.ones(2),
        "scalar": torch.tensor(7),
        "empty": torch.empty(0),
        "": torch.ones(1),
    }
    torch.save(tensors, tmp_path / "model.pt", **container)
    save_file(tensors, tmp_path / "upstream.safetensors", metadata={"format": "pt"})
    assert run("convert", tmp_path / "model.pt", "-o", tmp_path / "ours.safetensors").code == YES
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "upstream.safetensors").read_bytes()


def test_a_models_own_state_dict_gives_the_bytes_of_save_file(tmp_path):
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    save_file(model.state_dict(), tmp_path / "upstream.safetensors", metadata={"format": "pt"})
    assert run("convert", tmp_path / "pytorch_model.bin", "-o", tmp_path / "model.safetensors").code == YES
    assert (tmp_path / "model.safetensors").read_bytes() == (tmp_path / "upstream.safetensors").read_bytes()


def test_tied_tensors_are_stored_once_and_recorded(container, tmp_path):
    shared = random_bits(torch.float32, 5, 4)
    tensors = {"transformer.wte.weight": shared, "lm_head.weight": shared, "alone": torch.ones(2)}
    aliases = assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt", **container))
    assert aliases == {"lm_head.weight": "transformer.wte.weight"}


def test_tied_tensors_can_be_stored_twice(tmp_path):
    shared = random_bits(torch.float32, 5, 4)
    assert (
        assert_converts(
            tmp_path / "model.pt", save_and_load({"a": shared, "b": shared}, tmp_path / "model.pt"), "--tied", "copy"
        )
        == {}
    )


def test_overlaps_that_are_not_equal_are_written_in_full(container, tmp_path):
    """Upstream refuses these: another shape, a slice, a transposed view, another dtype, disjoint halves."""
    qkv, pair, twice = random_bits(torch.float32, 12, 4), random_bits(torch.float32, 10), random_bits(torch.int32, 2, 3)
    tensors = {
        "qkv": qkv,
        "q": qkv[:4],
        "k": qkv[4:8],
        "qkv.t": qkv.t(),
        "flat": qkv.view(-1),
        "left": pair[:5],
        "right": pair[5:],
        "overlap": pair[3:7],
        "i": twice,
        "i again": twice.view(6),
    }
    assert assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt", **container)) == {}


def test_one_storage_with_several_dtypes(tmp_path):
    x = torch.randint(0, 256, (24,), dtype=torch.uint8)
    tensors = {
        "u32": x.view(torch.uint32),
        "f8": x.view(torch.float8_e4m3fn),
        "u8": x,
        "u16": x.view(torch.uint16)[3:7],
    }
    assert assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt")) == {}


def test_names_that_differ_in_case_or_unicode_form_stay_distinct(tmp_path):
    tensors = {
        "Weight": torch.ones(2),
        "weight": torch.zeros(2),
        "e\u0301": torch.ones(1),
        "\u00e9": torch.zeros(1),
        " ": torch.ones(3),
    }
    assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt"))


def test_many_tensors_keep_their_order(tmp_path):
    tensors = {f"layer.{index}": torch.full((3,), float(index)) for index in reversed(range(1200))}
    assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt"))
    assert [tensor["name"] for tensor in inspect(tmp_path / "model.pt")["tensors"]] == list(tensors)


@pytest.mark.parametrize("alignment", [64, 4096])
def test_the_data_can_be_aligned(alignment, tmp_path):
    tensors = {"a": torch.arange(9.0), "b": torch.ones(3, dtype=torch.int8)}
    assert_converts(tmp_path / "model.pt", save_and_load(tensors, tmp_path / "model.pt"), "--align", alignment)
    with open(tmp_path / "converted.safetensors", "rb") as file:
        assert (8 + int.from_bytes(file.read(8), "little")) % alignment == 0


@pytest.mark.parametrize(
    "setting", [{"save.storage_alignment": 1}, {"save.storage_alignment": 4096}, {"save.compute_crc32": False}], ids=str
)
def test_the_settings_of_torch_save_do_not_matter(setting, tmp_path):
    with config.patch(setting):
        torch.save({"a": torch.arange(6.0), "b": torch.ones(3, dtype=torch.uint16)}, tmp_path / "model.pt")
    assert_converts(tmp_path / "model.pt", torch.load(tmp_path / "model.pt"))


def test_converting_twice_gives_the_same_bytes(tmp_path):
    shared = torch.arange(4.0)
    torch.save(collections.OrderedDict({f"tie.{n}": shared for n in range(6)} | layouts()), tmp_path / "model.pt")
    for name in ("one", "two"):
        assert run("convert", tmp_path / "model.pt", "-o", tmp_path / name).code == YES
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert list(header(tmp_path / "one")["__metadata__"]) == sorted(header(tmp_path / "one")["__metadata__"])
    assert load(tmp_path / "one")[1] == {f"tie.{n}": "tie.0" for n in range(1, 6)}
