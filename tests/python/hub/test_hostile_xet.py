"""Hostile xet uploads, and two users who share one cache."""

import hashlib
import os
import time

import pytest

from forks import ForkServer
from wire import Repo, request, grows_by_less_than, lfs_line
from xet_format import chunk, little, lz4_frame_of_zeros, shard, shard_file, xorb_hash

pytestmark = pytest.mark.hostile

XORB, OTHER = xorb_hash(b"abc"), "fedcba9876543210" * 4


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Cas:
    """The xet endpoints with the token of one user."""

    def __init__(self, repo, user):
        access = repo.api("GET", "{repo}/xet-write-token/main", user=user).json
        self.url, self.path, self.token = repo.url, access["casUrl"].removeprefix(repo.url), access["accessToken"]

    def post(self, target, body, **fields):
        begin = time.monotonic()
        response = request(self.url, "POST", self.path + target, body, self.token, **fields)
        assert time.monotonic() - begin < 10, "the request took too long"
        return response

    def xorb(self, body, name=XORB):
        return self.post(f"/v1/xorbs/default/{name}", body)

    def shard(self, body):
        return self.post("/v1/shards", body)


@pytest.fixture(scope="module")
def repo(server):
    """A repository. After all tests, a valid upload to it succeeds."""
    repo = Repo(server, "attacked-xet")
    yield repo
    content, cas = os.urandom(70_000), Cas(repo, "me")
    name = xorb_hash(content[:50_000], content[50_000:])
    assert cas.xorb(chunk(content[:50_000]) + chunk(content[50_000:]), name).status == 200
    assert cas.shard(shard(shard_file(sha256(content), (name, len(content), 0, 2)))).status == 200
    assert repo.commit(lfs_line("right.bin", sha256(content), len(content))).status == 200
    assert repo.content("right.bin").body == content and repo.files() == [".gitattributes", "right.bin"]


@pytest.fixture
def cas(repo):
    yield Cas(repo, "me")
    assert request(repo.url, "GET", "/healthz").json == {"status": "ok"}


def refused(response, status=400, code="BadRequest"):
    assert (response.status, response.code) == (status, code), response


BAD_XORBS = {
    "an empty body": b"",
    "half a header": chunk(b"abc")[:5],
    "half a chunk": chunk(b"abc")[:-1],
    "a truncated second chunk": chunk(b"abc") + chunk(b"abc")[:-1],
    "a chunk without bytes": chunk(b""),
    "an unknown version": b"\x01" + chunk(b"abc")[1:],
    "an unknown scheme": chunk(b"abc", 3),
    "a stored chunk with two sizes": chunk(b"abc", 0, 4),
    "random bytes": bytes(range(1, 256)) * 10,
    "other chunks than its hash says": chunk(b"abc"),
    "a chunk of more than 128 KiB": chunk(bytes((128 << 10) + 1)),
    "more than 8192 chunks": chunk(b"abc") * 8193,
}


@pytest.mark.parametrize("name", BAD_XORBS)
def test_an_invalid_xorb_is_refused(cas, name):
    refused(cas.xorb(BAD_XORBS[name], sha256(name.encode())))
    refused(cas.shard(shard(shard_file(sha256(b"abc"), (sha256(name.encode()), 3, 0, 1)))))


@pytest.mark.parametrize(
    "name", ["", "x", "..", "%2e%2e", "0" * 63, "0" * 65, "g" * 64, "..%2f" + "0" * 59, "0" * 62 + "%2f0"]
)
def test_a_xorb_with_an_invalid_name_is_refused(cas, name):
    assert cas.xorb(chunk(b"abc"), name).status in (400, 404)


def test_a_xorb_that_is_too_large_is_refused(cas):
    refused(cas.xorb([chunk(bytes(1 << 20))] * 70, "1" * 64), 413, "TooLarge")
    refused(cas.post("/v1/xorbs/default/" + "1" * 64, b"", Content_Length=str(1 << 40)), 413, "TooLarge")


