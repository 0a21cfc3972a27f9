"""depickle.torch.load returns the same types, bits, strides and shared storages as torch.load."""

import collections
import pickle

import numpy as np
import pytest
import torch

import depickle.torch
from same import assert_same

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64, torch.complex128,
    torch.complex32, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]  # fmt: skip
NOT_IN_LEGACY = (torch.uint16, torch.uint32, torch.uint64, torch.complex32)


def check(value, path, **how):
    """Asserts that both loaders return the same value for a file of torch.save, and returns ours."""
    torch.save(value, path, **how)
    ours = depickle.torch.load(path)
    assert_same(ours, torch.load(path, weights_only=False))
    return ours


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pt"


def random(dtype, *shape):
    """Returns a tensor of random bits (0 and 1 for bool)."""
    size = torch.empty(0, dtype=dtype).element_size()
    numel = int(np.prod(shape))
    limit = 2 if dtype is torch.bool else 256
    raw = torch.from_numpy(np.random.default_rng(3).integers(0, limit, (numel, size), np.uint8)).flatten()
    return raw.view(torch.uint8).clone().view(dtype).reshape(shape)


IN_LEGACY = [dtype for dtype in DTYPES if dtype not in NOT_IN_LEGACY and "float8" not in str(dtype)]


@pytest.mark.parametrize(("zipped", "dtype"), [(True, each) for each in DTYPES] + [(False, each) for each in IN_LEGACY])
def test_dtypes(path, dtype, zipped):
    check({"a": random(dtype, 3, 5), "scalar": random(dtype), "empty": random(dtype, 0, 4)}, path,
          _use_new_zipfile_serialization=zipped)  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_views_and_tied_tensors(path, protocol, zipped):
    base = torch.randn(6, 8)
    tied = torch.nn.Parameter(torch.randn(4, 4))
    value = {
        "base": base, "same": base, "transposed": base.t(), "row": base[2], "step": base[::2, 1::3],
        "expanded": torch.randn(1, 5).expand(3, 5), "tied": tied, "also": tied,
        "frozen": torch.nn.Parameter(base, False),
        "odd strides": torch.randn(5).as_strided((1, 5), (3, 1)), "grad": torch.randn(2, requires_grad=True),
        "empty view": base[:0], "buffer": torch.nn.Buffer(base[1]),
    }  # fmt: skip
    ours = check(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert ours["same"] is ours["base"] and ours["also"] is ours["tied"]
    ours["base"][2, 0] = 77
    assert ours["row"][0] == 77 and torch.load(path, weights_only=False)["row"][0] != 77


def test_a_view_before_its_base(path):
    base = torch.randn(6, 8)
    ours = check([base.t(), base], path)
    assert ours[0].data_ptr() == ours[1].data_ptr()


def test_conjugated_and_negated(path):
    z = random(torch.complex64, 3, 2).nan_to_num(1.0)
    assert check([z.conj(), z], path)[0].is_conj()
    assert check([z.conj().imag], path)[0].is_neg()


def test_training_state(path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, amsgrad=True)
    for _ in range(2):
        model(torch.randn(5, 4)).sum().backward()
        optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "epoch": 7}
    ours = check(state, path)
    assert isinstance(ours["model"], collections.OrderedDict) and ours["model"]._metadata[""] == {"version": 1}
    model.load_state_dict(ours["model"])
    optimizer.load_state_dict(ours["optimizer"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values(path, protocol):
    counted = collections.Counter("aabc")
    lists = collections.defaultdict(list, {"x": [1]})
    value = {
        "none": None, "bool": [True, False], "ints": [0, -1, 255, 65536, -(2**31), 2**63, -(2**63) - 1, 10**40],
        "floats": [0.0, -0.0, 1e300, float("inf"), float("nan")], "str": ["", "ü", "\U0001f600", "a" * 300],
        "bytes": [b"", b"\x00\xff" * 200], "bytearray": [bytearray(), bytearray(b"\x80abc")],
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), "set": {1, 5}, "frozenset": frozenset({3, 4}),
        "empty sets": (set(), frozenset()), "complex": 1 + 2j, "slice": slice(1, None, 2), "range": range(1, 9, 2),
        "ordered": collections.OrderedDict(b=1, a=2), "default": lists, "counter": counted,
        "deque": collections.deque([1, 2], 5),
        "nested": collections.defaultdict(dict, {1: {2: 3}}), 3: "int key", (1, "a"): "tuple key",
        "size": torch.Size([2, 3]), "dtypes": [torch.float32, torch.bfloat16, torch.float8_e4m3fn],
        "device": [torch.device("cpu"), torch.device("cuda", 1)], "layout": torch.strided, "version": torch.__version__,
        "type": [int, dict, collections.OrderedDict],
    }  # fmt: skip
    check(value, path, pickle_protocol=protocol)


def test_numpy(path):
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    ours = check(
        {"a": a, "fortran": np.asfortranarray(a), "big": a.astype(">f8"), "bool": a > 3,
         "complex": a.astype(np.complex128),
         "str": np.array(["ab", "c"]), "empty": a[:0], "0d": np.array(3),
         "scalars": [np.float64(1.5), np.int32(3), np.bool_(1)],
         "dtype": np.dtype("i2"), "same": a}, path)  # fmt: skip
    ours["a"][0, 0] = 5
    assert ours["same"][0, 0] == 5


def test_cycles(path):
    a = [1]
    b = {"a": a}
    a.append((b,))
    ours = check(a, path)
    assert ours[1][0]["a"] is ours


def test_storages(path):
    t = torch.arange(5)
    ours = check([t.storage(), t], path)
    ours[0][1] = 9
    assert ours[1][1] == 9


def test_sparse_quantized_and_meta(path):
    coo = torch.tensor([[0, 1], [2, 0]]).to_sparse()
    quantized = torch.quantize_per_tensor(torch.randn(3, 4), 0.1, 2, torch.quint8)
    scales, zero_points = torch.tensor([0.1, 0.2]), torch.tensor([0, 1])
    channels = torch.quantize_per_channel(torch.randn(2, 3), scales, zero_points, 0, torch.qint8)
    value = [coo, torch.eye(3).to_sparse_csr(), quantized, channels, torch.empty(3, 4, device="meta")]
    torch.save(value, path)
    ours, theirs = depickle.torch.load(path), torch.load(path, weights_only=False)
    for mine, other in zip(ours[:2], theirs):
        assert mine.layout == other.layout and torch.equal(mine.to_dense(), other.to_dense())
    assert ours[0].is_coalesced() and theirs[0].is_coalesced()
    for mine, other in zip(ours[2:4], theirs[2:]):
        assert mine.qscheme() == other.qscheme() and torch.equal(mine.int_repr(), other.int_repr())
        assert torch.equal(mine.dequantize(), other.dequantize())
    assert ours[4].device.type == "meta" and ours[4].shape == (3, 4)


def test_nested_tensors_are_refused(path):
    torch.save(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), path)
    with pytest.raises(pickle.UnpicklingError, match="nested"):
        depickle.torch.load(path)


