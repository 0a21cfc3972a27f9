"""A sandboxed process with a bug that a file triggers: it is stopped, its job fails, and the server continues."""
import pytest

from embedded import files_of, tied_model
from page_server import PageServer, hub_of
from program import PROGRAM

# The action that a file triggers, and the code and the message of the failed job.
ACTIONS = {
    "crash": ("malformed", "crashed (SEGV)"),
    "memory": ("limit", "more memory than allowed"),
    "socket": ("unsafe", "forbidden system call"),
    "exec": ("unsafe", "forbidden system call"),
    "fork": ("unsafe", "forbidden system call"),
    "kill": ("unsafe", "forbidden system call"),
    "unlink": ("unsafe", "forbidden system call"),
    "lie": ("malformed", "sent an invalid message"),
    "hang-up": ("malformed", "closed its channel without a result"),
    "large": ("limit", "the result of reading the file is larger than allowed"),
    "error": ("malformed", "x1b[2J"),  # the escape for the terminal is escaped
}


@pytest.fixture(scope="module")
def worker():
    worker = PROGRAM.with_name("misbehaving_worker")
    assert worker.exists(), f"{worker} is not built: ./test builds it"
    return worker


@pytest.fixture(scope="module")
def server(tmp_path_factory, worker):
    server = PageServer(tmp_path_factory.mktemp("server"), "--worker", worker)
    yield server
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def healthy(hub):
    hub.make("me/healthy", files_of(tied_model()))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", ["convert", "inspect"])
def test_a_misbehaving_process_is_stopped_and_its_job_fails(hub, server, visitor, kind, action):
    code, message = ACTIONS[action]
    repo = f"me/{kind}-{action}"
    hub.make(repo, {"pytorch_model.bin": f"MISBEHAVE:{action}".encode()})
    job = visitor.run(kind, repo)
    assert job["state"] in ("failed", "done") and job["answer"] != "yes", job
    texts = str(job["error"]) + str(job["result"]) + job["sentence"]
    assert message in texts and "\x1b" not in texts, job
    assert action == "error" or "pytorch_model.bin" in texts, job
    assert job["error"] is None or job["error"]["code"] in (code, "failed"), job
    assert visitor.get("/healthz").status == 200
    assert visitor.run("inspect", "me/healthy")["answer"] == "yes", "the next job failed"


def test_an_endless_process_is_stopped_after_the_time_limit(tmp_path, worker):
    server = PageServer(tmp_path / "data", "--worker", worker, "--job-seconds", 2)
    hub_of(server, tmp_path / "home").make("me/loop", {"pytorch_model.bin": b"MISBEHAVE:loop"})
    job = server.visitor().run("inspect", "me/loop")
    server.stop()
    assert job["state"] == "failed" and "2 seconds" in job["error"]["message"], job


def test_an_endless_process_can_be_cancelled(hub, server, visitor):
    hub.make("me/loops", {"pytorch_model.bin": b"MISBEHAVE:loop"})
    job = visitor.start("convert", "me/loops", pull_request=False)
    while visitor.get(f"/api/v1/jobs/{job}").json["state"] == "queued":
        pass
    assert visitor.post(f"/api/v1/jobs/{job}/cancel").status == 202
    assert visitor.wait(job)["state"] == "cancelled"


def test_the_metrics_count_stopped_processes(server, visitor):
    text = visitor.get("/metrics").body.decode()
    deaths = [int(line.split()[-1]) for line in text.splitlines() if "death" in line and not line.startswith("#")]
    assert deaths and deaths[0] >= len(ACTIONS) - 2, text
