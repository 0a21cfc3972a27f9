"""huggingface_hub and depickle share one cache: neither downloads files that the other has downloaded."""

import urllib.request

import pytest
import torch

pytestmark = pytest.mark.hostile

SNAPSHOT = "import sys; from huggingface_hub import snapshot_download; print(snapshot_download(sys.argv[1]))"
WARNINGS = """
from huggingface_hub import scan_cache_dir
cache = scan_cache_dir()
print(len(cache.warnings), sum(repo.nb_files for repo in cache.repos))
"""


def sent_bytes(hub):
    text = urllib.request.urlopen(f"{hub.url}/metrics").read().decode()
    return int(next(line for line in text.splitlines() if line.startswith("depickle_http_sent_bytes_total")).split()[1])


@pytest.fixture
def repo(hub, tmp_path, request):
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save({"w": torch.rand(500, 500)}, folder / "pytorch_model.bin")
    (folder / "config.json").write_text("{}")
    name = f"me/{request.node.name.replace('_', '-')}"
    hub.upload(name, folder)
    return name


def test_python_reads_what_depickle_downloaded(hub, repo):
    done = hub.depickle("download", repo)
    assert done.code == 0, done.err
    assert hub.python(WARNINGS).split()[0] == "0"
    assert hub.python(SNAPSHOT, repo, HF_HUB_OFFLINE="1").strip() == done.out.strip()


def test_depickle_reads_what_python_downloaded(hub, repo):
    folder = hub.python(SNAPSHOT, repo).strip()
    before = sent_bytes(hub)
    done = hub.depickle("download", repo, "--json")
    assert done.code == 0, done.err
    assert done.json["path"] == folder and done.json["downloaded_bytes"] == 0
    assert sent_bytes(hub) - before < 20_000, "weights were downloaded"
    offline = hub.depickle("download", repo, HF_HUB_OFFLINE="1")
    assert (offline.code, offline.out.strip()) == (0, folder), offline.err
    assert hub.python(WARNINGS).split()[0] == "0"


def test_converting_a_cached_model_downloads_nothing(hub, repo):
    hub.python(SNAPSHOT, repo)
    before = sent_bytes(hub)
    done = hub.depickle("convert", repo, "--pr", "--json")
    assert done.code == 0, done.err
    assert done.json["downloaded_bytes"] == 0
    assert sent_bytes(hub) - before < 50_000
