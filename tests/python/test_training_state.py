"""Checkpoints with more than a state dict: training state, whole modules, Parameters, storages, other objects."""
import argparse
import collections
import dataclasses

import pytest
import torch
import torch.nn as nn

from program import COULD_NOT, NOTHING_TO_DO, YES, error_line, inspect, run
from tensors import assert_converts, random_bits

pytestmark = pytest.mark.hostile


class Net(nn.Module):
    """A module with a shared submodule, buffers of both kinds, a plain attribute and a Parameter."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(2)
        self.again = self.norm
        self.blocks = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU())])
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("unset", None)
        self.plain = torch.arange(3.0)


@dataclasses.dataclass
class Config:
    width: int
    tensor: torch.Tensor


def training():
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, amsgrad=True)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return net, {
        "epoch": 3,
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "loss": float("inf"),
        "args": argparse.Namespace(lr=1e-3),
    }


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "module", "net"])
def test_the_weights_of_the_model_keep_their_names(key, tmp_path):
    net, rest = training()
    torch.save(rest | {key: net.state_dict()}, tmp_path / "checkpoint.pt")
    assert_converts(tmp_path / "checkpoint.pt", dict(net.state_dict()))
    report = inspect(tmp_path / "checkpoint.pt")
    assert report["root"] == key
    assert {leftover["path"].split(".")[0] for leftover in report["leftovers"]} == set(rest)
    optimizer = next(leftover for leftover in report["leftovers"] if leftover["path"] == "optimizer")
    assert optimizer["tensors"] == 4 * 6


def test_the_parts_that_are_not_converted_are_listed(tmp_path):
    net, rest = training()
    torch.save(rest | {"state_dict": net.state_dict()}, tmp_path / "checkpoint.pt")
    done = run("convert", tmp_path / "checkpoint.pt", "-o", tmp_path / "model.safetensors")
    output = done.out + done.err
    assert done.code == YES and "state_dict" in output and "optimizer" in output and "epoch" in output


def test_a_lightning_checkpoint_gives_its_state_dict(tmp_path):
    net, rest = training()
    lightning = {
        "epoch": 1,
        "global_step": 20,
        "pytorch-lightning_version": "2.2.1",
        "state_dict": {f"model.{name}": tensor for name, tensor in net.state_dict().items()},
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [rest["optimizer"]],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(lightning, tmp_path / "last.ckpt")
    assert_converts(tmp_path / "last.ckpt", lightning["state_dict"])


def test_another_part_can_be_selected(tmp_path):
    net, rest = training()
    ema = {name: tensor + 1 for name, tensor in net.state_dict().items()}
    torch.save(rest | {"model": net.state_dict(), "nested": {"ema": ema}}, tmp_path / "checkpoint.pt")
    assert_converts(tmp_path / "checkpoint.pt", ema, "--root", "nested.ema")


def test_everything_can_be_selected(tmp_path):
    net, rest = training()
    del rest["args"]
    torch.save(rest | {"model": net.state_dict()}, tmp_path / "checkpoint.pt")
    state = rest["optimizer"]["state"]
    expected = {f"model.{name}": tensor for name, tensor in net.state_dict().items()} | {"rng": rest["rng"]}
    expected |= {f"optimizer.state.{index}.{name}": tensor for index in state for name, tensor in state[index].items()}
    assert_converts(tmp_path / "checkpoint.pt", expected, "--root", ".")


def test_a_missing_part_is_refused(tmp_path):
    net, rest = training()
    torch.save(rest | {"model": net.state_dict()}, tmp_path / "checkpoint.pt")
    done = run("convert", tmp_path / "checkpoint.pt", "-o", tmp_path / "model.safetensors", "--root", "modle")
    assert done.code == COULD_NOT and "modle" in error_line(done)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}], ids=str)
def test_a_whole_module_gives_the_names_of_its_state_dict(options, tmp_path):
    net = Net()
    torch.save(net, tmp_path / "model.pt", **options)
    expected = dict(net.state_dict())
    assert "again.weight" in expected and "hidden" not in expected and "plain" not in expected
    assert_converts(tmp_path / "model.pt", expected)


def test_a_module_inside_a_checkpoint(tmp_path):
    net = Net().half()
    torch.save({"epoch": -1, "model": net, "ema": None, "optimizer": None}, tmp_path / "best.pt")
    assert_converts(tmp_path / "best.pt", dict(net.state_dict()))


def test_parameters_are_read_as_tensors(tmp_path):
    named = nn.Parameter(torch.arange(3.0))
    named.tag = "a Python attribute"
    tensors = {
        "parameter": nn.Parameter(random_bits(torch.float32, 3)),
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "named": named,
        "buffer": nn.Buffer(torch.zeros(2)),
    }
    torch.save(tensors, tmp_path / "model.pt")
    assert_converts(tmp_path / "model.pt", tensors)


def test_storages_are_tensors_of_one_dimension(tmp_path):
    typed = torch.arange(5, dtype=torch.int16)
    torch.save(
        {"w": torch.ones(2), "typed": typed._typed_storage(), "untyped": torch.arange(3.0).untyped_storage()},
        tmp_path / "model.pt",
    )
    assert_converts(
        tmp_path / "model.pt",
        {"w": torch.ones(2), "typed": typed, "untyped": torch.arange(3.0).view(torch.uint8)},
        "--root",
        ".",
    )


def test_tensors_in_objects_of_unknown_classes_are_found(tmp_path):
    ordered = collections.OrderedDict(a=torch.ones(1))
    torch.save(
        {
            "config": Config(1, torch.arange(2.0)),
            "space": argparse.Namespace(w=torch.zeros(2)),
            "list": [torch.ones(3), {"k": torch.ones(4)}],
            "ordered": ordered,
        },
        tmp_path / "objects.pt",
    )
    expected = {
        "config.tensor": torch.arange(2.0),
        "space.w": torch.zeros(2),
        "list.0": torch.ones(3),
        "list.1.k": torch.ones(4),
        "ordered.a": torch.ones(1),
    }
    assert_converts(tmp_path / "objects.pt", expected, "--root", ".")


@pytest.mark.parametrize(
    "checkpoint, names",
    [(torch.ones(3), 1), ([torch.ones(1), torch.zeros(2)], 2), ((torch.ones(1),), 1)],
    ids=["tensor", "list", "tuple"],
)
def test_a_root_that_is_not_a_dict(checkpoint, names, tmp_path):
    torch.save(checkpoint, tmp_path / "model.pt")
    assert len(inspect(tmp_path / "model.pt")["tensors"]) == names


def test_names_that_collide_are_refused(tmp_path):
    torch.save({"a": {"b": torch.ones(1)}, "a.b": torch.zeros(1)}, tmp_path / "model.pt")
    done = run("convert", tmp_path / "model.pt", "-o", tmp_path / "model.safetensors", "--root", ".")
    assert done.code == COULD_NOT and "a.b" in error_line(done) and not (tmp_path / "model.safetensors").exists()


def test_a_checkpoint_without_tensors_is_not_converted(tmp_path):
    torch.save({"lr": 0.1, "steps": [1, 2]}, tmp_path / "training_args.bin")
    done = run("convert", tmp_path / "training_args.bin", "-o", tmp_path / "x.safetensors")
    assert done.code in (COULD_NOT, NOTHING_TO_DO) and "tensor" in done.out + done.err
    assert not (tmp_path / "x.safetensors").exists()
