"""Runs the unmodified tests of `safetensors` 0.8.0 with depickle.safetensors installed in its place."""

import collections
import importlib.util
import json
import pathlib
import subprocess
import sys
import tarfile

import pytest
import torch

import fresh

pytestmark = pytest.mark.large

FILES = {
    "test_simple.py": 18,
    "test_handle.py": 2,
    "test_pread_backend.py": 10,
    "test_threadable.py": 1,
    "test_multithreaded.py": 2,
    "test_pt_model.py": 13,
    "test_pt_comparison.py": 20,
}
FRAMEWORKS = {
    "test_flax_comparison.py": "flax",
    "test_tf_comparison.py": "tensorflow",
    "test_paddle_comparison.py": "paddle",
}
SKIPPED = {
    "Will not work without s3 access": {"test_fsspec_s3"},
    "Cuda is not available": {
        "test_anonymous_accelerator",
        "test_deserialization_device",
        "test_deserialization_safe_gpu",
        "test_deserialization_safe_gpu_slice",
        "test_gpu",
        "test_gpu_default_device",
    },
    "Only 1 device available": {"test_deserialization_safe_device_1"},
    "MPS is not available": {"test_mps", "test_mps_fp4", "test_mps_slice", "test_mps_with_device_index"},
    "Npu is not available": {"test_npu"},
    "HPU is not available": {"test_hpu"},
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """The folder bindings/python of the source distribution."""
    folder = tmp_path_factory.mktemp("upstream")
    fetch = [sys.executable, "-m", "unearth", "safetensors==0.8.0", "--no-binary", "--download", str(folder)]
    subprocess.run(fetch, check=True, capture_output=True, timeout=300)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*/bindings/python"))


def run(upstream, files, report):
    """Runs test files and returns the plugin's report and the output of pytest."""
    here = str(pathlib.Path(__file__).parent)
    environment = fresh.environment(UPSTREAM_REPORT=str(report))
    environment["PYTHONPATH"] = here + ":" + environment["PYTHONPATH"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "upstream_plugin", "-p", "no:cacheprovider", "--rootdir=."]
    command += [f"tests/{file}" for file in files]
    done = subprocess.run(command, cwd=upstream, env=environment, capture_output=True, text=True, timeout=600)
    return json.loads(report.read_text()), done.stdout[-6000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def report(upstream, tmp_path_factory):
    (upstream / "tests/data").mkdir(exist_ok=True)
    return run(upstream, FILES, tmp_path_factory.mktemp("report") / "report.json")


def test_upstreams_tests_pass(report):
    outcomes, text = report[0]["outcomes"], report[1]
    passed = collections.Counter(name.split("::")[0] for name, (outcome, _) in outcomes.items() if outcome == "passed")
    assert passed == FILES, text
    assert "failed" not in {outcome for outcome, _ in outcomes.values()}, text


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU, fewer tests are skipped")
def test_only_tests_with_missing_hardware_are_skipped(report):
    skipped = collections.defaultdict(set)
    for name, (outcome, reason) in report[0]["outcomes"].items():
        if outcome == "skipped":
            skipped[reason.removeprefix("Skipped: ")].add(name.split("::")[-1])
    assert skipped == SKIPPED


def test_our_code_was_tested(report):
    found = report[0]
    names = ["safetensors", "safetensors._safetensors_rust", "safetensors.numpy", "safetensors.torch"]
    assert found["modules"] == {name: f"depickle.{name}" for name in names}
    assert found["mapped"] == [] and found["foreign"] == []
    assert sorted(found["imported"]) == sorted(file.removesuffix(".py") for file in FILES)
    assert all(found["imported"].values())


@pytest.mark.parametrize("file", FRAMEWORKS)
def test_upstreams_tests_of_other_frameworks(upstream, file, tmp_path):
    if importlib.util.find_spec(FRAMEWORKS[file]) is None:
        pytest.skip(f"{FRAMEWORKS[file]} is not installed")
    found, text = run(upstream, [file], tmp_path / "report.json")
    failed = {name.split("::")[-1] for name, (outcome, _) in found["outcomes"].items() if outcome == "failed"}
    # These need CUDA and do not check for it.
    assert found["outcomes"] and failed <= {"test_paddle_slice_gpu", "test_paddle_tensor_gpu"}, text
    assert found["mapped"] == [] and found["foreign"] == []
