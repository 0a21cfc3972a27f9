"""Event streams, cancellation, and restarts of the server."""
import sqlite3
import threading
import time

import pytest
import torch

from embedded import files_of, pickled, tied_model
from held_worker import HeldWorker
from page_server import PageServer, hub_of, second_server


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    return HeldWorker(tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, worker):
    server = PageServer(tmp_path_factory.mktemp("server"), "--worker", worker.path)
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def models(hub):
    for name in ("demo", "slow"):
        hub.make(f"me/{name}", files_of(tied_model()))


@pytest.fixture
def held(worker):
    """No job ends before held.release()."""
    worker.hold()
    yield worker
    worker.release()


@pytest.fixture
def own_server(tmp_path, worker):
    """own_server() starts a server on the data folder of the test, again after it was stopped or killed."""
    servers = []

    def start():
        servers.append(PageServer(tmp_path / "data", "--worker", worker.path))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


def start_conversion(visitor, repo="me/slow", **more):
    return visitor.start("convert", repo, pull_request=False, **more)


def wait_until_running(visitor, job):
    for _ in range(2000):
        if visitor.get(f"/api/v1/jobs/{job}").json["state"] == "running":
            return
        time.sleep(0.005)
    raise AssertionError("the job did not start")


def test_a_stream_resumes_after_the_last_event_id(visitor):
    job = start_conversion(visitor, "me/demo")
    events = visitor.events(job)
    ids = [number for number, _, _ in events]
    assert ids == sorted(set(ids)) and events[-1][1] == "end"
    again = visitor.events(job, after=ids[-1])
    assert [name for _, name, _ in again] == ["end"] and again[0][2]["result"]
    assert visitor.get(f"/api/v1/jobs/{job}/events", Last_Event_ID="x").status == 400


def test_a_stream_of_a_running_job_starts_with_its_state(visitor, held):
    job = start_conversion(visitor)
    wait_until_running(visitor, job)
    stream = visitor.stream(job, after=999999999999999999)
    _, name, data = next(stream)
    assert (name, data["state"]) == ("state", "running")
    held.release()
    *_, (_, name, data) = stream
    assert name == "end" and data["answer"] == "yes", data


def test_starting_the_same_job_twice_gives_one_job(visitor, held):
    first = visitor.post("/api/v1/jobs", {"kind": "convert", "address": "me/slow", "pull_request": False})
    second = visitor.post("/api/v1/jobs", {"kind": "convert", "address": " hf://me/slow", "pull_request": False})
    assert (first.status, second.status) == (201, 200) and first.json["id"] == second.json["id"]
    held.release()
    visitor.wait(first.json["id"])


def test_running_and_queued_jobs_can_be_cancelled(server, visitor, held):
    runs = start_conversion(visitor)
    waits = start_conversion(visitor, "me/demo")
    assert server.visitor().post(f"/api/v1/jobs/{runs}/cancel").status == 403, "the job of another visitor"
    assert visitor.post(f"/api/v1/jobs/{waits}/cancel").status == 202
    assert visitor.wait(waits)["state"] == "cancelled"
    wait_until_running(visitor, runs)
    assert visitor.post(f"/api/v1/jobs/{runs}/cancel").status == 202
    assert visitor.wait(runs)["state"] == "cancelled"
    assert visitor.post(f"/api/v1/jobs/{runs}/cancel").status == 409


@pytest.mark.large
def test_a_conversion_of_192_mb_can_be_cancelled(visitor, hub):
    hub.make("me/large", {"pytorch_model.bin": pickled({f"w{n}": torch.randn(2000, 1000) for n in range(24)})})
    job = start_conversion(visitor, "me/large")
    for _, name, data in visitor.stream(job):
        if name == "progress" and data["phase"] == "convert":
            assert visitor.post(f"/api/v1/jobs/{job}/cancel").status == 202
    assert data["state"] == "cancelled", data
    assert visitor.wait(start_conversion(visitor, "me/large"))["answer"] == "yes"


def test_plans_do_not_wait_behind_conversions(visitor, held):
    first, second = start_conversion(visitor), start_conversion(visitor, "me/demo")
    wait_until_running(visitor, first)
    plan = visitor.start("plan", "me/demo")
    wait_until_running(visitor, plan)
    assert visitor.get(f"/api/v1/jobs/{second}").json["state"] == "queued"
    held.release()
    assert [visitor.wait(job)["state"] for job in (plan, first, second)] == ["done"] * 3


