"""The disk fails, descriptors are used up, children die, the clock goes back: the Hub answers, and loses nothing."""

import concurrent.futures
import errno
import hashlib
import os
import random
import resource
import signal
import subprocess
import time
import types

import pytest
from huggingface_hub import constants

from embedded_hub import Server
from failing_disk import FailingDisk
from store_steps import REPO, STEPS, Work, read_everything
from wire import Socket, commit_body, head, lfs_line, request
from xet_format import chunk, shard, shard_file, xorb_hash

pytestmark = pytest.mark.hostile

CHUNKS = [random.Random(number).randbytes(20_000) for number in range(3)]


def upload_by_xet(work):
    """Sends the requests of hf-xet, which itself tries for minutes before it reports an error."""
    content, token, xorb = b"".join(CHUNKS), work.server.token("me"), xorb_hash(*CHUNKS)
    oid = hashlib.sha256(content).hexdigest()
    access = request(work.server.url, "GET", f"/api/models/{REPO}/xet-write-token/main", token=token).json
    address = access["casUrl"].removeprefix(work.server.url)
    for target, body in {
        f"/v1/xorbs/default/{xorb}": b"".join(map(chunk, CHUNKS)),
        "/v1/shards": shard(shard_file(oid, (xorb, len(content), 0, len(CHUNKS)))),
    }.items():
        assert request(work.server.url, "POST", address + target, body, access["accessToken"]).status == 200
    commit = commit_body(lfs_line("xet.bin", oid, len(content)))
    assert request(work.server.url, "POST", f"/api/models/{REPO}/commit/main", commit, token).status == 200


# Not those that start programs or the server.
DISK_STEPS = {
    name: upload_by_xet if name == "upload_with_xet" else step
    for name, step in STEPS.items()
    if name not in ("clone_with_git", "restart_with_old_parts", "add_user")
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return FailingDisk(tmp_path_factory.mktemp("disk"))


@pytest.fixture(autouse=True)
def impatient_clients(monkeypatch):
    """Clients that do not wait before they try again: hf-xet would."""
    import huggingface_hub.utils._http as http

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    monkeypatch.setattr(http, "time", types.SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None}))


@pytest.fixture
def server(disk, tmp_path):
    server = Server(tmp_path / "data", "--no-page", environment=disk.environment)
    server.token("me")
    yield server
    disk.work()
    disk.set("seconds", 0)
    server.stop()


def whoami(server):
    return request(server.url, "GET", "/api/whoami-v2", token=server.token("me")).status


def attempt(step, work):
    """Returns the error that the client reports, or None."""
    try:
        step(work)
    except Exception as error:
        return error
    return None


def numbers(every):
    """Returns 1, 2, 3 … or, if `every` is false, growing steps."""
    number = 1
    while True:
        yield number
        number += 1 if every else max(1, number // 2)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.large)], ids=["some", "every"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_costs_only_the_request(disk, server, error, every):
    work, before, tried = Work(server), {"users": ["me"], "private": {}, "repositories": {}}, 0
    for name, step in DISK_STEPS.items():
        for number in numbers(every):
            disk.fail(error, number)
            error_of_client = attempt(step, work)
            assert whoami(server) == 200, f"{name}: the Hub does not answer while call {number} and all later ones fail"
            has_failed = disk.work()
            after = read_everything(server)
            is_done = after != before
            assert is_done or error_of_client, f"{name}: done, says the Hub, but call {number} failed"
            before, tried = after, tried + 1
            if is_done:
                break
            assert has_failed, f"{name} fails on a disk that works: {error_of_client}"
    assert tried > 100
    # The next collection deletes the folders of deleted repositories.
    left = [path for path in (server.data / "tmp").iterdir() if not path.name.startswith("trash-")]
    assert left == [], "temporary files were left"


def test_after_a_disk_without_descriptors_everything_works(disk, server):
    work = Work(server)
    STEPS["create_repository"](work)
    for error in (errno.ENFILE, errno.EMFILE):
        disk.fail(error, opens=True)
        assert attempt(STEPS["commit_files"], work)
        disk.work()
        assert whoami(server) == 200
    # A limit of the process: accept() fails, too.
    soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used, hard))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(whoami, server)
        time.sleep(0.3)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert waiting.result(timeout=60) == 200
    STEPS["commit_files"](work)


def test_the_clock_may_go_back(disk, server):
    work = Work(server)
    states = []
    for at, (name, step) in enumerate(DISK_STEPS.items()):
        disk.set("seconds", [0, -90 * 86400, 86400, -3600][at % 4] if name != "upload_in_parts" else 0)
        step(work)
        states.append(read_everything(server))
    assert len(states) > 20 and states[-1]["repositories"]


def children(server):
    done = subprocess.run(["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


def test_a_killed_git_costs_only_its_clone(server):
    work = Work(server)
    STEPS["create_repository"](work)
    work.commit({"large.txt": os.urandom(4_000_000).hex().encode()})  # more than the buffers of a connection
    want = f"want {work.api.model_info('me/model').sha} no-progress\n".encode()
    body = b"%04x%s00000009done\n" % (len(want) + 4, want)
    with Socket(server.url) as socket:
        socket.send(head("POST", "/me/model/git-upload-pack", f"Content-Length: {len(body)}"), body)
        assert socket.stream.read(12) == b"HTTP/1.1 200"
        processes = children(server)
        assert processes
        for process in processes:
            os.kill(process, signal.SIGKILL)
        assert not socket.stream.read().endswith(b"0\r\n\r\n"), "a clone without its end looks complete"
    STEPS["clone_with_git"](work)
