"""TorchScript archives: names, order, shapes and bits are those of ScriptModule.state_dict(), the oracle."""
import collections
import pathlib
import typing
import zipfile

import pytest
import torch
import torch.nn as nn

from program import COULD_NOT, SHARED, error_line, inspect, run
from tensors import assert_converts

pytestmark = [
    pytest.mark.hostile,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::torch.jit.TracerWarning"),
]


def ones(*shape):
    return torch.ones(shape)


def tokens(*shape):
    return torch.ones(shape, dtype=torch.int64)


# Modules of torch.nn, and inputs to trace them.
KINDS = {
    "Linear": (lambda: nn.Linear(3, 4), [ones(2, 3)]),
    "Linear-no-bias": (lambda: nn.Linear(3, 4, bias=False), [ones(2, 3)]),
    "Linear-half": (lambda: nn.Linear(3, 4).half(), [ones(2, 3).half()]),
    "Linear-double": (lambda: nn.Linear(3, 4).double(), [ones(2, 3).double()]),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), [ones(1, 2), ones(1, 3)]),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 2), [ones(1, 2, 5)]),
    "Conv2d": (lambda: nn.Conv2d(4, 4, 3, groups=2), [ones(1, 4, 5, 5)]),
    "Conv2d-channels-last": (lambda: nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last), [ones(1, 2, 5, 5)]),
    "Conv2d-reflect": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), [ones(1, 2, 5, 5)]),
    "Conv3d": (lambda: nn.Conv3d(1, 2, 2), [ones(1, 1, 3, 3, 3)]),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 2), [ones(1, 2, 5)]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 2), [ones(1, 2, 3, 3)]),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), [ones(2, 3)]),
    "BatchNorm2d-no-affine": (lambda: nn.BatchNorm2d(3, affine=False), [ones(2, 3, 2, 2)]),
    "BatchNorm3d-no-momentum": (lambda: nn.BatchNorm3d(3, momentum=None), [ones(2, 3, 2, 2, 2)]),
    "BatchNorm1d-no-statistics": (lambda: nn.BatchNorm1d(3, track_running_stats=False), [ones(2, 3)]),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), [ones(1, 3, 4, 4)]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), [ones(1, 4, 3)]),
    "LayerNorm": (lambda: nn.LayerNorm(4), [ones(1, 4)]),
    "LayerNorm-no-bias": (lambda: nn.LayerNorm(4, bias=False), [ones(1, 4)]),
    "RMSNorm": (lambda: nn.RMSNorm(4), [ones(1, 4)]),
    "Embedding": (lambda: nn.Embedding(5, 3, padding_idx=0), [tokens(2, 2)]),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(5, 3), [tokens(2, 2)]),
    "RNN": (lambda: nn.RNN(3, 4, num_layers=2), [ones(2, 1, 3)]),
    "GRU": (lambda: nn.GRU(3, 4, bidirectional=True), [ones(2, 1, 3)]),
    "LSTM": (lambda: nn.LSTM(3, 4), [ones(2, 1, 3)]),
    "LSTM-projected": (lambda: nn.LSTM(3, 4, 2, bias=False, proj_size=2), [ones(2, 1, 3)]),
    "RNNCell": (lambda: nn.RNNCell(3, 4), [ones(1, 3)]),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), [ones(1, 3)]),
    "GRUCell": (lambda: nn.GRUCell(3, 4), [ones(1, 3)]),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), [ones(2, 1, 4)] * 3),
    "MultiheadAttention-kdim": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3),
        [ones(2, 1, 4), ones(2, 1, 3), ones(2, 1, 3)],
    ),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), [ones(2, 1, 4)]),
    "TransformerDecoderLayer": (lambda: nn.TransformerDecoderLayer(4, 2, 8), [ones(2, 1, 4)] * 2),
    "TransformerEncoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2), [ones(2, 1, 4)]),
    "Transformer": (lambda: nn.Transformer(4, 2, 1, 1, 8), [ones(2, 1, 4)] * 2),
    "PReLU": (lambda: nn.PReLU(3), [ones(1, 3)]),
    "Sequential": (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), [ones(1, 2)]),
    "Sequential-named": (
        lambda: nn.Sequential(collections.OrderedDict([("b", nn.Linear(2, 2)), ("a", nn.BatchNorm1d(2))])),
        [ones(2, 2)],
    ),
}


