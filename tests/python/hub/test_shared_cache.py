"""huggingface_hub and depickle share one cache: neither downloads files that the other has downloaded."""

import pytest
import torch

from embedded import pickled

pytestmark = pytest.mark.hostile

READ_OFFLINE = """
import sys
from huggingface_hub import scan_cache_dir, snapshot_download
cache = scan_cache_dir()
print(snapshot_download(sys.argv[1]), len(cache.warnings), *(repo.repo_id for repo in cache.repos))
"""


@pytest.fixture
def repo(hub):
    hub.make("me/m", {"pytorch_model.bin": pickled({"w": torch.rand(500, 500)}), "config.json": b"{}"})
    return "me/m"


def download_with_python(hub, repo):
    return hub.api().snapshot_download(repo, cache_dir=hub.home / "hub")


def assert_cache_is_valid(hub, repo):
    from huggingface_hub import scan_cache_dir

    cache = scan_cache_dir(hub.home / "hub")
    assert [found.repo_id for found in cache.repos] == [repo] and not cache.warnings


def test_python_reads_what_depickle_downloaded(hub, repo):
    done = hub.depickle("download", repo)
    assert done.code == 0, done.err
    assert hub.python(READ_OFFLINE, repo, HF_HUB_OFFLINE="1").split() == [done.out.strip(), "0", repo]


def test_depickle_reads_what_python_downloaded(hub, repo):
    folder = download_with_python(hub, repo)
    before = hub.metric("depickle_http_sent_bytes_total")
    done = hub.depickle("download", repo, "--json")
    assert done.code == 0, done.err
    assert done.json["path"] == folder and done.json["downloaded_bytes"] == 0
    assert hub.metric("depickle_http_sent_bytes_total") - before < 20_000, "weights were downloaded"
    offline = hub.depickle("download", repo, HF_HUB_OFFLINE="1")
    assert (offline.code, offline.out.strip()) == (0, folder), offline.err
    assert_cache_is_valid(hub, repo)


def test_converting_a_cached_model_downloads_nothing(hub, repo):
    download_with_python(hub, repo)
    before = hub.metric("depickle_http_sent_bytes_total")
    done = hub.depickle("convert", repo, "--pr", "--json")
    assert done.code == 0, done.err
    assert done.json["downloaded_bytes"] == 0
    assert hub.metric("depickle_http_sent_bytes_total") - before < 50_000
