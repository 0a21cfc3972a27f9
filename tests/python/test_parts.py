"""Which part of a training checkpoint is the model, and which names its tensors get: the layouts of real projects."""
import argparse
import collections
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn as nn

from program import COULD_NOT, YES, assert_refused, error_line, inspect, run
from tensors import assert_converts


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LSTM(2, 3))


def trained(optimizer_class=torch.optim.SGD, **options):
    """Returns a network and its optimizer after one step."""
    net = network()
    optimizer = optimizer_class(net.parameters(), lr=0.1, **options)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return net, optimizer


@pytest.fixture(params=["SGD", "Adam", "Adagrad"])
def optimizer(request):
    options = {"SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "Adagrad": {}}[request.param]
    return trained(getattr(torch.optim, request.param), **options)[1]


def sd(seed=0):
    return dict(network(seed).state_dict())


def nnunet(opt):
    return {
        "network_weights": sd(1), "optimizer_state": opt, "grad_scaler_state": {"scale": 65536.0},
        "logging": {"train_losses": [np.float32(0.1)]}, "_best_ema": np.float64(0.8), "current_epoch": 1000,
        "init_args": {"plans": {"x": 1}, "device": torch.device("cpu")}, "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
    }, "network_weights"


def skrl(opt):
    preprocessor = {"running_mean": torch.ones(3)}
    return {"policy": sd(1), "value": sd(2), "optimizer": opt, "state_preprocessor": preprocessor}, "policy"


def stylegan2(opt):
    return {"g": sd(1), "d": sd(2), "g_ema": sd(3), "g_optim": opt, "d_optim": opt, "args": argparse.Namespace(lr=1),
            "ada_aug_p": torch.tensor(0.1)}, "g_ema"


def resemblyzer(opt):
    return {"step": 10, "model_state": sd(1), "optimizer_state": opt}, "model_state"


def vits(opt):
    return {"model": sd(1), "iteration": 7, "optimizer": opt, "learning_rate": 1e-4}, "model"


def rvc(opt):
    return {"weight": sd(1), "config": [1, 2], "info": "8epoch", "sr": "40k", "f0": 1, "version": "v2"}, "weight"


def basicsr(opt):
    return {"params": sd(1), "params_ema": sd(2)}, "params_ema"


def mae(opt):
    return {"model_ema": sd(1), "optimizer": opt}, "model_ema"


def unknown_key(opt):
    return {"unet": sd(1), "optim": opt, "steps": torch.tensor([5, 5]), "version": "1.5"}, "unet"


def fastai(opt):
    return {"model": sd(1), "opt": opt}, "model"


def a_tuple(opt):
    return (sd(1), opt, 3), "0"


def nested(opt):
    return {"checkpoint": {"unet": sd(1), "opt": opt}}, "checkpoint.unet"


LAYOUTS = [nnunet, skrl, stylegan2, resemblyzer, vits, rvc, basicsr, mae, unknown_key, fastai, a_tuple, nested]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_model_of_a_layout(layout, optimizer, tmp_path):
    checkpoint, part = layout(optimizer.state_dict())
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    expected = checkpoint
    for key in part.split("."):
        expected = expected[int(key) if isinstance(expected, tuple) else key]
    assert_converts(tmp_path / "checkpoint.pt", expected)
    report = inspect(tmp_path / "checkpoint.pt")
    assert report["root"] == part
    tensors = sum(len(slots) for slots in optimizer.state_dict()["state"].values())
    for unused in report["leftovers"]:
        if "opt" in unused["path"]:
            assert (unused["description"], unused["tensors"]) == ("optimizer state", tensors)


@pytest.mark.parametrize(
    "one, other, key",
    [("unet0", "unet1", "optim0"), ("online_network", "target_network", "opt"), ("student", "teacher", "optimizer"),
     ("encoder", "decoder", "encoder_opt"), ("en", "de", "en_opt"), ("generator", "discriminator", "optim_g")],
)
def test_two_networks_are_a_question(one, other, key, optimizer, tmp_path):
    """imagen-pytorch, BYOL, DINO, seq2seq and GANs: no part is chosen by guessing."""
    checkpoint = {one: sd(1), other: sd(2), key: optimizer.state_dict(), "epoch": 3}
    path = tmp_path / "checkpoint.pt"
    torch.save(checkpoint, path)
    done = run("convert", path, "-o", tmp_path / "model.safetensors")
    assert_refused(done, path, "TF03", f'"{one}" (', f'"{other}" (', "tensors, ", hint="--root")
    assert_converts(path, checkpoint[other], "--root", other)


def test_modules_beside_each_other_are_one_model(tmp_path):
    torch.save({"encoder": sd(1), "decoder": sd(2)}, tmp_path / "model.pt")
    expected = {f"encoder.{name}": tensor for name, tensor in sd(1).items()}
    expected |= {f"decoder.{name}": tensor for name, tensor in sd(2).items()}
    assert_converts(tmp_path / "model.pt", expected)


def test_optimizer_state_is_never_walked_into(optimizer, tmp_path):
    """In a list, in an object, in an Optimizer, beside plain tensors, and flattened by torch.distributed."""
    state = optimizer.state_dict()
    flat = {f"optimizer_state.state.{index}.{name}": tensor
            for index, slots in state["state"].items() for name, tensor in slots.items()}
    flat["optimizer_state.param_groups.0.lr"] = 0.1
    checkpoint = flat | {
        "w": torch.ones(3), "list": [state, state], "space": argparse.Namespace(anything=state),
        "object": optimizer, "deep": {"deeper": {"x": torch.ones(2), "o": state}},
    }
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    assert_converts(tmp_path / "checkpoint.pt", {"w": torch.ones(3), "deep.deeper.x": torch.ones(2)})
    unused = {each["path"]: each["description"] for each in inspect(tmp_path / "checkpoint.pt")["leftovers"]}
    assert unused == dict.fromkeys(["list", "space", "object", "deep.deeper.o", "optimizer_state"], "optimizer state")


def test_a_path_gives_the_optimizer_state(tmp_path):
    state = trained(momentum=0.9)[1].state_dict()
    torch.save({"model": sd(), "optimizer": state}, tmp_path / "checkpoint.pt")
    expected = {f"{index}.{name}": tensor
                for index, slots in state["state"].items() for name, tensor in slots.items()}
    assert_converts(tmp_path / "checkpoint.pt", expected, "--root", "optimizer.state")


@pytest.mark.parametrize("name", ["optimizer.pt", "policy.optimizer.pth", "opt070000.pt", "adam_state.bin", "x.pt"])
def test_a_file_with_only_optimizer_state_is_not_a_model(name, optimizer, tmp_path):
    torch.save(optimizer.state_dict(), tmp_path / name)
    done = run("convert", tmp_path / name, "-o", tmp_path / "x.safetensors", "--json")
    assert done.code == COULD_NOT and not (tmp_path / "x.safetensors").exists()
    assert done.json["reason"] == "no_tensors" and done.json["message"] == "contains only optimizer state"


def test_metrics_are_not_a_model(tmp_path):
    torch.save({"val_loss": torch.tensor(0.5), "epoch": 3, "best_acc": torch.tensor(0.9)}, tmp_path / "x.pt")
    done = run("convert", tmp_path / "x.pt", "-o", tmp_path / "x.safetensors")
    assert done.code == COULD_NOT and "contains only metrics" in error_line(done)


def test_the_report_names_the_part(tmp_path):
    torch.save({"state_dict": sd(), "epoch": 3}, tmp_path / "checkpoint.pt")
    torch.save(sd(), tmp_path / "plain.pt")
    assert "part     state_dict" in run("convert", tmp_path / "checkpoint.pt").out
    done = run("convert", tmp_path / "plain.pt")
    assert done.code == YES and "part     the whole file" in done.out


def test_the_report_counts_the_tensors_that_were_left_out(tmp_path):
    quantized = torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)
    others = {"q": quantized, "r": quantized, "c": torch.ones(1).to(torch.complex128)}
    torch.save({"a": torch.ones(2)} | others, tmp_path / "m.pt")
    done = run("convert", tmp_path / "m.pt", "--skip-unsupported")
    assert done.out.startswith("1 tensor identical, 3 left out (quantized, complex128)."), done.out