def save(module, path):
    """Saves a ScriptModule and returns the state dict of what torch loads."""
    module.save(path)
    return torch.jit.load(path).state_dict()


def assert_state_dict(path, expected):
    assert [tensor["name"] for tensor in inspect(path)["tensors"]] == list(expected)
    assert_converts(path, dict(expected))


def unused(path, *options):
    return {part["path"]: (part["description"], part["tensors"]) for part in inspect(path, *options)["leftovers"]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_scripted_module(kind, tmp_path):
    make, _ = KINDS[kind]
    expected = save(torch.jit.script(make()), tmp_path / "m.pt")
    assert_state_dict(tmp_path / "m.pt", expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_module(kind, tmp_path):
    make, inputs = KINDS[kind]
    traced = torch.jit.trace(make().eval(), tuple(inputs), check_trace=False)
    assert_state_dict(tmp_path / "m.pt", save(traced, tmp_path / "m.pt"))


class Net(nn.Module):
    """Attributes of every kind."""

    tensors: typing.List[torch.Tensor]
    table: typing.Dict[str, torch.Tensor]
    maybe: typing.Optional[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4)
        self.context = torch.zeros(2, 2)
        self.layers = nn.ModuleList([nn.Linear(1, 1), nn.Linear(2, 1)])
        self.by_name = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.Conv1d(1, 1, 1)})
        self.shared = self.layers[0]
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.tied = self.scale
        self.register_parameter("no_parameter", None)
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("no_buffer", None)
        self.register_buffer("maybe", torch.ones(3))
        self.tensors = [torch.ones(1), torch.ones(2)]
        self.table = {"a": torch.ones(1)}
        self.steps = 3

    def forward(self, x):
        return self.lstm(x)[0]


def test_only_parameters_buffers_and_submodules_are_in_the_state_dict(tmp_path):
    path = tmp_path / "m.pt"
    expected = save(torch.jit.script(Net()), path)
    assert {"hidden", "mask", "tied", "shared.weight", "lstm.weight_ih_l0", "by_name.a.bias"} <= expected.keys()
    assert not {"context", "maybe"} & expected.keys(), "nor is a buffer whose type is Optional[Tensor]"
    assert_state_dict(path, expected)
    outside = "tensor that is not a parameter or buffer, so not in the state_dict"
    assert unused(path) == {
        "context": (outside, 1),
        "maybe": (outside, 1),
        "tensors": ("object torch.jit._pickle.build_tensorlist", 2),
        "table": ("object torch.jit._pickle.restore_type_tag", 1),
    }
    layer = {"weight": expected["layers.1.weight"], "bias": expected["layers.1.bias"]}
    assert_converts(path, layer, "--root", "layers.1", target=tmp_path / "layer.safetensors")
    context = {"context": torch.zeros(2, 2)}
    assert_converts(path, context, "--root", "context", target=tmp_path / "context.safetensors")


class Holder(nn.Module):
    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x):
        return x


def test_classes_of_one_name_are_told_apart(tmp_path):
    """torch puts each further class of a name into a module ___torch_mangle_N."""

    class Part(nn.Module):
        def __init__(self, names):
            super().__init__()
            for name in names:
                self.register_parameter(name, nn.Parameter(torch.rand(2)))

        def forward(self, x):
            return x

    parts = {f"part{i}": Part(names) for i, names in enumerate(["ab", "ba", "c", "abc"])}
    parts["inner"] = Holder(deep=Holder(last=Part("z")), first=nn.BatchNorm1d(1))
    expected = save(torch.jit.trace(Holder(**parts), ones(1)), tmp_path / "m.pt")
    assert any("___torch_mangle_" in name for name in zipfile.ZipFile(tmp_path / "m.pt").namelist())
    assert_state_dict(tmp_path / "m.pt", expected)


NAMES = ["a-b", "\u00e9", "0", "lambda_", "a b", "a'b", "x:y", "a]b", "#", "]", "_", "weight", "\U0001f600"]


