"""Hostile commits: each is refused with the right error and changes nothing."""

import hashlib
import json
import shutil

import pytest

from wire import Repo, Socket, commit_body, file_line, grows_by_less_than, head, lfs_line, request

pytestmark = pytest.mark.hostile

UNKNOWN_OID = "0" * 64


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def attacked(server):
    """A repository with one file. After all tests, a valid commit to it succeeds."""
    repo = Repo(server, "attacked")
    assert repo.commit(file_line("kept.txt", b"kept")).status == 200
    yield repo
    assert repo.commit(file_line("after.txt", b"after")).status == 200
    assert repo.content("after.txt").body == b"after" and repo.content("kept.txt").body == b"kept"


@pytest.fixture
def repo(attacked):
    before = attacked.head()
    yield attacked
    assert attacked.head() == before and attacked.files() == [".gitattributes", "kept.txt"], (
        "the repository was changed"
    )
    assert attacked.content("kept.txt").body == b"kept"


def refused(response, status=400, code="BadRequest"):
    assert (response.status, response.code) == (status, code), response


PATHS = [
    "",
    ".",
    "..",
    "../x",
    "a/../x",
    "a/./x",
    "/x",
    "/",
    "a//b",
    "a/",
    ".git/config",
    ".git",
    "a/.GIT/b",
    ".Git /x",
    ".git./x",
    ".git::$INDEX_ALLOCATION/x",
    "GIT~1/x",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x7f",
    "\x1b[2J",
    "x" * 10_000,
    "x" * 256,
    "/".join("x" * 5000),
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ascii(path[:20]))
def test_path_traversal_is_refused(repo, path):
    refused(repo.commit(file_line(path)))
    refused(repo.commit({"key": "copyFile", "value": {"path": path, "srcPath": "kept.txt"}}))
    refused(repo.commit(lfs_line(path, UNKNOWN_OID, 1)))
    assert repo.commit({"key": "deletedFile", "value": {"path": path}}).status == 400
    assert repo.commit({"key": "copyFile", "value": {"path": "x", "srcPath": path}}).status == 400
    asked = repo.api(
        "POST", "{repo}/preupload/main", json.dumps({"files": [{"path": path, "sample": "", "size": 1}]}).encode()
    )
    refused(asked)


def test_a_path_that_is_not_utf_8(repo):
    refused(repo.post(commit_body(file_line("PATH")).replace(b"PATH", b"\xff\xfe")))
    refused(repo.post(commit_body(file_line("PATH")).replace(b"PATH", b"\\ud800")))


@pytest.mark.parametrize(
    "lines",
    [
        [file_line("kept.txt/x")],
        [file_line("a"), file_line("a/b")],
        [file_line("a/b"), file_line("a")],
        [file_line("a/b"), {"key": "copyFile", "value": {"path": "a", "srcPath": "kept.txt"}}],
        [file_line("a/b/c"), {"key": "copyFile", "value": {"path": "x", "srcPath": "a"}}],
    ],
    ids=str,
)
def test_a_file_with_the_path_of_a_folder_is_refused(repo, lines):
    response = repo.commit(*lines)
    assert (response.status, response.code) in {(400, "BadRequest"), (404, "EntryNotFound")}, response


def test_deleting_a_missing_file_is_refused(repo):
    refused(repo.commit({"key": "deletedFile", "value": {"path": "none"}}), 404, "EntryNotFound")
    refused(repo.commit({"key": "deletedFolder", "value": {"path": "none"}}), 404, "EntryNotFound")
    refused(repo.commit({"key": "deletedFolder", "value": {"path": "kept.txt"}}), 404, "EntryNotFound")
    refused(repo.commit(file_line("new.txt"), {"key": "deletedFile", "value": {"path": "none"}}), 404, "EntryNotFound")


