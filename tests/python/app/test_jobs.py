"""The jobs of the page: plan, convert, check, merge and inspect, and their errors."""

import json
import os

import pytest
import torch

from embedded import files_of, pickled, safe, sharded_files, tied_model


class Evil:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.fixture(scope="module", autouse=True)
def models(hub):
    hub.make("me/demo", files_of(tied_model()))
    hub.make("me/code", {"pytorch_model.bin": pickled({"a": torch.ones(3), "b": Evil()})})
    hub.make("me/secret", files_of(tied_model()), private=True)
    hub.make("me/empty", {"config.json": b"{}"})
    hub.make("me/text", {"pytorch_model.bin": b"<html>not a model</html>"})


def counter(visitor, name):
    lines = visitor.get("/metrics").body.decode().splitlines()
    return next(int(line.split()[-1]) for line in lines if line.startswith(f"depickle_{name} "))


def test_plan_convert_check_and_merge(hub, server, visitor):
    hub.make("me/whole", files_of(tied_model()))
    downloaded, converted = counter(visitor, "downloaded_bytes_total"), counter(visitor, "converted_bytes_total")
    plan = visitor.run("plan", "me/whole")
    assert (plan["state"], plan["answer"], plan["result"]["outcome"]) == ("done", "yes", "planned")
    assert [file["target"] for file in plan["result"]["files"]] == ["model.safetensors"] and plan["result"][
        "read_bytes"
    ] > 0
    started = visitor.start("convert", "me/whole")
    entered = [
        data["phase"] for _, name, data in visitor.events(started) if name == "state" and data["state"] == "running"
    ]
    job = visitor.wait(started)
    assert entered[-1] == job["phases"][-1] == "pull request" and set(entered) - {""} <= set(job["phases"]), entered
    result = job["result"]
    assert (
        job["answer"] == "yes" and result["identical"] == result["tensors"] == 5 and result["revision"] == "refs/pr/1"
    )
    receipt = visitor.get(f"/api/v1/jobs/{job['id']}/receipt").json
    assert receipt["schema"] == "depickle.receipt/1"
    assert counter(visitor, "converted_bytes_total") - converted == receipt["conversions"][0]["target"]["bytes"]
    assert counter(visitor, "downloaded_bytes_total") - downloaded == result["downloaded_bytes"] > 0
    again = visitor.run("convert", "me/whole")
    assert again["answer"] == "nothing" and "#1" in again["sentence"]
    check = visitor.run("check", f"{server.url}/me/whole/discussions/1")
    assert check["answer"] == "yes" and check["result"]["mergeable"], check
    merge = f"/api/v1/jobs/{check['id']}/merge"
    assert visitor.post(merge, {"confirm": "me/whole"}).status == 403, "without a token"
    assert visitor.post(merge, {"confirm": "me/other", "token": server.token("me")}).status == 422
    assert visitor.post(merge, {"confirm": "me/whole", "token": server.token("other")}).status == 403, (
        "without write access"
    )
    merged = visitor.post(merge, {"confirm": "me/whole", "token": server.token("me")})
    assert merged.status == 200 and merged.json["commit"], merged
    assert visitor.post(merge, {"confirm": "me/whole", "token": server.token("me")}).status == 409, "twice"
    assert visitor.run("plan", "me/whole")["answer"] == "nothing"


def test_a_tampered_pull_request_is_refused(hub, server, visitor):
    tensors = tied_model()
    hub.make("me/tampered", files_of(tensors))
    tensors["h.a"] = tensors["h.a"].clone()
    tensors["h.a"][0, 0] += 1
    number = hub.pull_request("me/tampered", {"model.safetensors": safe(tensors)})
    job = visitor.run("check", "me/tampered", number=number)
    assert job["answer"] == "no" and job["result"]["verdict"] == "different" and not job["result"]["mergeable"]
    assert (
        visitor.post(f"/api/v1/jobs/{job['id']}/merge", {"confirm": "me/tampered", "token": server.token("me")}).status
        == 409
    )
    rows = visitor.get(f"/api/v1/jobs/{job['id']}/tensors?sort=verdict&filter=H.A").json
    for wrong in ("x" * 201, "a%00b", "%zz"):
        assert visitor.get(f"/api/v1/jobs/{job['id']}/tensors?filter={wrong}").status == 400, wrong
    assert rows["matched"] == 1 and rows["tensors"][0]["verdict"] == "different"


