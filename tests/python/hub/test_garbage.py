"""The data folder of the Hub shrinks: after uploads by xet, by `depickle hub gc` and by the running server."""

import contextlib
import hashlib
import random
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from embedded import Hub
from embedded_hub import Server
from program import ENVIRONMENT, PROGRAM
from test_json_forms import check

MIB = 1 << 20


@contextlib.contextmanager
def running(folder, *options):
    server = Server(folder / "data", "--no-page", *options)
    try:
        yield Hub(server, folder / "home")
    finally:
        server.stop()


@pytest.fixture
def own(tmp_path):
    """A Hub of its own."""
    with running(tmp_path) as hub:
        yield hub


def used_bytes(hub, folder=""):
    """Returns the allocated bytes of the data folder without the database."""
    top = hub.server.data / folder
    return sum(path.lstat().st_blocks * 512 for path in top.rglob("*") if ".sqlite" not in path.name)


def gc(hub, *options):
    done = hub.run("hub", "gc", "--data", hub.server.data, "--json", *options)
    assert done.code == 0, done
    check("hub_gc", done.json)
    return done.json


UPLOAD = """
import sys
from huggingface_hub import HfApi, constants
repo, *files = sys.argv[1:]
api = HfApi()
api.create_repo(repo, exist_ok=True)
for file in files:
    api.upload_file(path_or_fileobj=file, path_in_repo="weights.bin", repo_id=repo)
"""


def contents(count, seed=0):
    return random.Random(seed).randbytes(count)