def test_an_lfs_object_with_a_wrong_size_or_hash_is_refused(repo):
    content = b"these are weights" * 100
    oid = sha256(content)
    refused(repo.commit(lfs_line("w.bin", oid, len(content))))
    refused(repo.upload(content, sha256(b"other")))
    refused(repo.commit(lfs_line("w.bin", sha256(b"other"), len(content))))
    batch = repo.api(
        "POST",
        f"/{repo.name}.git/info/lfs/objects/batch",
        json.dumps({"operation": "upload", "objects": [{"oid": oid, "size": 10}]}).encode(),
    ).json
    href = batch["objects"][0]["actions"]["upload"]["href"].removeprefix(repo.url)
    refused(request(repo.url, "PUT", href, content))
    refused(request(repo.url, "PUT", href, [content]), 413, "TooLarge")
    refused(request(repo.url, "PUT", href, [content[:9]]))
    refused(request(repo.url, "PUT", href.replace("size=10", f"size={len(content)}"), content), 403, "Forbidden")
    refused(request(repo.url, "PUT", href.replace(oid, sha256(b"other")), content[:10]), 403, "Forbidden")
    assert repo.upload(content, oid).status == 200
    refused(repo.commit(lfs_line("w.bin", oid, len(content) - 1)))
    refused(repo.commit(lfs_line("w.bin", oid.upper(), len(content))))
    refused(repo.commit(lfs_line("w.bin", oid[:-1], len(content))))
    refused(repo.commit(lfs_line("w.bin", "../" + oid, len(content))))
    refused(repo.commit(lfs_line(".gitattributes", oid, len(content))))


def test_an_upload_in_wrong_parts_is_refused(repo):
    content = b"parts of weights"
    oid, size = sha256(content), 150 << 20
    batch = repo.api(
        "POST",
        f"/{repo.name}.git/info/lfs/objects/batch",
        json.dumps(
            {"operation": "upload", "transfers": ["basic", "multipart"], "objects": [{"oid": oid, "size": size}]}
        ).encode(),
    ).json
    upload = batch["objects"][0]["actions"]["upload"]
    complete, first = (address.removeprefix(repo.url) for address in (upload["href"], upload["header"]["00001"]))
    assert batch["transfer"] == "multipart" and len(upload["header"]) == 6
    for number in ("0", "6", "99999999999999999999", "-1", "x"):
        refused(request(repo.url, "PUT", first.replace("/parts/1?", f"/parts/{number}?"), b"x"))
    refused(request(repo.url, "PUT", first, content))
    refused(request(repo.url, "PUT", first, (bytes(1 << 20) for _ in range(33))), 413, "TooLarge")
    refused(request(repo.url, "PUT", first.replace(f"size={size}", "size=1"), b"x"), 403, "Forbidden")
    refused(request(repo.url, "PUT", first.replace("user=me", "user=other"), b"x"), 403, "Forbidden")
    refused(request(repo.url, "PUT", first.replace("expires=1", "expires=9"), b"x"), 403, "Forbidden")
    refused(request(repo.url, "POST", complete, b"{}"))
    refused(repo.commit(lfs_line("w.bin", oid, size)))


def batch_of(repo, objects):
    body = {"operation": "upload", "transfers": ["basic", "multipart"], "objects": objects}
    return repo.api("POST", f"/{repo.name}.git/info/lfs/objects/batch", json.dumps(body).encode())


def test_a_batch_of_huge_objects_uses_little_memory(server, repo):
    objects = [{"oid": sha256(b"%d" % number), "size": 199_000_000_000} for number in range(257)]
    refused(batch_of(repo, objects), 413, "TooLarge")
    fitting = shutil.disk_usage(server.data).free // 400
    for size, has_space in ((199_000_000_000, False), (fitting, True)):
        objects = [one | {"size": size} for one in objects[:256]]
        with grows_by_less_than(server.process, 48 << 20):
            answers = batch_of(repo, objects).json["objects"]
        assert [answer["oid"] for answer in answers] == [one["oid"] for one in objects]
        assert {"actions" in answer for answer in answers} == {has_space}
        assert has_space or {answer["error"]["code"] for answer in answers} == {507}


def test_the_hash_does_not_give_access_to_another_users_object(server, repo):
    secret = b"private weights" * 1000
    oid = sha256(secret)
    theirs = Repo(server, f"secret-{oid[:8]}", "other", private=True)
    assert theirs.upload(secret, oid).status == 200
    assert theirs.commit(lfs_line("w.bin", oid, len(secret))).status == 200 and theirs.content("w.bin").body == secret
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(secret)}\n".encode()
    refused(repo.commit(lfs_line("w.bin", oid, len(secret))))
    refused(repo.commit(file_line("w.bin", pointer)))
    refused(repo.api("POST", "{repo}/commit/main?create_pr=1", commit_body(lfs_line("w.bin", oid, len(secret)))))
    objects = {"objects": [{"oid": oid, "size": len(secret)}]}
    batch = f"/{repo.name}.git/info/lfs/objects/batch"
    down = repo.api("POST", batch, json.dumps({"operation": "download"} | objects).encode()).json["objects"][0]
    assert down["error"]["code"] == 404 and "actions" not in down
    up = repo.api("POST", batch, json.dumps({"operation": "upload"} | objects).encode()).json["objects"][0]
    verify = up["actions"]["verify"]["href"].removeprefix(repo.url)
    refused(request(repo.url, "POST", verify, b"{}"), 404, "EntryNotFound")
    refused(theirs.content("w.bin", user="me"), 404, "RepoNotFound")
    refused(request(repo.url, "GET", f"/lfs/{oid}"), 403, "Forbidden")
    # A user who uploads the content gets the object.
    assert repo.upload(secret, oid).status == 200
    assert request(repo.url, "POST", verify, b"{}").status == 200