def test_a_pull_request_that_moved_after_the_check_is_not_merged(hub, server, visitor):
    tensors = tied_model()
    hub.make("me/moved", files_of(tensors))
    number = hub.pull_request("me/moved", {"model.safetensors": safe(tensors)})
    job = visitor.run("check", "me/moved", number=number)
    assert job["answer"] == "yes", job["sentence"]
    hub.commit("me/moved", {"evil.py": b"boom"}, "other", revision=f"refs/pr/{number}")
    response = visitor.post(f"/api/v1/jobs/{job['id']}/merge", {"confirm": "me/moved", "token": server.token("me")})
    assert response.status == 409 and "changed" in response.error["message"]


def test_files_for_download(hub, visitor):
    hub.make("me/shards", sharded_files())
    job = visitor.run("convert", "me/shards", pull_request=False)
    names = [file["file"] for file in job["result"]["downloads"]]
    assert names == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    path = f"/api/v1/jobs/{job['id']}/files/{names[0]}"
    whole = visitor.get(path)
    assert whole.body[8:9] == b"{" and whole.fields["Content-Disposition"].startswith("attachment")
    part = visitor.get(path, Range="bytes=8-15")
    assert part.status == 206 and part.body == whole.body[8:16]
    for wrong in ("../receipt.json", "%2e%2e/receipt.json", "..%2freceipt.json", "gone.bin"):
        assert visitor.get(f"/api/v1/jobs/{job['id']}/files/{wrong}").status == 404


def test_inspect_downloads_no_file(server, visitor):
    job = visitor.run("inspect", "me/demo")
    assert job["answer"] == "yes" and job["result"]["requests"] >= 1 and job["result"]["tensors"] == 5
    assert not list((server.data / "app/cache").glob("models--me--demo/blobs/*"))