def test_jobs_after_kill_9_and_a_restart(tmp_path, own_server, held):
    server = own_server()
    hub = hub_of(server, tmp_path / "home")
    hub.make("me/demo", files_of(tied_model()))
    hub.make("me/slow", files_of(tied_model()))
    token = server.token("me")
    visitor = server.visitor()
    held.release()
    done = visitor.wait(start_conversion(visitor, "me/demo"))
    held.hold()
    with_token = start_conversion(visitor, token=token)
    without = start_conversion(visitor)
    wait_until_running(visitor, with_token)
    server.kill()
    assert token not in server.err
    visitor.url = own_server().url
    assert visitor.get(f"/api/v1/jobs/{done['id']}").json["result"] == done["result"]
    lost = visitor.get(f"/api/v1/jobs/{with_token}").json
    assert lost["state"] == "failed" and "token was in memory only" in lost["error"]["message"]
    held.release()
    assert visitor.wait(without)["answer"] == "yes"
    assert sqlite3.connect(tmp_path / "data/app.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_job_is_not_retried_after_the_server_died_twice(tmp_path, own_server, held):
    server = own_server()
    hub_of(server, tmp_path / "home").make("me/slow", files_of(tied_model()))
    visitor = server.visitor()
    job = start_conversion(visitor)
    for _ in range(2):
        wait_until_running(visitor, job)
        server.kill()
        server = own_server()
        visitor.url = server.url
    last = visitor.get(f"/api/v1/jobs/{job}").json
    assert last["state"] == "failed" and "2 times" in last["error"]["message"], last


def test_a_stop_requeues_a_running_job(tmp_path, own_server, held):
    server = own_server()
    hub_of(server, tmp_path / "home").make("me/slow", files_of(tied_model()))
    visitor = server.visitor()
    job = start_conversion(visitor)
    wait_until_running(visitor, job)
    begin = time.monotonic()
    assert f"job {job}: queued again" in server.stop()
    assert time.monotonic() - begin < 10
    held.release()
    visitor.url = own_server().url
    assert visitor.wait(job)["answer"] == "yes"


def test_a_second_server_on_the_same_folder_is_refused(server):
    for options in ((), ("--hub", "http://127.0.0.1:9")):
        done = second_server(server.data, *options)
        assert done.returncode != 0 and "another server is using this data folder" in done.stderr, done


def test_an_unreachable_hub(tmp_path):
    server = PageServer(tmp_path / "data", "--hub", "http://127.0.0.1:9", "--job-seconds", "1")
    visitor = server.visitor()
    assert visitor.get("/api/v1/about").json["hub"] == {"url": "http://127.0.0.1:9", "embedded": False}
    job = visitor.run("plan", "me/demo")
    server.stop()
    assert job["state"] == "failed" and job["error"]["code"] in ("network", "limit") and job["error"]["hint"], job


def test_a_model_over_the_size_limit(tmp_path):
    server = PageServer(tmp_path / "data", "--max-model-bytes", "1000")
    hub_of(server, tmp_path / "home").make("me/demo", files_of(tied_model()))
    job = server.visitor().run("convert", "me/demo")
    assert f"job {job['id']}: failed" in server.stop()
    assert job["error"]["code"] == "limit" and "too large" in job["sentence"] and job["error"]["hint"]


def test_the_queue_alternates_between_visitors(server, hub, held):
    for number in range(4):
        hub.make(f"me/m{number}", {"pytorch_model.bin": pickled({"w": torch.ones(3)})})
    eager, patient = server.visitor(), server.visitor()
    first = start_conversion(eager)
    wait_until_running(eager, first)
    mine = [start_conversion(eager, f"me/m{number}") for number in range(3)]
    other = start_conversion(patient, "me/m3")
    assert patient.get(f"/api/v1/jobs/{other}").json["position"] == 2
    assert [eager.get(f"/api/v1/jobs/{job}").json["position"] for job in mine] == [1, 3, 4]
    held.release()
    assert [eager.wait(job)["state"] for job in mine] == ["done"] * 3 and patient.wait(other)["state"] == "done"


def test_many_watchers_do_not_occupy_threads(visitor, held):
    job = start_conversion(visitor)
    opened, ends = threading.Barrier(101), []

    def watch():
        stream = visitor.stream(job)
        next(stream)
        opened.wait(timeout=60)
        *_, (_, _, data) = stream
        ends.append(data["state"])

    threads = [threading.Thread(target=watch) for _ in range(100)]
    for thread in threads:
        thread.start()
    opened.wait(timeout=60)
    assert visitor.get("/healthz").status == 200, "100 open streams block the 16 workers"
    held.release()
    for thread in threads:
        thread.join()
    assert ends == ["done"] * 100