def pieces(first, piece, times):
    yield first
    for _ in range(times):
        yield piece


DELETED = json.dumps({"key": "deletedFile", "value": {"path": "x"}}).encode() + b"\n"
LONG = json.dumps({"key": "deletedFile", "value": {"path": "x" * 4000}}).encode() + b"\n"
BOMBS = {
    "a line of 300 MB": (commit_body() + b'{"key":"', b"x" * (1 << 20), 300),
    "300 MB without a line": (b"", b"x" * (1 << 20), 300),
    "a million files": (commit_body(), DELETED * 10_000, 100),
    "60 MB of names": (commit_body(), LONG * 100, 150),
    "a million empty names": (commit_body() + b'{"key":"header","value":{', b'"":0,' * 10_000, 100),
}


@pytest.mark.release
@pytest.mark.parametrize("name", BOMBS)
def test_a_huge_body_uses_little_memory(server, repo, name):
    with grows_by_less_than(server.process, 64 << 20):
        refused(repo.post(pieces(*BOMBS[name])), 413, "TooLarge")


BROKEN = {
    "an empty body": b"",
    "a missing header": commit_body(file_line("x"), header=False),
    "two headers": commit_body({"key": "header", "value": {"summary": "another"}}, file_line("x")),
    "a late header": commit_body(file_line("x"), header=False) + commit_body(),
    "a line that is not JSON": commit_body() + b"hello\n",
    "an array": commit_body() + b"[]\n",
    "a number": commit_body() + b"1\n",
    "a missing value": commit_body() + b'{"key":"file"}\n',
    "a value that is text": commit_body() + b'{"key":"file","value":"x"}\n',
    "two values on a line": commit_body()
    + b'{"key":"deletedFile","value":{"path":"kept.txt"}} {"key":"deletedFile","value":{"path":"kept.txt"}}\n',
    "an unknown key": commit_body({"key": "evil", "value": {}}),
    "deep nesting": commit_body() + b'{"key":"file","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "deep nesting without an end": commit_body() + b'{"key":"file","value":' + b'{"a":' * 100_000 + b"\n",
    "invalid Base64": commit_body() + b'{"key":"file","value":{"path":"x","content":"!!!!","encoding":"base64"}}\n',
    "truncated Base64": commit_body() + b'{"key":"file","value":{"path":"x","content":"eHh4e","encoding":"base64"}}\n',
    "padding inside": commit_body() + b'{"key":"file","value":{"path":"x","content":"eA==eA==","encoding":"base64"}}\n',
    "an unknown encoding": commit_body() + b'{"key":"file","value":{"path":"x","content":"eA==","encoding":"rot13"}}\n',
    "a missing content": commit_body() + b'{"key":"file","value":{"path":"x","encoding":"base64"}}\n',
    "two contents": commit_body()
    + b'{"key":"file","value":{"path":"x","content":"eA==","content":"eA==","encoding":"base64"}}\n',
    "an end inside a content": commit_body() + b'{"key":"file","value":{"path":"x","encoding":"base64","content":"eHh4',
    "a line break inside a content": commit_body()
    + b'{"key":"file","value":{"path":"x","encoding":"base64","content":"eHh4\neHh4"}}\n',
    "an end inside a line": commit_body(file_line("x"))[:-20],
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_invalid_body_is_refused(repo, name):
    refused(repo.post(BROKEN[name]))


def test_a_connection_dropped_in_the_middle_commits_nothing(repo):
    body = commit_body(file_line("x", b"y" * 100_000), {"key": "deletedFile", "value": {"path": "kept.txt"}})
    for lines in ([f"Content-Length: {len(body)}"], ["Transfer-Encoding: chunked"]):
        for sent in (body[:-1], body[: len(body) // 2], b""):
            with Socket(repo.url) as socket:
                socket.send(
                    head(
                        "POST",
                        f"/api/models/{repo.name}/commit/main",
                        *lines,
                        f"Authorization: Bearer {repo.server.token('me')}",
                    )
                )
                socket.send(b"%x\r\n" % len(body) + sent if "chunked" in lines[0] else sent)


def test_a_wrong_parent_or_revision_is_refused(repo):
    refused(
        repo.commit(file_line("x"), parentCommit=repo.api("GET", "{repo}/commits/main").json[1]["id"]),
        412,
        "PreconditionFailed",
    )
    refused(repo.commit(file_line("x"), parentCommit="f" * 40), 412, "PreconditionFailed")
    refused(repo.commit(file_line("x"), parentCommit="../main"), 412, "PreconditionFailed")
    refused(repo.commit(file_line("x"), revision="none"), 404, "RevisionNotFound")
    refused(repo.commit(file_line("x"), revision="refs%2Fpr%2F99"), 404, "RevisionNotFound")
    for revision in ("refs%2Fheads%2F..%2F..%2Fx", "..%2Fmain", "main%0A", "main.lock", "-", "%40%7B1%7D", repo.head()):
        refused(repo.commit(file_line("x"), revision=revision), 404, "RevisionNotFound")


def test_writing_without_permission_is_refused(server, repo):
    body, target = commit_body(file_line("x")), f"/api/models/{repo.name}/commit/main"
    server.token("reader", "--read-only")
    mine = Repo(server, "mine", "other")
    refused(request(repo.url, "POST", target, body), 401, "Unauthorized")
    wrong = request(repo.url, "POST", target, body, "hf_wrong")
    assert wrong.status == 401 and wrong.fields["X-Error-Message"] == "Invalid credentials in Authorization header"
    assert request(repo.url, "POST", target, body, Authorization="Basic !!!").status == 401
    assert request(repo.url, "POST", target, body, server.token("me") + "x").status == 401
    refused(repo.post(body, user="reader"), 403, "Forbidden")
    refused(repo.post(body, user="other"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/commit/main?create_pr=1", body, "reader"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/branch/x", b"{}", "other"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/tag/main", b'{"tag":"x"}', "other"), 403, "Forbidden")
    refused(repo.api("PUT", "{repo}/settings", b'{"private":true}', "other"), 403, "Forbidden")
    refused(
        repo.api("DELETE", "/api/repos/delete", json.dumps({"name": repo.name}).encode(), "other"), 403, "Forbidden"
    )
    refused(
        repo.api(
            "POST", "/api/repos/move", json.dumps({"fromRepo": repo.name, "toRepo": "other/taken"}).encode(), "other"
        ),
        403,
        "Forbidden",
    )
    refused(
        repo.api(
            "POST", "/api/repos/move", json.dumps({"fromRepo": mine.name, "toRepo": "me/given"}).encode(), "other"
        ),
        403,
        "Forbidden",
    )
    refused(repo.api("POST", "/api/repos/create", b'{"name":"me/planted"}', "other"), 403, "Forbidden")


def test_another_users_pull_request_cannot_be_changed(server):
    server.token("third")
    repo = Repo(server, "pulled")
    opened = repo.api("POST", "{repo}/commit/main?create_pr=1", commit_body(file_line("x")), "other")
    assert opened.status == 200 and opened.json["pullRequestUrl"].endswith("/discussions/1")
    refused(repo.commit(file_line("evil.txt"), revision="refs%2Fpr%2F1", user="third"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/discussions/1/status", b'{"status":"closed"}', "third"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/discussions/1/title", b'{"title":"evil"}', "third"), 403, "Forbidden")
    refused(repo.api("POST", "{repo}/discussions/1/merge", b"", "other"), 403, "Forbidden")
    assert repo.commit(file_line("more.txt"), revision="refs%2Fpr%2F1", user="other").status == 200
    assert repo.commit(file_line("review.txt"), revision="refs%2Fpr%2F1", user="me").status == 200
    assert repo.files("refs%2Fpr%2F1") == [".gitattributes", "more.txt", "review.txt", "x"]
    # A pull request number with a suffix is not a number.
    assert repo.commit(file_line("evil.txt"), revision="refs%2Fpr%2F1x", user="other").status == 404
