"""inspect, scan and compare of files on the Hub without a download."""

import pytest
import torch

import embedded_hub
from big import empty, folder_with_space, save_sparse
from embedded import Hub, files_of, safe, tied_model

pytestmark = pytest.mark.hostile


def test_inspect_scan_and_compare_download_no_file(hub):
    tensors = tied_model()
    hub.make("me/m", files_of(tensors))
    hub.pull_request("me/m", {"model.safetensors": safe(tensors)})
    listed = hub.run("inspect", "hf://me/m/pytorch_model.bin", "--json").json
    assert {tensor["name"]: tensor["shape"] for tensor in listed["tensors"]} == {
        name: list(tensor.shape) for name, tensor in tensors.items()
    }
    assert hub.run("inspect", "hf://me/m", "--json").json["tensors"] == listed["tensors"]
    assert hub.run("inspect", f"{hub.endpoint}/me/m/blob/refs%2Fpr%2F1/model.safetensors").code == 0
    scanned = hub.run("scan", "hf://me/m/pytorch_model.bin", "--json")
    assert (scanned.code, scanned.json["files"][0]["verdict"]) == (0, "tensors-only")
    compared = hub.run("compare", "hf://me/m/pytorch_model.bin", "hf://me/m@refs/pr/1/model.safetensors", "--json")
    assert (compared.code, compared.json["tensors_identical"]) == (0, 5)
    assert not list(hub.home.rglob("*.bin")) and not list(hub.home.rglob("*.safetensors"))


def test_errors_name_the_missing_address(hub):
    hub.make("me/m", {"config.json": b"{}"})
    for address, error in {
        "hf://me/m/gone.bin": "/gone.bin: the file does not exist",
        "hf://me/gone": "hf://me/gone: the repository does not exist",
        "hf://me/m@gone/x.bin": "hf://me/m@gone: the revision does not exist",
        "hf://me/m": "hf://me/m: no weights",
    }.items():
        done = hub.run("inspect", address)
        assert done.code == 2 and error in done.err, done.err


SIZES = [
    pytest.param(330, 64 << 20, id="64 MiB"),
    pytest.param(2620, 4 << 30, id="4 GiB", marks=pytest.mark.large),  # zip64, and offsets of more than 32 bits
]


@pytest.mark.release
@pytest.mark.parametrize("side, min_bytes", SIZES)
def test_a_large_pickle_is_inspected_and_scanned_with_less_than_1_mib(side, min_bytes):
    with folder_with_space(5 * min_bytes // 2) as folder:
        model = folder / "import/org/big"
        model.mkdir(parents=True)
        tensors = {f"layer.{number}.weight": empty(torch.float32, side, side) for number in range(160)}
        save_sparse(tensors, model / "pytorch_model.bin")
        assert (model / "pytorch_model.bin").stat().st_size > min_bytes
        server = embedded_hub.Server(folder / "hub", "--import", folder / "import")
        try:
            hub = Hub(server, folder / "home")
            for command, key in (("inspect", "tensors"), ("scan", "files")):
                sent, requests = (hub.metric(f"depickle_http_{name}_total") for name in ("sent_bytes", "requests"))
                done = hub.run(command, "hf://org/big/pytorch_model.bin", "--json")
                assert done.code == 0 and len(done.json[key]) == (160 if command == "inspect" else 1), done.err
                assert 0 < hub.metric("depickle_http_sent_bytes_total") - sent < 1 << 20
                assert 1 < hub.metric("depickle_http_requests_total") - requests < 20
        finally:
            server.stop()