def test_parameter_with_state(path):
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.tag = {"scale": 3}
    assert check(parameter, path).tag == {"scale": 3}


class Custom:
    def __init__(self):
        self.weight = torch.ones(2)


def test_unknown_classes_are_inert(path):
    torch.save({"args": Custom(), "w": torch.zeros(1)}, path)
    found = depickle.torch.load(path)["args"]
    assert repr(found) == f"Inert({__name__}.Custom)" and type(found) is depickle.torch.Inert
    assert torch.equal(found.state["weight"], torch.ones(2)) and found.args == ()
    with pytest.raises(AttributeError):
        found.state = 1
    with pytest.raises(pickle.UnpicklingError, match=f"{__name__}.Custom"):
        depickle.torch.load(path, inert=False)


def test_a_whole_module_is_inert(path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    torch.save(module, path)
    found = depickle.torch.load(path)
    assert found.name == "Sequential"
    linear = found.state["_modules"]["0"]
    assert torch.equal(linear.state["_parameters"]["weight"], module[0].weight)


def test_bare_pickles(tmp_path):
    """A pickle without a container, written by pickle.dump."""
    path = tmp_path / "bare.pkl"
    value = {"a": np.arange(4.0), "t": torch.arange(6).reshape(2, 3)}
    path.write_bytes(pickle.dumps(value))
    assert_same(depickle.torch.load(path), pickle.loads(path.read_bytes()))


def test_deflated_records(path, tmp_path):
    import zipfile

    torch.save({"a": torch.arange(5000), "b": torch.ones(3)}, path)
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for each in source.namelist():
            target.writestr(each, source.read(each))
    ours = depickle.torch.load(packed)
    assert_same(ours, torch.load(path))
    ours["a"][0] = 5


def test_foreign_byte_order(path):
    value = {"f": torch.randn(7), "z": random(torch.complex64, 3), "u": torch.arange(3, dtype=torch.uint8)}
    torch.save(value, path)
    import zipfile

    big = path.with_name("big.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(big, "w") as target:
        for each in source.namelist():
            data = source.read(each)
            target.writestr(each, b"big" if each.endswith("byteorder") else data)
    assert_same(depickle.torch.load(big), torch.load(big))