def test_names_that_are_not_identifiers(tmp_path):
    module = Holder()
    for name in NAMES:
        module.register_parameter(name, nn.Parameter(torch.rand(2)))
    module.register_buffer("running-mean", torch.rand(3))
    expected = save(torch.jit.trace(module, ones(1)), tmp_path / "m.pt")
    assert list(expected) == [*NAMES, "running-mean"]
    assert_state_dict(tmp_path / "m.pt", expected)


@torch.jit.script
class Pair:
    def __init__(self, first: torch.Tensor, second: int):
        self.first = first
        self.second = second


def test_tensors_in_objects_of_other_classes_are_unused(tmp_path):
    class WithPair(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 1)
            self.pair = Pair(torch.ones(2), 1)

        def forward(self, x):
            return self.linear(x) + self.pair.first.sum()

    expected = save(torch.jit.script(WithPair()), tmp_path / "m.pt")
    assert list(expected) == ["linear.weight", "linear.bias"]
    assert_state_dict(tmp_path / "m.pt", expected)
    assert [(path, tensors) for path, (_, tensors) in unused(tmp_path / "m.pt").items()] == [("pair", 1)]


def test_the_lite_interpreter(tmp_path):
    scripted = torch.jit.script(Net())
    scripted._save_for_lite_interpreter(str(tmp_path / "m.ptl"))
    assert "m/bytecode.pkl" in zipfile.ZipFile(tmp_path / "m.ptl").namelist()
    assert_state_dict(tmp_path / "m.ptl", scripted.state_dict())


def test_a_frozen_model_says_how_many_constants_it_has(tmp_path):
    path = tmp_path / "frozen.pt"
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    frozen = torch.jit.freeze(torch.jit.script(model))
    assert not save(frozen, path)
    assert unused(path) == {"constants": ("4 constants of a frozen TorchScript model, without names", 4)}
    assert "a frozen TorchScript model: its weights are 4 constants without names" in inspect(path)["notes"]
    done = run("convert", path, "-o", tmp_path / "x.safetensors")
    assert done.code == COULD_NOT and "contains no tensors" in error_line(done)
    assert "4 constants of a frozen TorchScript model" in done.err and "--root" in done.err

    constants = torch.jit.load(path).code_with_constants[1].const_mapping
    tensors = [constants[f"c{i}"] for i in range(4)]
    expected = {f"constants.{i}": tensor for i, tensor in enumerate(tensors)}
    assert sorted(map(str, expected.values())) == sorted(str(tensor.data) for tensor in model.state_dict().values())
    assert_converts(path, expected, "--root", "constants")
    one = {"constants.2": expected["constants.2"]}
    assert_converts(path, one, "--root", "constants.2", target=tmp_path / "one.safetensors")
    assert unused(path, "--root", "constants") == {"data.pkl": ("the model", 0)}
    done = run("convert", path, "-o", tmp_path / "x.safetensors", "--root", "constants.9")
    assert done.code == COULD_NOT and 'no part "9"' in error_line(done)


def test_constants_of_a_model_that_is_not_frozen(tmp_path):
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x):
            return self.linear(x) + torch.tensor([1.5, 2.5])

    expected = save(torch.jit.trace(Shifted(), ones(1, 2)), tmp_path / "m.pt")
    assert_state_dict(tmp_path / "m.pt", expected)
    assert unused(tmp_path / "m.pt")["constants"] == ("1 constant of TorchScript code, without names", 1)
    constant = {"constants.0": torch.tensor([1.5, 2.5])}
    assert_converts(tmp_path / "m.pt", constant, "--root", "constants", target=tmp_path / "c.safetensors")


def test_an_attribute_called_constants_is_found_first(tmp_path):
    module = nn.Sequential(collections.OrderedDict(constants=nn.Linear(1, 2)))
    expected = save(torch.jit.script(module), tmp_path / "m.pt")
    expected = {name.removeprefix("constants."): tensor for name, tensor in expected.items()}
    assert_converts(tmp_path / "m.pt", expected, "--root", "constants")


