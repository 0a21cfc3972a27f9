"""Steps that change the embedded Hub, each in one acknowledged change, and what a client reads from it."""

import hashlib
import hmac
import http.client
import json
import os
import random
import subprocess
import tempfile
import time

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants

from wire import address, bearer, commit_body, lfs_line, request

REPO = "me/model"
PART_BYTES = 100_000
STEPS = {}


def step(function):
    STEPS[function.__name__] = function
    return function


def some_bytes(count, seed):
    return random.Random(seed).randbytes(count)


class Work:
    """A server and its clients."""

    def __init__(self, server):
        self.server = server

    @property
    def api(self):
        return HfApi(endpoint=self.server.url, token=self.server.token("me"))

    def commit(self, files, delete=(), **options):
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        operations += [CommitOperationDelete(path) for path in delete]
        return self.api.create_commit(REPO, operations, commit_message="a commit", **options)

    def number(self, title):
        """Returns the number of a discussion. A request that failed may have used up a number."""
        return next(one.num for one in self.api.get_repo_discussions(REPO) if one.title == title)

    def part_address(self, content, target):
        """Returns an address for an upload in parts, signed as the batch endpoint does for files of 100 MB and more."""
        oid, expires = hashlib.sha256(content).hexdigest(), int(time.time()) + 1000
        ticket = f"parts\n{oid}\n{len(content)}\n{PART_BYTES}\nme\n\n{expires}"
        signature = hmac.new((self.server.data / "signing.key").read_bytes(), ticket.encode(), "sha256").hexdigest()
        query = f"action=parts&size={len(content)}&chunk={PART_BYTES}&user=me&repo=&expires={expires}"
        return f"/lfs/{oid}/{target}?{query}&signature={signature}"

    def send_part(self, content, number):
        part = content[(number - 1) * PART_BYTES : number * PART_BYTES]
        done = request(self.server.url, "PUT", self.part_address(content, f"parts/{number}"), part)
        assert done.status == 200, done

    def complete(self, content):
        return request(self.server.url, "POST", self.part_address(content, "complete"))


@step
def create_repository(work):
    work.api.create_repo(REPO)


@step
def commit_files(work):
    work.commit({"config.json": b"{}", "a/b/c.txt": b"deep", "README.md": b"# A model"})


@step
def upload_with_xet(work):
    work.commit({"xet.bin": some_bytes(300_000, 1)})


@step
def upload_with_lfs(work):
    before, constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_XET, True
    try:
        work.commit({"lfs.bin": some_bytes(300_000, 2)})
    finally:
        constants.HF_HUB_DISABLE_XET = before


@step
def upload_in_parts(work):
    content = some_bytes(250_000, 3)
    if work.complete(content).status != 200:  # like a client that did not receive the last reply
        for number in (2, 1, 3):
            work.send_part(content, number)
        assert work.complete(content).status == 200
    body = commit_body(lfs_line("parts.bin", hashlib.sha256(content).hexdigest(), len(content)))
    done = request(work.server.url, "POST", f"/api/models/{REPO}/commit/main", body, work.server.token("me"))
    assert done.status == 200, done


@step
def create_branch(work):
    work.api.create_branch(REPO, branch="topic/one")


@step
def commit_to_branch(work):
    work.commit({"topic.txt": b"topic"}, revision="topic/one")


@step
def create_tag(work):
    work.api.create_tag(REPO, tag="v1", tag_message="the first")


@step
def create_lightweight_tag(work):
    work.api.create_tag(REPO, tag="light/v1")


@step
def open_draft(work):
    work.api.create_pull_request(REPO, title="a draft")


@step
def commit_to_draft(work):
    work.commit({"draft.txt": b"draft"}, revision=f"refs/pr/{work.number('a draft')}")


@step
def merge_draft(work):
    work.api.merge_pull_request(REPO, work.number("a draft"))


@step
def commit_as_pull_request(work):
    work.commit({"pull.bin": some_bytes(5_000, 4)}, create_pr=True)


@step
def merge_pull_request(work):
    work.api.merge_pull_request(REPO, work.number("a commit"))


@step
def create_discussion(work):
    work.api.create_discussion(REPO, title="a question", description="why?")