def test_an_inspection_with_large_tables_fails(hub, visitor):
    table = {"__metadata__": {"x": "x" * 68_000_000}, "w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    header = json.dumps(table).encode()
    hub.make("me/large", {"model.safetensors": len(header).to_bytes(8, "little") + header + b"x"})
    job = visitor.run("inspect", "me/large")
    assert job["state"] == "failed" and job["error"]["code"] == "limit", job
    assert "the tables of the model are too large" in job["error"]["message"] and len(json.dumps(job)) < 10_000


def test_a_plan_contains_the_findings_of_a_pickle_with_code(visitor):
    job = visitor.run("plan", "me/code")
    scan = job["result"]["scan"]
    assert scan["verdict"] == "has-code" and any("getcwd" in finding["what"] for finding in scan["findings"])


def test_hostile_names_are_only_text(hub, visitor):
    names = ["<script>alert(1)</script>", "\x1b[31mred", 'quo"te', "%s%n", "'; DROP TABLE tensors; --"]
    hub.make("me/names", {"pytorch_model.bin": pickled({name: torch.ones(1) for name in names})})
    job = visitor.run("inspect", "me/names")
    rows = visitor.get(f"/api/v1/jobs/{job['id']}/tensors?sort=name").json["tensors"]
    assert sorted(row["name"] for row in rows) == sorted(names)
    assert visitor.get(f"/api/v1/jobs/{job['id']}/tensors?filter=%27%3B+DROP").json["matched"] == 1


def test_pages_of_the_tensor_table(hub, visitor):
    hub.make(
        "me/many",
        {"pytorch_model.bin": pickled({f"layer.{number}.w": torch.zeros(number % 7 + 1) for number in range(1000)})},
    )
    job = visitor.run("inspect", "me/many")
    table = f"/api/v1/jobs/{job['id']}/tensors"
    page = visitor.get(f"{table}?offset=990&limit=50").json
    assert (page["total"], page["matched"], len(page["tensors"])) == (1000, 1000, 10)
    largest = visitor.get(f"{table}?sort=bytes&order=desc&limit=3").json["tensors"]
    assert [row["bytes"] for row in largest] == [28, 28, 28]
    assert visitor.get(f"{table}?filter=LAYER.99").json["matched"] == 11
    for wrong in ("sort=no", "order=up", "limit=0", "limit=x", "offset=-1"):
        assert visitor.get(f"{table}?{wrong}").status == 400, wrong


@pytest.mark.parametrize(
    "kind,address,code,text",
    [
        ("plan", "me/gone", "not_found", "the repository does not exist"),
        ("convert", "me/gone", "not_found", "the repository does not exist"),
        ("plan", "me/demo@no-branch", "not_found", "revision"),
        ("plan", "me/secret", "not_found", "private"),
        ("convert", "me/secret", "not_found", "private"),
        ("inspect", "me/empty", "not_found", "weights"),
    ],
)
def test_a_failed_job_has_an_error_and_a_hint(server, visitor, kind, address, code, text):
    job = visitor.run(kind, address)
    assert job["state"] == "failed" and job["error"]["code"] == code, job
    assert text in (job["error"]["message"] + job["error"]["hint"]).lower() and job["sentence"]


@pytest.mark.parametrize(
    "body,status",
    [
        ({}, 400),
        ({"kind": "plan"}, 400),
        ({"kind": "boil", "address": "me/demo"}, 400),
        ({"kind": "plan", "address": ""}, 400),
        ({"kind": "plan", "address": "a/b/c"}, 400),
        ({"kind": "plan", "address": "me/demo", "extra": 1}, 400),
        ({"kind": "plan", "address": 7}, 400),
        ({"kind": "check", "address": "me/demo"}, 400),
        ({"kind": "plan", "address": "https://example.com/me/demo"}, 422),
        ({"kind": "plan", "address": "hf://datasets/me/demo"}, 422),
        ({"kind": "plan", "address": "me/demo", "token": "a b"}, 400),
        ([], 400),
        ({"kind": "plan", "address": "x" * 3000}, 400),
    ],
)
def test_invalid_job_requests_are_refused(visitor, body, status):
    response = visitor.post("/api/v1/jobs", body)
    assert response.status == status and response.error["message"], response.body


def test_nothing_to_convert(visitor, hub):
    assert visitor.run("convert", "me/empty")["answer"] == "nothing"
    hub.make("me/done", {"model.safetensors": safe(tied_model()), "pytorch_model.bin": pickled(tied_model())})
    job = visitor.run("plan", "me/done")
    assert job["answer"] == "nothing" and "already in safetensors format" in job["sentence"]


def test_a_file_that_is_not_a_model(visitor):
    job = visitor.run("convert", "me/text")
    assert job["state"] == "failed" and "a web page" in job["sentence"], job
    assert visitor.run("plan", "me/text")["answer"] == "no"


def test_a_private_repository_with_its_owners_token(server, visitor, hub):
    token = server.token("me")
    job = visitor.run("convert", "me/secret", token=token)
    assert job["answer"] == "yes", job
    assert hub.api().get_discussion_details("me/secret", 1).author == "me"
    assert visitor.run("plan", "me/secret", token="hf_" + "x" * 40)["error"]["code"] == "denied"


def test_tokens_are_not_stored(server, visitor, hub):
    token = server.token("other")
    hub.make("me/token", files_of(tied_model()))
    job = visitor.run("convert", "me/token", token=token)
    assert job["answer"] == "yes" and token not in json.dumps(job)
    assert token not in json.dumps(visitor.events(job["id"])) and token not in visitor.get("/api/v1/jobs").body.decode()
    for file in server.data.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes(), file


def test_a_job_that_does_not_exist(visitor):
    for path in ("", "/events", "/tensors", "/receipt", "/report", "/files/x"):
        response = visitor.get(f"/api/v1/jobs/{'a' * 20}{path}")
        assert response.status == 404 and response.error["hint"]
    assert visitor.post(f"/api/v1/jobs/{'a' * 20}/cancel").status == 404


def test_visitors_see_only_their_own_jobs(server, visitor):
    job = visitor.start("plan", "me/demo")
    visitor.wait(job)
    assert job in [one["id"] for one in visitor.get("/api/v1/jobs").json["jobs"]]
    assert job not in [one["id"] for one in server.visitor().get("/api/v1/jobs").json["jobs"]]


def test_urls_of_the_public_hub_are_opened_on_this_hub(visitor):
    job = visitor.run("plan", "https://huggingface.co/me/demo/tree/main?x=1")
    assert job["state"] == "done" and "this server's Hub" in job["sentence"]