ZEROS = lz4_frame_of_zeros(1, 100_000)
BAD_CHUNKS = {
    "decompresses to more bytes": chunk(lz4_frame_of_zeros(1), 1, 100),
    "decompresses to fewer bytes": chunk(ZEROS, 1, 100_001),
    "truncated": chunk(ZEROS[:-100], 1, 100_000),
    "extra bytes at the end": chunk(ZEROS + b"tail", 1, 100_000),
    "not LZ4": chunk(b"hello hello", 1, 100),
    "not LZ4, grouped": chunk(b"hello hello", 2, 100),
    "only an LZ4 header": chunk(ZEROS[:7], 1, 100),
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_an_invalid_chunk_is_refused(cas, name):
    xorb, raw = sha256(name.encode()), int.from_bytes(BAD_CHUNKS[name][5:8], "little")
    refused(cas.xorb(BAD_CHUNKS[name], xorb))
    refused(cas.shard(shard(shard_file(sha256(bytes(raw)), (xorb, raw, 0, 1)))))


def test_the_helper_s_frame_of_zeros_is_valid(cas):
    zeros = bytes(100_000)
    xorb = xorb_hash(zeros)
    assert cas.xorb(chunk(ZEROS, 1, len(zeros)), xorb).status == 200
    assert cas.shard(shard(shard_file(sha256(zeros), (xorb, len(zeros), 0, 1)))).status == 200


BAD_SHARDS = {
    "an empty body": b"",
    "half a header": shard()[:40],
    "another magic": b"X" + shard()[1:],
    "an unknown version": shard(version=3),
    "a missing footer": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 1)))[:-48],
    "truncated in a record": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 1)))[:-60],
    "four billion segments": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 1), count=0xFFFFFFFF)),
    "a missing SHA-256": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 1)).replace(little(0x40000000, 4), bytes(4))),
    "a wrong SHA-256": shard(shard_file(sha256(b"abd"), (XORB, 3, 0, 1))),
    "an unknown xorb": shard(shard_file(sha256(b"abc"), (OTHER, 3, 0, 1))),
    "more bytes than the chunks contain": shard(shard_file(sha256(b"abc"), (XORB, 4, 0, 1))),
    "fewer bytes than there are": shard(shard_file(sha256(b"abc"), (XORB, 2, 0, 1))),
    "no chunks": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 0))),
    "chunks backwards": shard(shard_file(sha256(b"abc"), (XORB, 3, 1, 0))),
    "chunks past the end": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 2))),
    "four billion chunks": shard(shard_file(sha256(b"abc"), (XORB, 3, 0, 0xFFFFFFFF))),
    "two bad files": shard(shard_file(sha256(b"ABC"), (XORB, 3, 0, 1)), shard_file(sha256(b"abc"), (OTHER, 3, 0, 1))),
}


@pytest.mark.parametrize("name", BAD_SHARDS)
def test_an_invalid_shard_is_refused(repo, cas, name):
    assert cas.xorb(chunk(b"abc")).status == 200
    refused(cas.shard(BAD_SHARDS[name]))
    refused(repo.commit(lfs_line("x.bin", sha256(b"abc"), 3)))


def test_a_small_shard_of_a_huge_file_is_refused(cas):
    assert cas.xorb(chunk(b"abc")).status == 200
    segments = [(XORB, 0xFFFFFFFF, 0, 1)] * 100
    refused(cas.shard(shard(shard_file(sha256(b"abc"), *segments))), 413, "TooLarge")


@pytest.mark.release
def test_a_shard_of_many_files_uses_bounded_memory(server, cas):
    assert cas.xorb(chunk(b"abc")).status == 200
    files = shard_file(sha256(b"abd"), (XORB, 3, 0, 1)) * 300_000
    assert 40 << 20 < len(files) < 64 << 20
    with grows_by_less_than(server.process, 256 << 20):
        refused(cas.shard(shard(files)))
        refused(cas.shard([b"x" * (1 << 20)] * 65), 413, "TooLarge")


def test_xorbs_of_another_user_are_not_visible(server, repo, cas):
    secret = os.urandom(5000)
    server.token("other")
    theirs = Cas(Repo(server, "theirs", "other", private=True), "other")
    other = xorb_hash(secret)
    assert theirs.xorb(chunk(secret), other).status == 200
    assert theirs.path != cas.path, "clients cache the known xorbs by URL"
    refused(cas.shard(shard(shard_file(sha256(secret), (other, len(secret), 0, 1)))))
    refused(repo.commit(lfs_line("x.bin", sha256(secret), len(secret))))
    # Wrong bytes under the same name do not replace it.
    refused(cas.xorb(chunk(b"evil" * 1250), other))
    assert theirs.shard(shard(shard_file(sha256(secret), (other, len(secret), 0, 1)))).status == 200