@step
def comment(work):
    work.api.comment_discussion(REPO, work.number("a question"), "because")


@step
def close_discussion(work):
    work.api.change_discussion_status(REPO, work.number("a question"), "closed")


@step
def add_user(work):
    work.server.token("other")


@step
def delete_files(work):
    work.commit({}, delete=["a/b/c.txt", "lfs.bin"])


@step
def delete_tag(work):
    work.api.delete_tag(REPO, tag="light/v1")


@step
def delete_branch(work):
    work.api.delete_branch(REPO, branch="topic/one")


@step
def make_private(work):
    work.api.update_repo_settings(REPO, private=True)


@step
def create_second_repository(work):
    work.api.create_repo("me/second", repo_type="model")


@step
def move_repository(work):
    work.api.move_repo("me/second", "me/moved")


@step
def delete_repository(work):
    work.api.delete_repo("me/moved")


@step
def make_public(work):
    work.api.update_repo_settings(REPO, private=False)


@step
def clone_with_git(work):
    environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_LFS_SKIP_SMUDGE": "1"}
    with tempfile.TemporaryDirectory() as clone:
        subprocess.run(["git", "clone", "-q", f"{work.server.url}/{REPO}", clone], check=True, env=environment)
        push = ["git", "-C", clone, "push", "-q", "origin", "HEAD:pushed"]
        assert subprocess.run(push, env=environment).returncode != 0, "the Hub does not accept a push"


@step
def restart_with_old_parts(work):
    """The restart empties SQLite's WAL into the database and removes parts that are older than a week."""
    content = some_bytes(250_000, 5)
    work.send_part(content, 1)
    path = work.server.data / "parts/me" / hashlib.sha256(content).hexdigest()
    os.utime(path, (0, 0))
    work.server.stop()
    work.server.options = [option for option in work.server.options if option != "--no-gc"]
    work.server.start()
    end = time.monotonic() + 20
    while path.exists():  # the server deletes it while it serves
        assert time.monotonic() < end
        time.sleep(0.01)


@step
def commit_after_restart(work):
    work.commit({"last.txt": b"last"})


class Reader:
    def __init__(self, server, user):
        self.connection, self.token = http.client.HTTPConnection(*address(server.url), timeout=60), server.tokens[user]

    def __call__(self, target):
        self.connection.request("GET", target, headers=bearer(self.token))
        response = self.connection.getresponse()
        return response.status, response.read()

    def json(self, target):
        status, body = self(target)
        assert status == 200, f"{target}: {status} {body}"
        return json.loads(body)


def read_repository(read, repo):
    refs, files = read.json(f"/api/models/{repo}/refs?include_prs=1"), {}
    for commit in {ref["targetCommit"] for group in refs.values() for ref in group}:
        for file in read.json(f"/api/models/{repo}/tree/{commit}?recursive=true"):
            if file["type"] == "file" and file["oid"] not in files:
                status, body = read(f"/{repo}/resolve/{commit}/{file['path']}")
                assert status == 200, f"{file['path']}: {status} {body}"
                files[file["oid"]] = sha256 = hashlib.sha256(body).hexdigest()
                assert file.get("lfs", {}).get("oid", sha256) == sha256, f"{file['path']} has a wrong content"
    numbers = [one["num"] for one in read.json(f"/api/models/{repo}/discussions")["discussions"]]
    discussions = [read.json(f"/api/models/{repo}/discussions/{number}") for number in numbers]
    for event in (event for discussion in discussions for event in discussion["events"]):
        del event["id"], event["createdAt"]  # new if the server completes an interrupted merge
    return {"refs": refs, "files": files, "discussions": discussions}


def read_everything(server):
    """Returns what the users can read from the server, and asserts that each file is complete."""
    users = [user for user in server.tokens if Reader(server, user)("/api/whoami-v2")[0] == 200]
    if "me" not in users:
        return {"users": users}
    read = Reader(server, "me")
    repos = {repo["id"]: repo["private"] for repo in read.json("/api/models?limit=100")}
    return {"users": users, "private": repos, "repositories": {repo: read_repository(read, repo) for repo in repos}}