def quantized():
    import torch.ao.quantization as quantization

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
            self.conv, self.norm, self.linear = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2)

        def forward(self, x):
            return self.dequant(self.linear(self.norm(self.conv(self.quant(x))).mean([2, 3])))

    model = Model().eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(model)
    prepared(torch.rand(1, 1, 8, 8))
    return quantization.convert(prepared)


def test_packed_weights_are_reported_as_unsupported(tmp_path):
    """They are not in the state dict. A model is not converted without its weights unless the user says so."""
    expected = save(torch.jit.script(quantized()), tmp_path / "q.pt")
    assert "norm.running_mean" in expected and not any("packed" in name for name in expected)
    report = inspect(tmp_path / "q.pt")
    assert [tensor["name"] for tensor in report["tensors"]] == list(expected)
    assert {name.split(".")[0] for name in (entry["name"] for entry in report["unsupported"])} == {"conv", "linear"}
    done = run("convert", tmp_path / "q.pt", "-o", tmp_path / "x.safetensors")
    assert done.code == COULD_NOT and "quantized" in error_line(done)
    assert_converts(tmp_path / "q.pt", dict(expected), "--skip-unsupported")


class Restored(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.rand(2))

    @torch.jit.export
    def __getstate__(self):
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: typing.Tuple[torch.Tensor, bool]):
        self.w = state[0]
        self.training = state[1]

    def forward(self, x):
        return x + self.w


class WithRestored(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.part = Restored()

    def forward(self, x):
        return self.part(x)


def test_a_class_with_setstate_has_names_of_paths(tmp_path):
    """Which element of the state becomes which parameter is decided by code, and no code is executed."""
    expected = save(torch.jit.script(WithRestored()), tmp_path / "m.pt")
    assert list(expected) == ["linear.weight", "linear.bias", "part.w"]
    report = inspect(tmp_path / "m.pt")
    assert [tensor["name"] for tensor in report["tensors"]] == ["linear.weight", "linear.bias", "part.0"]
    assert any("the parameters of 1 class are unknown" in note and "Restored" in note for note in report["notes"])


def rewritten(path, change):
    """Writes the archive again, with change(name, content) for each record; None drops it."""
    target = path.with_name("rewritten.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


@pytest.mark.parametrize("damage", ["missing", "empty", "lists"])
def test_a_damaged_archive_has_names_of_paths(damage, tmp_path):
    def change(name, content):
        if not name.endswith(".py"):
            return content
        return {"missing": None, "empty": b"", "lists": content.replace(b'", ]', b'", ')}[damage]

    expected = save(torch.jit.script(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))), tmp_path / "m.pt")
    path = rewritten(tmp_path / "m.pt", change)
    assert_state_dict(path, expected)
    notes = inspect(path)["notes"]
    assert any("unknown" in note and "named by their paths" in note for note in notes), notes


def test_archives_without_lists_of_buffers(tmp_path):
    """torch before 1.6 wrote none. Its state_dict() had every tensor; that of torch 2.13 has parameters only."""

    def change(name, content):
        lines = content.split(b"\n") if name.endswith(".py") else [content]
        return b"\n".join(line for line in lines if b"__buffers__" not in line)

    expected = save(torch.jit.script(nn.BatchNorm1d(3)), tmp_path / "m.pt")
    path = rewritten(tmp_path / "m.pt", change)
    assert list(torch.jit.load(path).state_dict()) == ["weight", "bias"]
    assert_state_dict(path, expected)


class WithContext(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4)
        self.context = torch.zeros(2, 2)

    def forward(self, x):
        return self.lstm(x)[0]


def test_a_plain_attribute_beside_an_lstm(tmp_path):
    torch.jit.script(WithContext()).save(tmp_path / "lstm.pt")
    assert_state_dict(tmp_path / "lstm.pt", torch.jit.load(tmp_path / "lstm.pt").state_dict())
    assert list(unused(tmp_path / "lstm.pt")) == ["context"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared does not exist")
@pytest.mark.parametrize("name", ["ts.pt", "ts2.pt", "ts4.pt", "lite.ptl"])
def test_archives_of_torch_1_13(name, tmp_path):
    path = tmp_path / name
    path.write_bytes((pathlib.Path(SHARED) / "fixtures/torch" / name).read_bytes())
    assert_state_dict(path, torch.jit.load(path).state_dict())
