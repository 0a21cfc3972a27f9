"""Each job runs in a process of its own: its death fails the job only, and it has few rights."""
import http.server
import json
import os
import pathlib
import resource
import shlex
import shutil
import signal
import subprocess
import threading
import time

import pytest

from embedded import files_of, tied_model
from held_worker import HeldWorker
from page_server import PageServer, hub_of
from program import PROGRAM

JOB = {"kind": "convert", "pull_request": False}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    return HeldWorker(tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, worker):
    server = PageServer(
        tmp_path_factory.mktemp("server"), "--worker", worker.path, environment={"HF_TOKEN": "hf_of_environment"}
    )
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def model(hub):
    hub.make("me/demo", files_of(tied_model()))


@pytest.fixture
def held(worker):
    worker.hold()
    yield worker
    worker.release()


def descendants(pid):
    """Returns {pid: name} of the processes that a process has started, also indirectly."""
    parents, names = {}, {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name, rest = (folder / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        parents[int(folder.name)], names[int(folder.name)] = int(rest.split()[1]), name
    found, more = {}, {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more}
        found |= {child: names[child] for child in more}
    return found


def job_process(server):
    (pid,) = [pid for pid, name in descendants(server.process.pid).items() if name == "depickle-jobs"]
    return pid


def start_held_job(server, visitor):
    """Returns the id of a conversion whose process waits for its sandboxed process."""
    job = visitor.start("convert", "me/demo", pull_request=False)
    eventually(lambda: "worker" in descendants(server.process.pid).values())
    return job


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def assert_runs_jobs(visitor):
    assert visitor.get("/healthz").status == 200
    assert visitor.run("convert", "me/demo", pull_request=False)["answer"] == "yes"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_the_death_of_a_process_fails_its_job_only(server, visitor, held, number):
    job = start_held_job(server, visitor)
    os.kill(job_process(server), number)
    data = visitor.wait(job)
    assert data["state"] == "failed" and data["error"]["code"] == "failed", data
    assert f"the job's process was ended by signal {number.value}" in data["sentence"], data
    eventually(lambda: not descendants(server.process.pid), 10)
    held.release()
    assert_runs_jobs(visitor)


def test_a_process_without_memory_fails_its_job_only(server, visitor, held):
    job = start_held_job(server, visitor)
    resource.prlimit(job_process(server), resource.RLIMIT_DATA, (4096, 4096))
    held.release()
    data = visitor.wait(job)
    assert data["state"] == "failed", data
    assert_runs_jobs(visitor)


def test_no_process_survives_the_server(tmp_path, worker, held):
    server = PageServer(tmp_path / "data", "--worker", worker.path)
    hub_of(server, tmp_path / "home").make("me/demo", files_of(tied_model()))
    start_held_job(server, server.visitor())
    started = descendants(server.process.pid)
    assert len(started) >= 2
    server.kill()
    eventually(lambda: not any(pathlib.Path(f"/proc/{pid}/cwd").exists() for pid in started), 10)


def test_a_cancelled_job_ends_within_seconds(server, visitor, held):
    job = start_held_job(server, visitor)
    begin = time.monotonic()
    assert visitor.post(f"/api/v1/jobs/{job}/cancel").status == 202
    assert visitor.wait(job)["state"] == "cancelled"
    assert time.monotonic() - begin < 4
    eventually(lambda: not descendants(server.process.pid), 10)


def test_tokens_are_in_no_environment_and_no_argument(server, visitor, held):
    token = server.token("me")
    job = visitor.start("convert", "me/demo", pull_request=False, token=token)
    eventually(lambda: "worker" in descendants(server.process.pid).values())
    folder = pathlib.Path("/proc") / str(job_process(server))
    try:
        public = (folder / "environ").read_text() + (folder / "cmdline").read_text()
    except PermissionError:
        public = (folder / "cmdline").read_text()  # the process is not dumpable
    assert token not in public and "hf_" not in public, public
    assert "NoNewPrivs:\t1" in (folder / "status").read_text()
    assert "Max core file size 0 0 bytes" in " ".join((folder / "limits").read_text().split())
    descriptors = {os.readlink(one).split(":")[0] for one in (folder / "fd").iterdir()} if os.getuid() == 0 else set()
    assert not any("sqlite" in name or "signing" in name for name in descriptors), descriptors
    held.release()
    assert visitor.wait(job)["answer"] == "yes"


PROBE = """#!/bin/sh
while read -r file; do
  (exec 3< "$file") 2>/dev/null && echo "$file" >> {cache}/opened
  (exec 3>> "$file") 2>/dev/null && echo "$file" >> {cache}/opened
done < {folder}/files
echo tried >> {cache}/opened
(echo x > {data}/new) 2>/dev/null
exec {program} worker "$1"
"""


def test_a_process_cannot_open_the_files_of_the_server(tmp_path):
    """The sandboxed process is a script, which has the rights of the job's process."""
    data, folder = tmp_path / "data", tmp_path / "probe"
    folder.mkdir()
    names = {name: shlex.quote(str(path)) for name, path in
             {"cache": data / "app/cache", "data": data, "folder": folder, "program": PROGRAM}.items()}
    (folder / "worker").write_text(PROBE.format(**names))
    (folder / "worker").chmod(0o755)
    server = PageServer(data, "--worker", folder / "worker")
    hub_of(server, tmp_path / "home").make("me/demo", files_of(tied_model()))
    files = [path for path in data.rglob("*") if path.is_file() and data / "app/cache" not in path.parents]
    assert data / "signing.key" in files and data / "app.sqlite" in files and data / "app/cookies.key" in files
    (folder / "files").write_text("".join(f"{path}\n" for path in files))
    assert server.visitor().run("convert", "me/demo", pull_request=False)["answer"] == "yes"
    if "this kernel has no Landlock" in server.stop():
        pytest.skip("this kernel has no Landlock")
    assert set((data / "app/cache/opened").read_text().split()) == {"tried"}
    assert not (data / "new").exists()


def test_links_in_the_folder_of_a_job_are_not_followed(server, visitor):
    """Its process may have been taken over, on a kernel without Landlock."""
    job = visitor.run("convert", "me/demo", pull_request=False)["id"]
    folder, url = server.data / "app/jobs" / job, f"/api/v1/jobs/{job}"
    assert visitor.get(f"{url}/receipt").status == visitor.get(f"{url}/files/model.safetensors").status == 200
    (folder / "receipt.json").unlink()
    (folder / "receipt.json").symlink_to(server.data / "signing.key")
    (folder / "files/link").symlink_to(server.data / "signing.key")
    (folder / "files/folder").symlink_to(server.data)
    os.mkfifo(folder / "files/fifo")
    for path in ("receipt", "files/link", "files/folder/signing.key", "files/fifo"):
        assert visitor.get(f"{url}/{path}", timeout=10).status == 404, path


def test_a_job_process_is_started_by_the_server_only():
    done = subprocess.run([PROGRAM.with_name("depickle-jobs")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "started by depickle-server only" in done.stderr


def test_a_server_without_depickle_jobs_does_not_start(tmp_path):
    for name in ("depickle", "depickle-server"):
        try:
            os.link(PROGRAM.with_name(name), tmp_path / name)
        except OSError:
            shutil.copy(PROGRAM.with_name(name), tmp_path / name)
    command = [tmp_path / "depickle", "serve", "--port", "0", "--data", tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"{tmp_path / 'depickle-jobs'}: cannot run jobs" in done.stderr, done.stderr
    assert "hint: install depickle-jobs beside depickle-server" in done.stderr


FULL_DISK = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Whether the flag exists and `fd` is the database of the jobs or its log.
static int is_full(int fd) {
  char link[64], path[4096];
  if (access(getenv("FULL_DISK"), F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, "app.sqlite")) return 0;
  errno = ENOSPC;
  return 1;
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return is_full(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  return is_full(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t write(int fd, const void* bytes, size_t size) { return is_full(fd) ? -1 : syscall(SYS_write, fd, bytes, size); }
"""


def test_a_full_disk_delays_jobs_and_ends_nothing(tmp_path, worker, held):
    (tmp_path / "full.c").write_text(FULL_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "full.so", tmp_path / "full.c"], check=True)
    flag = tmp_path / "full"
    environment = {
        "LD_PRELOAD": str(tmp_path / "full.so"),
        "FULL_DISK": str(flag),
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
    }
    server = PageServer(tmp_path / "data", "--worker", worker.path, environment=environment)
    hub_of(server, tmp_path / "home").make("me/demo", files_of(tied_model()))
    visitor = server.visitor()
    job = start_held_job(server, visitor)
    waits = visitor.start("convert", "me/demo")
    flag.touch()
    held.release()
    eventually(lambda: not descendants(server.process.pid))
    assert visitor.post("/api/v1/jobs", JOB | {"address": "me/other"}).status >= 500
    time.sleep(1)
    assert visitor.get("/healthz").status == 200
    assert visitor.get(f"/api/v1/jobs/{job}").json["state"] == "running", "the end is not saved"
    flag.unlink()
    assert visitor.wait(job)["answer"] == "yes"
    assert visitor.wait(waits)["answer"] == "yes"
    assert f"job {job}: its end cannot be saved" in server.stop()


def test_a_blocked_log_blocks_no_request(tmp_path):
    server = PageServer(tmp_path / "data", "--log", "--hub", "http://127.0.0.1:9")
    visitor = server.visitor()
    job = visitor.start("convert", "me/demo", pull_request=False)
    for _ in range(500):  # 100 kB of lines; a pipe has 64 kB
        assert visitor.get(f"/{'x' * 190}", timeout=10).status == 404
    begin = time.monotonic()
    assert visitor.get(f"/api/v1/jobs/{job}", timeout=10).status == 200
    assert visitor.start("plan", "me/demo") and time.monotonic() - begin < 5
    assert "GET /xxx" in server.stop()


class Whoami(http.server.BaseHTTPRequestHandler):
    """A Hub behind a proxy, which answers the first requests."""

    unavailable = 2

    def do_GET(self):
        status = 404 if Whoami.unavailable > 0 else 200
        Whoami.unavailable -= 1
        body = json.dumps({"name": "late", "type": "user", "orgs": [], "auth": {}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_account_is_known_after_the_hub_has_started(tmp_path):
    late = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Whoami, bind_and_activate=False)
    late.server_bind()  # it does not listen yet
    url = f"http://127.0.0.1:{late.server_address[1]}"
    server = PageServer(tmp_path / "data", "--hub", url, environment={"HF_TOKEN": "hf_of_the_account"})
    visitor = server.visitor()
    time.sleep(1)
    assert visitor.get("/api/v1/about").json["account"] is None
    late.server_activate()
    threading.Thread(target=late.serve_forever, daemon=True).start()
    eventually(lambda: visitor.get("/api/v1/about").json["account"] == "late")
    late.shutdown()
    assert "hf_of_the_account" not in server.stop()