@pytest.mark.parametrize("xet", [True, False])
def test_uploads_take_their_size_and_deletions_free_it(own, tmp_path, xet):
    """An upload of 8 MiB takes 8 MiB, also by xet; so does a second version; gc frees both after the deletion."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(contents(8 * MIB))
    second.write_bytes(contents(4 * MIB) + contents(4 * MIB, seed=1))
    more = {} if xet else {"HF_HUB_DISABLE_XET": "1"}
    for count, file in enumerate((first, second), 1):
        own.python(UPLOAD, "me/model", file, **more)
        assert (own.server.data / "xorbs/me").exists() == xet
        assert used_bytes(own) < count * 8 * MIB + MIB, f"after {count} versions"
        assert used_bytes(own, "lfs") >= count * 8 * MIB
    assert gc(own, "--min-age", "0")["objects"]["count"] == 0
    api = own.api()
    for revision in (commit.commit_id for commit in api.list_repo_commits("me/model")[:2]):
        path = api.hf_hub_download("me/model", "weights.bin", revision=revision, cache_dir=tmp_path / "cache")
        assert open(path, "rb").read() in (first.read_bytes(), second.read_bytes())
    api.delete_repo("me/model")
    assert gc(own)["objects"]["count"] == 0, "it is younger than a day"
    removed = gc(own, "--min-age", "0")
    assert removed["objects"] == {"count": 2, "bytes": removed["objects"]["bytes"]}
    assert removed["objects"]["bytes"] >= 16 * MIB
    assert (removed["xorbs"]["count"] > 0) == xet
    assert used_bytes(own) < MIB
    # The client remembers which chunks the Hub had. The upload must work nevertheless.
    own.python(UPLOAD, "me/model", first, **more)
    path = api.hf_hub_download("me/model", "weights.bin", cache_dir=tmp_path / "cache-2")
    assert open(path, "rb").read() == first.read_bytes()


def test_a_second_version_by_xet_sends_only_new_chunks(own, tmp_path):
    """The chunks of a xorb that only names places in objects can be used by later uploads."""
    file = tmp_path / "file"
    file.write_bytes(contents(8 * MIB))
    own.python(UPLOAD, "me/model", file)
    received = own.metric("depickle_http_received_bytes_total")
    file.write_bytes(contents(8 * MIB) + b"the end")
    own.python(UPLOAD, "me/model", file)
    assert own.metric("depickle_http_received_bytes_total") - received < 2 * MIB
    path = own.api().hf_hub_download("me/model", "weights.bin", cache_dir=tmp_path / "cache")
    assert open(path, "rb").read() == file.read_bytes()


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if ".sqlite" not in path.name
    }


def test_a_dry_run_changes_nothing(own):
    own.make("me/model", {"a.bin": contents(100_000), "b.txt": b"text"})
    own.api().delete_repo("me/model")
    time.sleep(1)  # the server deletes the folder of the repository
    before = tree(own.server.data)
    planned = gc(own, "--dry-run", "--min-age", "0")
    assert planned["dry_run"] and planned["objects"]["count"] == 1
    assert tree(own.server.data) == before
    text = own.run("hub", "gc", "--data", own.server.data, "-n", "--min-age", "0").out
    assert "LFS objects" in text and "would free" in text
    removed = gc(own, "--min-age", "0")
    assert removed["objects"] == planned["objects"] and tree(own.server.data) != before


def test_a_wrong_folder_is_an_error(tmp_path, own):
    done = own.run("hub", "gc", "--data", tmp_path)
    assert done.code == 2 and "is not a data folder of the Hub" in done.err


def test_no_commit_loses_a_file_to_a_collection_that_runs_at_the_same_time(own):
    """Collections without any age run beside uploads, commits and deletions of branches."""
    stop = threading.Event()

    def collect():
        while not stop.is_set():
            gc(own, "--min-age", "0")

    collecting = threading.Thread(target=collect)
    collecting.start()
    api, acknowledged, refused = own.api(), {}, 0
    api.create_repo("me/busy")
    try:
        end = time.monotonic() + 20
        for number in range(1000):
            if time.monotonic() > end:
                break
            branch, content = f"b{number}", contents(50_000, seed=number % 5)
            api.create_branch("me/busy", branch=branch)
            try:
                own.commit("me/busy", {"w.bin": content}, revision=branch)
                acknowledged[branch] = hashlib.sha256(content).hexdigest()
            except Exception as error:
                # A collection may delete an object before its commit, or a xorb before its shard, which are refused
                # then. hf-xet shows only the status of a shard.
                assert "upload" in str(error) or "deleted" in str(error) or "400 Bad Request" in str(error), error
                refused += 1
            if number % 3 == 2 and len(acknowledged) > 2:
                old = next(iter(acknowledged))
                del acknowledged[old]
                api.delete_branch("me/busy", branch=old)
    finally:
        stop.set()
        collecting.join()
    assert len(acknowledged) > 2
    for branch, sha256 in acknowledged.items():
        path = api.hf_hub_download("me/busy", "w.bin", revision=branch, cache_dir=own.home / branch)
        assert hashlib.sha256(open(path, "rb").read()).hexdigest() == sha256


def test_a_killed_collection_leaves_a_hub_that_works(own):
    own.make("me/kept", {"w.bin": contents(100_000, seed=1)})
    command = [str(PROGRAM), "hub", "gc", "--data", str(own.server.data), "--min-age", "0"]
    for number in range(6):
        own.make("me/gone", {f"{i}.bin": contents(20_000, seed=100 * number + i) for i in range(20)})
        own.api().delete_repo("me/gone")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        time.sleep(0.02 + 0.06 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        path = own.api().hf_hub_download("me/kept", "w.bin", cache_dir=own.home / str(number))
        assert open(path, "rb").read() == contents(100_000, seed=1)
    own.made.discard("me/gone")
    gc(own, "--min-age", "0")
    assert used_bytes(own, "lfs") < MIB // 2 and list((own.server.data / "tmp").iterdir()) == []
    own.make("me/again", {"0.bin": contents(20_000, seed=0)})
    path = own.api().hf_hub_download("me/again", "0.bin", cache_dir=own.home / "again")
    assert open(path, "rb").read() == contents(20_000, seed=0)


def test_the_server_removes_old_objects_when_it_starts(tmp_path):
    with running(tmp_path) as hub:
        hub.make("me/model", {"a.bin": contents(100_000)})
        hub.api().delete_repo("me/model")
    with sqlite3.connect(tmp_path / "data/hub.sqlite") as database:
        database.execute("UPDATE object_uses SET used_at = 0, released_at = 1")
    database.close()
    with running(tmp_path) as hub:
        end = time.monotonic() + 20
        while used_bytes(hub, "lfs") > 50_000 and time.monotonic() < end:
            time.sleep(0.1)
        assert used_bytes(hub, "lfs") < 50_000


def upload_error(hub, size, **more):
    """Returns the error that huggingface_hub shows for an upload."""
    file = hub.home.parent / "file"
    file.write_bytes(contents(size, seed=size))
    with pytest.raises(AssertionError) as error:
        hub.python(UPLOAD, "me/model", file, HF_HUB_DOWNLOAD_TIMEOUT="5", **more)
    return str(error.value)


@pytest.mark.parametrize("xet", [True, False])
def test_an_upload_without_space_is_refused_with_507(tmp_path, xet):
    more = {} if xet else {"HF_HUB_DISABLE_XET": "1"}
    with running(tmp_path, "--reserve-bytes", str(1 << 60)) as hub:
        assert "the Hub has not enough free space" in upload_error(hub, 3 * MIB, **more)
        assert used_bytes(hub, "lfs") + used_bytes(hub, "xorbs") < 100_000
        hub.make("me/small", {"a.txt": b"small files can be committed", "b.bin": contents(1000)})
        hub.api().delete_file("a.txt", "me/small")


@pytest.mark.parametrize("xet", [True, False])
def test_the_bytes_of_a_user_are_limited(tmp_path, xet):
    more = {} if xet else {"HF_HUB_DISABLE_XET": "1"}
    with running(tmp_path, "--user-bytes", str(5 * MIB)) as hub:
        file = tmp_path / "first"
        file.write_bytes(contents(4 * MIB + 500_000))
        hub.python(UPLOAD, "me/model", file, **more)
        message = upload_error(hub, 3 * MIB, **more)
        assert "the storage limit of this user is exceeded" in message and "413" in message
        theirs = tmp_path / "theirs"
        theirs.write_bytes(contents(4 * MIB, seed=9))
        hub.python(UPLOAD, "other/model", theirs, user="other", **more)
        hub.api().delete_repo("me/model")
        gc(hub, "--min-age", "0")
        time.sleep(11)  # the Hub remembers the bytes of a user for 10 s
        hub.python(UPLOAD, "me/model", file, **more)


def test_uploads_without_a_commit_are_limited(tmp_path):
    with running(tmp_path, "--uncommitted-bytes", str(3 * MIB)) as hub:
        hub.api().create_repo("me/model")
        for number in range(3):  # committed bytes do not count
            hub.commit("me/model", {f"{number}.bin": contents(2 * MIB, seed=number)})
        assert "in no commit" in upload_error(hub, 4 * MIB, HF_HUB_DISABLE_XET="1")
