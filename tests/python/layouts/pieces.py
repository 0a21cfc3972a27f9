"""The pieces of checkpoints: state dicts, modules, optimizers, and instances of classes that are not installed."""
import collections
import contextlib
import itertools
import pickle
import re
import sys
import types

import torch
import torch.nn as nn


def expand(names):
    """Returns the words of `names`, one for each alternative in braces: `a.{b,c} d` gives a.b, a.c and d."""
    words = []
    for word in names.split():
        pieces = [piece.split(",") for piece in re.split(r"[{}]", word)]
        words += ["".join(choice) for choice in itertools.product(*pieces)]
    return words


def state(names, dtype=torch.float32):
    """Returns a state dict with random values. `w[2x3] b[4] n[]` gives the shapes (2, 3), (4,) and (); `w` gives (2,).

    Counters and positions are integers, as in the modules of torch and transformers.
    """
    tensors = collections.OrderedDict()
    for word in expand(names):
        name, _, shape = word.partition("[")
        size = [int(number) for number in re.findall(r"\d+", shape)] if shape else [2]
        is_integer = name.endswith(("num_batches_tracked", "position_ids", "n_averaged"))
        tensors[name] = torch.randint(0, 99, size) if is_integer else torch.randn(size).to(dtype)
    return tensors


def like(tensors):
    """Returns another state dict with the same names, shapes and dtypes."""
    others = ((name, torch.rand(tensor.shape).to(tensor.dtype)) for name, tensor in tensors.items())
    return collections.OrderedDict(others)


def prefixed(prefix, tensors):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


def under(prefix, tensors):
    """Returns the tensors whose names begin with `prefix` and a dot, under the rest of their names."""
    found = [name for name in tensors if name.startswith(prefix + ".")]
    return collections.OrderedDict((name[len(prefix) + 1:], tensors[name]) for name in found)


def arrays(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


# Training state

def optimizer(kind, tensors, **options):
    """Returns an optimizer of these parameters after one step."""
    parameters = [nn.Parameter(tensor.detach().clone()) for tensor in tensors.values() if tensor.is_floating_point()]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    built = kind(parameters, lr=1e-3, **options)
    built.step()
    return built


def adam(tensors):
    return optimizer(torch.optim.Adam, tensors).state_dict()


def adamw(tensors):
    return optimizer(torch.optim.AdamW, tensors, amsgrad=True).state_dict()


def sgd(tensors):
    return optimizer(torch.optim.SGD, tensors, momentum=0.9).state_dict()


def rmsprop(tensors):
    return optimizer(torch.optim.RMSprop, tensors, centered=True).state_dict()


def named_adam(tensors):
    """As FSDP.optim_state_dict() returns it: by the names of the parameters."""
    plain, names = adam(tensors), list(tensors)
    groups = [group | {"params": names} for group in plain["param_groups"]]
    return {"state": {names[index]: slots for index, slots in plain["state"].items()}, "param_groups": groups}


def scheduler():
    plain = optimizer(torch.optim.SGD, {"w": torch.ones(2)})
    built = torch.optim.lr_scheduler.StepLR(plain, step_size=10)
    plain.step()
    built.step()
    return built.state_dict()


def scaler():
    return torch.amp.GradScaler("cpu").state_dict()


# Classes of the projects

@contextlib.contextmanager
def stand_ins():
    """Removes the modules that stand_in() adds."""
    before = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "is_stand_in", False):
                del sys.modules[name]


def stand_in(name, base=object):
    """Returns a class or function that pickles under the qualified name of a project's own."""
    module, _, last = name.rpartition(".")
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        package = ".".join(parts[:count])
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].is_stand_in = True
    holder = sys.modules[module]
    if not hasattr(holder, last):
        made = type(last, (base,), {}) if isinstance(base, type) else base
        made.__module__, made.__qualname__, made.__name__ = module, last, last
        setattr(holder, last, made)
    return getattr(holder, last)


def instance(class_name, base=object, **attributes):
    kind = stand_in(class_name, base)
    made = kind.__new__(kind)
    made.__dict__.update(attributes)
    return made


class Tree(nn.Module):
    """A container without a forward()."""


def leaf(tensors):
    """Returns the module of torch that has these parameters and buffers, or None."""
    weight, bias = tensors.get("weight"), "bias" in tensors
    if "weight_ih_l0" in tensors:
        return nn.LSTM(tensors["weight_ih_l0"].shape[1], tensors["weight_hh_l0"].shape[1])
    if "running_mean" in tensors:
        return nn.BatchNorm2d(len(weight))
    if weight is None or tensors.keys() - {"weight", "bias"}:
        return None
    if weight.dim() == 4:
        return nn.Conv2d(*reversed(weight.shape[:2]), tuple(weight.shape[2:]), bias=bias)
    if weight.dim() == 2:
        return nn.Linear(*reversed(weight.shape), bias=bias)
    return None


def module(tensors, class_name=None):
    """Returns a module whose state_dict() is `tensors`. Its class is a stand-in if a name is given."""
    made = leaf(tensors) if class_name is None else None
    if made is None:
        made = (stand_in(class_name, nn.Module) if class_name else Tree)()
        for name, tensor in tensors.items():
            if "." in name:
                continue
            if tensor.is_floating_point() and not name.endswith("_buffer"):
                made.register_parameter(name, nn.Parameter(tensor.clone()))
            else:
                made.register_buffer(name, tensor.clone())
        for child in dict.fromkeys(name.split(".")[0] for name in tensors if "." in name):
            made.add_module(child, module(under(child, tensors)))
    made.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    return made.eval()


class Persistent:
    """Pickles as an object of torch_utils.persistence (StyleGAN2-ADA, StyleGAN3, EDM): a call on the source code."""

    def __init__(self, made):
        attributes = dict(made.__dict__)
        attributes["_modules"] = {name: Persistent(child) for name, child in made._modules.items()}
        self.meta = {"type": "class", "version": 6, "module_src": "import torch\n", "class_name": type(made).__name__,
                     "state": attributes}

    def __reduce__(self):
        return stand_in("torch_utils.persistence._reconstruct_persistent_obj", lambda meta: meta), (self.meta,), None


def persistent(tensors):
    return Persistent(module(tensors))


# Containers

def legacy(checkpoint, path):
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)


def plain_pickle(checkpoint, path):
    path.write_bytes(pickle.dumps(checkpoint))


def torchscript(checkpoint, path):
    torch.jit.script(checkpoint).save(path)