def test_wrong_tokens_are_refused(server, repo, cas):
    server.token("other"), server.token("reader", "--read-only")
    target, body = f"{cas.path}/v1/xorbs/default/{XORB}", chunk(b"abc")
    claim, _, signature = cas.token.rpartition("~")
    forged = [
        "",
        "x",
        "~~~",
        claim,
        claim + "~",
        claim + "~" + "0" * 64,
        claim.replace("me", "other") + "~" + signature,
        claim[:-1] + ("8" if claim[-1] == "9" else "9") + "~" + signature,
        server.token("me"),
    ]
    for token in forged:
        for response in (
            request(repo.url, "POST", target, body, token or None),
            request(repo.url, "POST", f"{cas.path}/v1/shards", shard(), token or None),
            request(repo.url, "POST", f"{cas.path}/v2/shards", shard(), token or None),
        ):
            assert response.status == 401, (token, response)
    assert request(repo.url, "GET", f"{cas.path}/v1/chunks/default/{XORB}").status == 401
    assert request(repo.url, "GET", "/api/whoami-v2", token=cas.token).status == 401, (
        "the token is valid only for uploads"
    )
    # One user's token at the URL of another user, and of another store.
    theirs = Cas(Repo(server, "mine-xet", "other"), "other")
    assert request(repo.url, "POST", f"{theirs.path}/v1/xorbs/default/{XORB}", body, cas.token).status == 404
    assert request(repo.url, "POST", f"/cas/x/v1/xorbs/default/{XORB}", body, cas.token).status == 404
    refused(repo.api("GET", "{repo}/xet-write-token/main", user="reader"), 403, "Forbidden")
    refused(request(repo.url, "GET", f"/api/models/{repo.name}/xet-write-token/main"), 401, "Unauthorized")


UPLOAD = """
import pathlib, sys
from huggingface_hub import HfApi, constants
assert not constants.HF_HUB_DISABLE_XET
repo, file = sys.argv[1:]
api = HfApi()
api.create_repo(repo, private=True)
api.upload_file(path_or_fileobj=file, path_in_repo="weights.bin", repo_id=repo)
downloaded = pathlib.Path(api.hf_hub_download(repo, "weights.bin")).read_bytes()
print(downloaded == pathlib.Path(file).read_bytes(), api.get_paths_info(repo, "weights.bin")[0].lfs.sha256)
"""


@pytest.fixture
def upload(hub):
    """Returns a function that uploads and downloads a file in a new process, which shares the cache of the others."""
    forks = ForkServer("huggingface_hub.hf_api", "hf_xet", environment=hub.environment(user=None))

    def run(user, repo, file):
        return forks.run(UPLOAD, f"{user}/{repo}", file, timeout=60, HF_TOKEN=hub.server.token(user)).split()

    yield run
    forks.stop()


def test_two_users_share_one_cache(upload, tmp_path):
    content, file = os.urandom(3_000_000), tmp_path / "weights.bin"
    file.write_bytes(content)
    for user in ("me", "other"):
        assert upload(user, "shared-cache", file) == ["True", sha256(content)]
    # With a part that is in the cache.
    content = content[:2_000_000] + os.urandom(1_000_000)
    file.write_bytes(content)
    for user in ("other", "me"):
        assert upload(user, "shared-cache-2", file) == ["True", sha256(content)]


def test_wrong_bytes_under_a_hash_are_never_stored(cas):
    content = os.urandom(1000)
    name = xorb_hash(content)
    wanted = shard(shard_file(sha256(content), (name, len(content), 0, 1)))
    refused(cas.xorb(chunk(os.urandom(1000)), name))
    refused(cas.shard(wanted))
    assert cas.xorb(chunk(content), name).json == {"was_inserted": True}
    assert cas.xorb(chunk(content), name).json == {"was_inserted": False}
    assert cas.shard(wanted).status == 200
