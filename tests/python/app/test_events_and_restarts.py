"""Event streams, cancellation, and restarts of the server."""
import sqlite3
import threading
import time

import pytest
import torch

from embedded import files_of, pickled, tied_model
from page_server import PageServer, hub_of, second_server


def large():
    return {"pytorch_model.bin": pickled({f"w{number}": torch.randn(2000, 1000) for number in range(24)})}


@pytest.fixture(scope="module", autouse=True)
def models(hub):
    hub.make("me/demo", files_of(tied_model()))
    hub.make("me/large", large())


def wait_until_running(visitor, job):
    for _ in range(2000):
        if visitor.get(f"/api/v1/jobs/{job}").json["state"] == "running":
            return
        time.sleep(0.005)
    raise AssertionError("the job did not start")


def test_a_stream_resumes_after_the_last_event_id(visitor):
    job = visitor.start("convert", "me/demo", pull_request=False)
    events = visitor.events(job)
    ids = [number for number, _, _ in events]
    assert ids == sorted(set(ids)) and events[-1][1] == "end"
    again = visitor.events(job, after=ids[-1])
    assert [name for _, name, _ in again] == ["end"] and again[0][2]["result"]
    assert visitor.get(f"/api/v1/jobs/{job}/events", Last_Event_ID="x").status == 400


def test_a_stream_of_a_running_job_starts_with_its_state(visitor):
    job = visitor.start("convert", "me/large", pull_request=False)
    events = visitor.events(job, after=999999999999999999)
    assert events[0][1] in ("state", "end") and events[-1][1] == "end" and events[-1][2]["answer"] == "yes", events[-1]


def test_starting_the_same_job_twice_gives_one_job(visitor):
    first = visitor.post("/api/v1/jobs", {"kind": "convert", "address": "me/large", "pull_request": False})
    second = visitor.post("/api/v1/jobs", {"kind": "convert", "address": " hf://me/large", "pull_request": False})
    assert (first.status, second.status) == (201, 200) and first.json["id"] == second.json["id"]
    visitor.wait(first.json["id"])


def test_running_and_queued_jobs_can_be_cancelled(server, visitor):
    runs = visitor.start("convert", "me/large", pull_request=False)
    waits = visitor.start("convert", "me/demo", pull_request=False)
    assert server.visitor().post(f"/api/v1/jobs/{runs}/cancel").status == 403, "the job of another visitor"
    assert visitor.post(f"/api/v1/jobs/{waits}/cancel").status == 202
    assert visitor.wait(waits)["state"] == "cancelled"
    wait_until_running(visitor, runs)
    assert visitor.post(f"/api/v1/jobs/{runs}/cancel").status == 202
    assert visitor.wait(runs)["state"] == "cancelled"
    assert visitor.post(f"/api/v1/jobs/{runs}/cancel").status == 409


def test_plans_do_not_wait_behind_conversions(visitor):
    convert = visitor.start("convert", "me/large", pull_request=False)
    assert visitor.run("plan", "me/demo")["state"] == "done"
    assert visitor.post(f"/api/v1/jobs/{convert}/cancel").status in (202, 409)
    visitor.wait(convert)


def test_jobs_after_kill_9_and_a_restart(tmp_path):
    server = PageServer(tmp_path / "data")
    hub = hub_of(server, tmp_path / "home")
    hub.make("me/demo", files_of(tied_model()))
    hub.make("me/large", large())
    token = server.token("me")
    visitor = server.visitor()
    done = visitor.run("convert", "me/demo", pull_request=False)
    with_token = visitor.start("convert", "me/large", token=token, pull_request=False)
    without = visitor.start("convert", "me/large", pull_request=False)
    wait_until_running(visitor, with_token)
    server.kill()
    assert token not in server.err
    after = PageServer(tmp_path / "data")
    visitor.url = after.url
    try:
        assert visitor.get(f"/api/v1/jobs/{done['id']}").json["result"] == done["result"]
        lost = visitor.get(f"/api/v1/jobs/{with_token}").json
        assert lost["state"] == "failed" and "token was in memory only" in lost["error"]["message"]
        assert visitor.wait(without)["answer"] == "yes"
    finally:
        after.stop()
    assert sqlite3.connect(tmp_path / "data/app.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_job_is_not_retried_after_the_server_died_twice(tmp_path):
    server = PageServer(tmp_path / "data")
    hub_of(server, tmp_path / "home").make("me/large", large())
    visitor = server.visitor()
    job = visitor.start("convert", "me/large", pull_request=False)
    for _ in range(2):
        wait_until_running(visitor, job)
        server.kill()
        server = PageServer(tmp_path / "data")
        visitor.url = server.url
    last = visitor.get(f"/api/v1/jobs/{job}").json
    server.stop()
    assert last["state"] == "failed" and "2 times" in last["error"]["message"], last


def test_a_stop_requeues_a_running_job(tmp_path):
    server = PageServer(tmp_path / "data")
    hub_of(server, tmp_path / "home").make("me/large", large())
    visitor = server.visitor()
    job = visitor.start("convert", "me/large", pull_request=False)
    wait_until_running(visitor, job)
    begin = time.monotonic()
    assert f"job {job}: queued again" in server.stop()
    assert time.monotonic() - begin < 10
    after = PageServer(tmp_path / "data")
    visitor.url = after.url
    assert visitor.wait(job)["answer"] == "yes"
    after.stop()


def test_a_second_server_on_the_same_folder_is_refused(server):
    for options in ((), ("--hub", "http://127.0.0.1:9")):
        done = second_server(server.data, *options)
        assert done.returncode != 0 and "another server is using this data folder" in done.stderr, done


def test_an_unreachable_hub(tmp_path):
    server = PageServer(tmp_path / "data", "--hub", "http://127.0.0.1:9", "--job-seconds", "3")
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


def test_the_queue_alternates_between_visitors(tmp_path):
    server = PageServer(tmp_path / "data")
    hub = hub_of(server, tmp_path / "home")
    hub.make("me/large", large())
    for number in range(4):
        hub.make(f"me/m{number}", files_of(tied_model()))
    eager, patient = server.visitor(), server.visitor()
    first = eager.start("convert", "me/large", pull_request=False)
    wait_until_running(eager, first)
    mine = [eager.start("convert", f"me/m{number}", pull_request=False) for number in range(3)]
    other = patient.start("convert", "me/m3", pull_request=False)
    assert patient.get(f"/api/v1/jobs/{other}").json["position"] == 2
    assert [eager.get(f"/api/v1/jobs/{job}").json["position"] for job in mine] == [1, 3, 4]
    patient.wait(other)
    server.stop()


def test_many_watchers_do_not_occupy_threads(visitor, hub):
    job = visitor.start("convert", "me/large", pull_request=False)
    ends = []
    threads = [threading.Thread(target=lambda: ends.append(visitor.wait(job)["state"])) for _ in range(100)]
    for thread in threads:
        thread.start()
    assert visitor.get("/healthz").status == 200, "100 open streams block the 16 workers"
    for thread in threads:
        thread.join()
    assert ends == ["done"] * 100
