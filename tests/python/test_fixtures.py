"""Every file of ../shared: checkpoints of several torch versions, and hostile pickles, which only depickle opens."""
import hashlib
import json
import pathlib
import shutil

import pytest
import torch

from program import COULD_NOT, NO, NOTHING_TO_DO, SHARED, YES, inspect, run, scan, snapshot
from tensors import NAMES, load, raw

FIXTURES, CORPUS = SHARED / "fixtures/torch", SHARED / "corpus"
pytestmark = [pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared does not exist"), pytest.mark.hostile]


def files(folder, *patterns):
    return (
        sorted(
            path for pattern in patterns for path in folder.glob(pattern) if path.is_file() and path.suffix != ".json"
        )
        if folder.is_dir()
        else []
    )


def names(paths):
    return [path.name for path in paths]


def expected_tensors():
    path = FIXTURES / "t213_expected.json"
    return json.loads(path.read_text()) if path.exists() else {}


EXPECTED = expected_tensors()
# Fields that the pickle stores by position only: a frozen dataclass with slots, the state of a generator.
UNNAMED = {"frozen.w": "frozen.1", "generator.state": "generator.2"}
# Refused, whatever torch does: the directory is ambiguous, or the file starts with something else.
REFUSED = {"t213_concat.pt", "t213_dup.pt", "t213_prefix.pt", "t213_dcp.distcp"}
DTYPES = {str(dtype)[6:]: name for dtype, name in NAMES.items()}


def table(path, tmp_path):
    """Converts a file. Returns {name: (dtype, shape, sha256)} with aliases, and the names that were unsupported."""
    target = tmp_path / "all.safetensors"
    report = inspect(path, "--root", ".")
    unsupported = [entry["name"] for entry in report["unsupported"]]
    done = run("convert", path, "-o", target, "--root", ".", "--skip-unsupported")
    if not report["tensors"]:
        assert done.code in (COULD_NOT, NOTHING_TO_DO) and not target.exists()
        return {}, unsupported
    assert done.code == YES, done.err
    tensors, aliases = load(target)
    tensors |= {dropped: tensors[kept] for dropped, kept in aliases.items()}
    return {
        name: (str(tensor.dtype)[6:], list(tensor.shape), hashlib.sha256(raw(tensor)).hexdigest())
        for name, tensor in tensors.items()
    }, unsupported


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_of_torch_2_13(name, tmp_path):
    """Every expected tensor comes out bit for bit, or is listed as unsupported; no other tensor comes out."""
    path = FIXTURES / name
    if name in REFUSED:
        done = run("convert", path, "-o", tmp_path / "x.safetensors")
        assert done.code == COULD_NOT and not (tmp_path / "x.safetensors").exists(), done.err
        return
    got, unsupported = table(path, tmp_path)
    expected = {
        UNNAMED.get(tensor, tensor): (entry["dtype"], entry["shape"], entry["sha256"])
        for tensor, entry in EXPECTED[name]["tensors"].items()
    }
    for tensor, entry in expected.items():
        if tensor in got:
            assert got[tensor] == entry, tensor
        else:
            assert any(tensor == other or tensor.startswith(other + ".") for other in unsupported), f"{tensor} is lost"
    assert not got.keys() - expected.keys()
    if name not in ("t213_quant_sparse.pt", "t213_nested.pt", "t213_subclass.pt", "t213_dtensor.pt"):
        assert {tensor for tensor, (dtype, _, _) in expected.items() if dtype in DTYPES} == got.keys()


# The verdicts of scan on files of torch 2.13 that are not `tensors-only`.
NOT_PLAIN = {
    "has-code": {
        "t213_hostile.pt",
        "t213_module.pt",
        "t213_objects.pt",
        "t213_subclass.pt",
        "t213_dtensor.pt",
        "t213_dcp.metadata",
    },
    "unreadable": {"t213_concat.pt", "t213_dup.pt", "t213_prefix.pt", "t213_dcp.distcp"},
}


@pytest.fixture(scope="module")
def verdicts():
    """The verdicts on all files, from one run."""
    paths = [*(FIXTURES / name for name in EXPECTED), *PICKLES]
    _, found = scan(*paths)
    return {path: file["verdict"] for path, file in zip(paths, found, strict=True)}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict_on_a_file_of_torch_2_13(verdicts, name):
    wanted = next((word for word, which in NOT_PLAIN.items() if name in which), "tensors-only")
    assert verdicts[FIXTURES / name] == wanted


def oracle(path):
    """Returns the result of torch.load for a file that is known to be harmless, or None if torch refuses it."""
    try:
        return torch.load(path, weights_only=True)
    except Exception:  # noqa: BLE001: torch raises many classes
        return None


def flatten(value, name, out):
    if isinstance(value, torch.Tensor):
        out[name] = value
    elif isinstance(value, (dict, list, tuple)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            flatten(part, f"{name}.{key}" if name else str(key), out)
    return out


HARMLESS = [
    path
    for path in [
        *files(FIXTURES, "zip_*.pt", "leg_*.pt*", "py2_od.pt", "v3_f8.pt", "re_d*.pt", "re_case.pt"),
        *files(CORPUS / "torch", "*.pt"),
    ]
    if path.name not in ("re_dup.pt", "broken.pt")
]


@pytest.mark.parametrize("path", HARMLESS, ids=names(HARMLESS))
def test_a_harmless_file_gives_the_tensors_of_torch(path, tmp_path):
    loaded = oracle(path)
    if loaded is None:  # a whole module, a file of torch 1.13 …: only check that it does not crash
        assert run("inspect", path, "--root", ".").code in (YES, COULD_NOT)
        return
    got, unsupported = table(path, tmp_path)
    for name, tensor in flatten(loaded, "", {}).items():
        if tensor.is_sparse or tensor.is_quantized or tensor.device.type == "meta" or tensor.layout != torch.strided:
            assert name in unsupported
        elif name:
            assert got[name] == (
                str(tensor.dtype)[6:],
                list(tensor.shape),
                hashlib.sha256(raw(tensor)).hexdigest(),
            ), name
        else:
            assert hashlib.sha256(raw(tensor)).hexdigest() in {digest for _, _, digest in got.values()}


@pytest.mark.parametrize(
    "name, tensors",
    [
        ("zip_mod.pt", 7),
        ("leg_mod.pt", 7),
        ("leg_order.pth", 2),
        ("leg_view.pth", 2),
        ("anc.tar.pth", 3),
        ("ts.pt", 7),
        ("py2_od.pt", 1),
    ],
)
def test_files_that_torch_no_longer_loads_are_read(name, tensors):
    assert len(inspect(FIXTURES / name)["tensors"]) == tensors


@pytest.mark.parametrize("name", ["re_dup.pt", "re_short.pt", "leg_mismatch.pth", "../../corpus/torch/broken.pt"])
def test_a_broken_fixture_is_refused(name, tmp_path):
    done = run("convert", FIXTURES / name, "-o", tmp_path / "x.safetensors")
    assert done.code == COULD_NOT and not (tmp_path / "x.safetensors").exists()


BENIGN = {"benign0_v0.pkl", "benign0_v3.pkl", "benign0_v4.pkl", "pytorch_model.bin", "new_pytorch_model.bin"}
# They contain no readable pickle: a 7z archive, an encrypted archive, a file that is not a checkpoint.
UNREADABLE = {"malicious1.7z", "benign_password_protected.zip", "bad_pytorch.pt"}
PICKLES = files(CORPUS / "pickles", "*")


@pytest.mark.parametrize("path", PICKLES, ids=names(PICKLES))
def test_the_verdict_on_a_pickle_of_the_corpus(verdicts, path):
    got = verdicts[path]
    if path.name in BENIGN:
        assert got == "tensors-only"
    elif path.name in UNREADABLE:
        assert got == "unreadable"
    elif path.name == "not_a_pickle.bin":  # a text that begins like a GLOBAL opcode and ends there
        assert got in ("unreadable", "has-code")
    else:
        assert got == "has-code"


@pytest.mark.parametrize("name, tensors", [("pytorch_model.bin", 38), ("new_pytorch_model.bin", 1)])
def test_real_models_of_the_corpus_convert(name, tensors, tmp_path):
    source, target = CORPUS / "pickles" / name, tmp_path / "model.safetensors"
    assert len(inspect(source)["tensors"]) == tensors
    assert run("convert", source, "-o", target).code == YES
    assert run("compare", source, target).code == YES


def test_no_file_of_the_corpus_crashes_the_program_or_leaves_a_temporary_file(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for path in PICKLES:
        shutil.copyfile(path, source / f"{path.name}.bin")
        assert run("inspect", path).code in (YES, NO, COULD_NOT)
    before = snapshot(source)
    report = run("convert", source, "-o", target, "--json").json
    converted = [pathlib.Path(file["source"]).name for file in report["files"]]
    refused = [file["file"] for file in report["failed"] + report["left"]]
    assert sorted(converted + refused) == sorted(before) and converted and refused
    assert snapshot(source) == before and not list(tmp_path.rglob(".*"))
