"""The Hub applies .gitattributes and .gitignore as git does: the answers of preupload and of git are compared."""

import base64
import json
import random
import subprocess

import pytest

from wire import Repo

pytestmark = pytest.mark.hostile

PARTS = ["a", "b", "w.bin", "model", "x y", "[1]", "#x", "!x", "a*b", "very.long.name.tar.gz", "é"]
PATTERN_PARTS = [
    "*", "**", "?", "*.bin", "a*", "*b", "[a-c]", "[!a]", "[[:alpha:]]", "w.bin", "a", "b", "model", "\\#x", "\\!x",
    "*.tar.*", "x[[:space:]]y", "\\[1\\]", "a\\*b", "é", "*o*e*", "[]a]", "[a",
]


def random_pattern(rng):
    pattern = "/".join(rng.choice(PATTERN_PARTS) for _ in range(rng.choice([1, 1, 1, 2, 2, 3])))
    return rng.choice(["", "", "/"]) + pattern


def random_path(rng):
    return "/".join(rng.choice(PARTS) for _ in range(rng.randint(1, 4)))


@pytest.fixture(scope="module")
def repo(server):
    return Repo(server, "rules")


def preupload(repo, paths, ignore, attributes):
    sample = base64.b64encode(b"text").decode()
    body = {
        "files": [{"path": path, "size": 20, "sample": sample} for path in paths],
        "gitIgnore": ignore,
        "gitAttributes": attributes,
    }
    response = repo.api("POST", "{repo}/preupload/main", json.dumps(body).encode())
    assert response.status == 200, response
    files = json.loads(response.body)["files"]
    return (
        {file["path"] for file in files if file["shouldIgnore"]},
        {file["path"] for file in files if file["uploadMode"] == "lfs"},
    )


def git(folder, *arguments, stdin=""):
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=", "-c", "core.attributesFile=", *arguments],
        cwd=folder, input=stdin.encode(), capture_output=True,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("seed", range(40))
def test_the_answers_are_those_of_git(repo, tmp_path, seed):
    rng = random.Random(seed)
    paths = sorted({random_path(rng) for _ in range(40)})
    # A path cannot be a folder of another one.
    paths = [path for path in paths if not any(other.startswith(path + "/") for other in paths)]
    ignore = "".join(
        rng.choice(["", "", "!"]) + random_pattern(rng) + rng.choice(["", "", "/", "  "]) + "\n" for _ in range(6)
    )
    attributes = "".join(
        f"{random_pattern(rng)} {rng.choice(['filter=lfs -text', 'filter=lfs', '-filter', '!filter', 'text'])}\n"
        for _ in range(8)
    )
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(ignore)
    (tmp_path / ".gitattributes").write_text(attributes)
    stdin = "".join(path + "\0" for path in paths)
    ignored = set(git(tmp_path, "check-ignore", "--no-index", "-z", "--stdin", stdin=stdin))
    fields = git(tmp_path, "check-attr", "-z", "--stdin", "filter", stdin=stdin)
    lfs = {fields[at] for at in range(0, len(fields), 3) if fields[at + 2] == "lfs"}
    assert preupload(repo, paths, ignore, attributes) == (ignored, lfs), (ignore, attributes)


def test_a_request_with_too_many_patterns_is_refused(repo):
    patterns = "".join(f"*{number}*x filter=lfs\n" for number in range(150_000))
    body = {
        "files": [{"path": f"{number}.txt", "size": 1, "sample": "eA=="} for number in range(256)],
        "gitAttributes": patterns,
    }
    response = repo.api("POST", "{repo}/preupload/main", json.dumps(body).encode())
    assert (response.status, response.code) == (413, "TooLarge")
    assert "too many patterns" in response.json["error"]