@pytest.mark.parametrize("protocol", [2, 4])
def test_keys_that_are_not_text(protocol, tmp_path):
    keys = {
        ("a", 1): "a.1", (0, (1, 2)): "0.1.2", 2: "2", True: "True", 1.5: "1.5", None: "None", b"k": "k",
        b"\x01\\\xff": r"\x01\\\xff", torch.float16: "torch.float16", 2**70: str(2**70), -(2**70): str(-(2**70)),
    }
    checkpoint = {key: torch.rand(1) for key in keys}
    torch.save(checkpoint, tmp_path / "keys.pt", pickle_protocol=protocol)
    assert_converts(tmp_path / "keys.pt", {keys[key]: tensor for key, tensor in checkpoint.items()})


@pytest.mark.parametrize(
    "checkpoint, texts",
    [({1: torch.ones(1), "1": torch.ones(1)}, ["1 (int)", '"1" (str)']),
     ({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}, ['"a" (str), "b" (str)', '"a.b" (str)'])],
    ids=["int and str", "nested"],
)
def test_keys_that_collide_are_named(checkpoint, texts, tmp_path):
    torch.save(checkpoint, tmp_path / "clash.pt")
    done = run("convert", tmp_path / "clash.pt", "-o", tmp_path / "x.safetensors")
    assert_refused(done, tmp_path / "clash.pt", "WT04", *texts)


def test_persistent_objects_of_stylegan_have_the_names_of_their_state_dict(tmp_path, monkeypatch):
    """As torch_utils.persistence and dnnlib.EasyDict reduce them."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", persistence)
    monkeypatch.setitem(sys.modules, "dnnlib", types.ModuleType("dnnlib"))
    monkeypatch.setitem(sys.modules, "dnnlib.util", util)
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("nothing is loaded")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj

    class Persistent(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.register_buffer("w_avg", torch.ones(2))

        def __reduce__(self):
            meta = {"type": "class", "version": 6, "module_src": "", "class_name": "G", "state": dict(self.__dict__)}
            return _reconstruct_persistent_obj, (util.EasyDict(meta),)

    net = Persistent()
    checkpoint = collections.OrderedDict(G=Persistent(), D=Persistent(), G_ema=net, training_set_kwargs={"size": 2})
    torch.save(checkpoint, tmp_path / "network-snapshot.pkl")
    assert_converts(tmp_path / "network-snapshot.pkl", dict(net.state_dict()))


def test_the_model_of_a_fastai_learner(tmp_path, monkeypatch):
    module = types.ModuleType("learner_module")
    monkeypatch.setitem(sys.modules, "learner_module", module)
    module.Learner = type("Learner", (), {"__module__": "learner_module"})
    learner = module.Learner()
    learner.dls, learner.model, learner.lr, learner.opt = None, network(1), 0.1, trained(momentum=0.9)[1]
    torch.save(learner, tmp_path / "export.pkl")
    assert_converts(tmp_path / "export.pkl", sd(1))
    assert inspect(tmp_path / "export.pkl")["root"] == "model"
