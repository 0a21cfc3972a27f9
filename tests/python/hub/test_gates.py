"""Access of the owner, another user and anonymous clients to private and gated repositories.

Tested with huggingface_hub, plain HTTP and git.
"""

import base64
import json
import pathlib
import subprocess

import pytest

from program import ENVIRONMENT
from wire import Repo, file_line, request

pytestmark = pytest.mark.hostile


def calls(api, repo, sha, cache):
    """Returns calls of huggingface_hub for a repository, by name."""
    return {
        "info": lambda: api.model_info(repo),
        "info of a commit": lambda: api.model_info(repo, revision=sha),
        "tree": lambda: list(api.list_repo_tree(repo)),
        "commits": lambda: api.list_repo_commits(repo),
        "refs": lambda: api.list_repo_refs(repo),
        "paths": lambda: api.get_paths_info(repo, ["a.txt"]),
        "discussions": lambda: list(api.get_repo_discussions(repo)),
        "auth": lambda: api.auth_check(repo),
        "download": lambda: api.hf_hub_download(repo, "a.txt", cache_dir=cache),
        "download of a commit": lambda: api.hf_hub_download(repo, "a.txt", revision=sha, cache_dir=cache),
        "snapshot": lambda: api.snapshot_download(repo, cache_dir=cache),
        "upload": lambda: api.upload_file(path_or_fileobj=b"new", path_in_repo="new.txt", repo_id=repo),
        "pull request": lambda: api.upload_file(
            path_or_fileobj=b"pr", path_in_repo="pr.txt", repo_id=repo, create_pr=True
        ),
    }


NAMES = list(calls(None, None, None, None))
VISIBLE = {"info", "info of a commit", "discussions"}  # of a gated repository, as on the public Hub


def outcomes_for(hub, repo, user):
    """Returns "ok" or the name of the exception for each call.

    A user has an empty cache, because the client returns cached files to every user.
    """
    outcomes = {}
    for name, call in calls(hub.api(user), repo.name, repo.head(), hub.home / str(user)).items():
        try:
            call()
            outcomes[name] = "ok"
        except Exception as error:
            outcomes[name] = type(error).__name__
    return outcomes


def create(server, name, **settings):
    repo = Repo(server, name)
    assert repo.commit(file_line("a.txt", b"secret")).status == 200
    assert repo.api("PUT", "{repo}/settings", json.dumps(settings).encode()).status == 200
    return repo


def test_a_private_repository(server, hub):
    server.token("other")
    repo = create(server, "private", private=True)
    assert outcomes_for(hub, repo, "me") == dict.fromkeys(NAMES, "ok")
    for user in ("other", None):
        assert outcomes_for(hub, repo, user) == dict.fromkeys(NAMES, "RepositoryNotFoundError")
    # The response is the same as for a repository that does not exist.
    for target in (
        "/{0}/resolve/main/a.txt",
        "/{0}/raw/main/a.txt",
        "/api/models/{0}",
        "/api/models/{0}/tree/main",
        "/api/models/{0}/refs",
        "/api/models/{0}/commits/main",
        "/api/models/{0}/discussions",
        "/api/models/{0}/discussions/1",
        "/api/models/{0}/xet-write-token/main",
    ):
        for user in ("other", None):
            hidden, missing = (
                request(server.url, "GET", target.format(name), token=user and server.token(user))
                for name in (repo.name, "me/nothing")
            )
            assert (hidden.status, hidden.code, hidden.body) == (
                404,
                "RepoNotFound",
                missing.body,
            ) and missing.status == 404
    assert repo.name not in [
        model["id"] for model in request(server.url, "GET", "/api/models", token=server.token("other")).json
    ]
    assert repo.name not in [model["id"] for model in request(server.url, "GET", "/api/models").json]
    assert repo.name in [
        model["id"] for model in request(server.url, "GET", "/api/models", token=server.token("me")).json
    ]


WRONG_SETTINGS = [
    {"visibility": "protected"},
    {"visibility": "Private"},
    {"visibility": ""},
    {"visibility": ["private"]},
    {"visibility": True},
    {"private": "true"},
    {"private": 1},
    {"private": True, "visibility": "public"},
    {"gated": "automatic"},
    {"gated": 1},
    {"visibility": "public", "gated": "automatic"},
]


@pytest.mark.parametrize("settings", WRONG_SETTINGS, ids=json.dumps)
def test_unknown_settings_change_nothing(server, hub, settings):
    repo = create(server, f"wrong-settings-{WRONG_SETTINGS.index(settings)}", private=True, gated="manual")
    assert repo.api("PUT", "{repo}/settings", json.dumps(settings).encode()).status == 400
    info = hub.api().model_info(repo.name)
    assert info.private and info.gated == "manual"
    assert request(server.url, "GET", f"/api/models/{repo.name}").status == 404
    body = {"name": "wrong", "type": "model"} | settings
    if "gated" not in settings:
        assert repo.api("POST", "/api/repos/create", json.dumps(body).encode()).status == 400
        assert repo.api("GET", "/api/models/me/wrong").status == 404


def test_huggingface_hub_changes_the_visibility(server, hub):
    repo = create(server, "visibility", private=True)
    hub.api().create_repo("me/space", repo_type="space", space_sdk="static", private=True)
    with pytest.raises(Exception, match="visibility must be"):  # the client sends this value for spaces only
        hub.api().update_repo_settings("me/space", repo_type="space", visibility="protected")
    assert hub.api().space_info("me/space").private
    hub.api().update_repo_settings(repo.name, gated="auto")
    assert hub.api().model_info(repo.name).private
    for private in (False, True):
        hub.api().update_repo_settings(repo.name, private=private)
        assert hub.api().model_info(repo.name).private == private


def test_a_type_that_is_not_a_text_is_not_a_model(server):
    repo = create(server, "typed", private=False)
    for target, body in (
        ("/api/repos/delete", {"name": "typed", "type": 5}),
        ("/api/repos/move", {"fromRepo": repo.name, "toRepo": "me/moved", "type": ["model"]}),
        ("/api/repos/create", {"name": "x", "organization": 1}),
    ):
        method = "DELETE" if target.endswith("delete") else "POST"
        assert repo.api(method, target, json.dumps(body).encode()).status == 400, target
    assert repo.head()


@pytest.mark.parametrize("gate", ["auto", "manual"])
def test_a_gated_repository(server, hub, gate):
    server.token("other")
    repo = create(server, f"gated-{gate}", gated=gate)
    assert outcomes_for(hub, repo, "me") == dict.fromkeys(NAMES, "ok")
    for user, status in (("other", 403), (None, 401)):
        outcomes = outcomes_for(hub, repo, user)
        assert {name for name, outcome in outcomes.items() if outcome == "ok"} == VISIBLE
        assert {outcome for name, outcome in outcomes.items() if name not in VISIBLE} == {"GatedRepoError"}, outcomes
        response = request(server.url, "GET", f"/{repo.name}/resolve/main/a.txt", token=user and server.token(user))
        assert (response.status, response.code) == (status, "GatedRepo") and b"secret" not in response.body
        info = request(server.url, "GET", f"/api/models/{repo.name}", token=user and server.token(user))
        assert info.json["gated"] == gate
        assert b"+pr" in repo.api("GET", "{repo}/discussions/1?diff=1").body
        for target in ("discussions/1", "discussions/1?diff=1"):
            discussion = request(
                server.url, "GET", f"/api/models/{repo.name}/{target}", token=user and server.token(user)
            )
            assert (discussion.status, discussion.code) == (status, "GatedRepo"), "the diff is content"
            assert b"pr.txt" not in discussion.body and b"+pr" not in discussion.body


def test_a_read_only_token(server, hub):
    server.token("reader", "--read-only")
    repo = create(server, "for-readers", private=False)
    outcomes = outcomes_for(hub, repo, "reader")
    assert outcomes == dict.fromkeys(NAMES, "ok") | dict.fromkeys(["upload", "pull request"], "HfHubHTTPError")


def clone(server, repo, folder, user, name="x"):
    """Runs git clone with a user's token and without prompts."""
    url = f"{server.url}/{repo}"
    credentials = base64.b64encode(f"{name}:{server.token(user)}".encode()).decode() if user else ""
    options = (
        [
            "-c",
            f"http.extraHeader=Authorization: Basic {credentials}",
        ]
        if user
        else []
    )
    return subprocess.run(
        [
            "git",
            "-c",
            "credential.helper=",
            "-c",
            "filter.lfs.smudge=",
            "-c",
            "filter.lfs.process=",
            "-c",
            "filter.lfs.required=false",
            *options,
            "clone",
            "-q",
            url,
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        env=ENVIRONMENT | {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_LFS_SKIP_SMUDGE": "1"},
    )


@pytest.mark.parametrize("settings", [{"private": True}, {"gated": "manual"}], ids=str)
def test_git_clone(server, tmp_path, settings):
    server.token("other")
    repo = create(server, f"cloned-{next(iter(settings))}", **settings)
    for number, address in enumerate((repo.name, repo.name + ".git")):
        done = clone(server, address, tmp_path / f"mine{number}", "me")
        assert done.returncode == 0 and (tmp_path / f"mine{number}/a.txt").read_bytes() == b"secret", done.stderr
        head = subprocess.run(
            ["git", "-C", str(tmp_path / f"mine{number}"), "rev-parse", "HEAD"], capture_output=True, text=True
        )
        assert head.stdout.strip() == repo.head()
    for user in ("other", None):
        done = clone(server, repo.name, tmp_path / f"{user}", user)
        assert done.returncode == 128 and not (tmp_path / f"{user}/a.txt").exists() and "secret" not in done.stderr
    service = f"/{repo.name}.git/info/refs?service=git-upload-pack"
    anonymous = request(server.url, "GET", service)
    assert anonymous.status == 401 and anonymous.fields["WWW-Authenticate"].startswith("Basic"), (
        "git asks for a token only after this header"
    )
    theirs = request(server.url, "GET", service, token=server.token("other"))
    assert (theirs.status, theirs.code) == ((404, "RepoNotFound") if "private" in settings else (403, "GatedRepo"))
    wants = request(
        server.url,
        "POST",
        f"/{repo.name}.git/git-upload-pack",
        f"0032want {repo.head()}\n00000009done\n".encode(),
        server.token("other"),
    )
    assert (wants.status, wants.code) == (theirs.status, theirs.code)
    nothing = request(server.url, "GET", "/me/nothing.git/info/refs?service=git-upload-pack")
    assert nothing.status == 401, "the response must equal that of a private repository"


def test_git_push_is_refused(server, tmp_path):
    repo = create(server, "pushed", private=False)
    assert clone(server, repo.name, tmp_path / "mine", "me").returncode == 0
    committed, pushed = (
        subprocess.run(
            ["git", "-C", str(tmp_path / "mine"), "-c", "user.name=x", "-c", "user.email=x@x", *command],
            capture_output=True,
            text=True,
            timeout=60,
            env=ENVIRONMENT | {"GIT_TERMINAL_PROMPT": "0"},
        )
        for command in (
            ["commit", "-q", "--allow-empty", "-m", "x"],
            ["push", f"http://x:{server.token('me')}@{server.url.removeprefix('http://')}/{repo.name}", "HEAD:main"],
        )
    )
    assert committed.returncode == 0, committed.stderr
    assert pushed.returncode == 128 and "403" in pushed.stderr, pushed.stderr
    assert repo.api("GET", "{repo}/commits/main").fields["X-Total-Count"] == "2"


def test_files_named_like_those_of_git_are_plain_files(server, tmp_path):
    """Files in the work tree with names such as HEAD and hooks/post-update have no special meaning."""
    repo = create(server, "hooks", private=False)
    assert (
        repo.commit(
            file_line("hooks/post-update", f"#!/bin/sh\ntouch {tmp_path}/executed\n".encode()),
            file_line("config", b"[core]\n"),
            file_line("HEAD", b"ref: x\n"),
            file_line(".gitmodules", b'[submodule "x"]\n\tpath=x\n\turl=../secret\n'),
        ).status
        == 200
    )
    assert clone(server, repo.name, tmp_path / "mine", None).returncode == 0
    assert (tmp_path / "mine/HEAD").read_bytes() == b"ref: x\n"
    service = f"/{repo.name}/info/refs?service=git-upload-pack"
    for protocol, status in {
        f"version=2:--upload-pack=touch {tmp_path}/executed": 200,
        f"$(touch {tmp_path}/executed)": 200,
        "version=2\x01": 400,
    }.items():
        assert request(server.url, "GET", service, Git_Protocol=protocol).status == status
    assert not (tmp_path / "executed").exists()


def test_a_renamed_repository(server, hub, tmp_path):
    server.token("other")
    repo = create(server, "old-name", private=False)
    sha = repo.head()
    assert (
        repo.api(
            "POST", "/api/repos/move", json.dumps({"fromRepo": repo.name, "toRepo": "me/new-name"}).encode()
        ).status
        == 200
    )
    for old, new in (
        ("/me/old-name/resolve/main/a.txt?download=true", "/me/new-name/resolve/main/a.txt?download=true"),
        ("/api/models/me/old-name/tree/refs%2Fheads%2Fmain", "/api/models/me/new-name/tree/refs%2Fheads%2Fmain"),
        ("/me/old-name.git/info/refs?service=git-upload-pack", "/me/new-name.git/info/refs?service=git-upload-pack"),
    ):
        response = request(server.url, "GET", old)
        assert (response.status, response.fields["Location"]) == (307, new), "the redirect must be relative"
    path = pathlib.Path(hub.api().hf_hub_download("me/old-name", "a.txt", cache_dir=hub.home))
    assert path.read_text() == "secret" and str(path).count("/models--me--old-name/") == 1
    assert hub.api().model_info("me/old-name").id == "me/new-name"
    done = clone(server, "me/old-name", tmp_path / "cloned", None)
    assert done.returncode == 0 and (tmp_path / "cloned/a.txt").exists(), done.stderr
    commit = repo.commit(file_line("b.txt"))
    assert commit.status == 307 and commit.fields["Location"] == "/api/models/me/new-name/commit/main"
    # A redirect does not reveal the new name of a private repository.
    assert repo.api("PUT", "/api/models/me/new-name/settings", b'{"private":true}').status == 200
    for token in (None, server.token("other")):
        hidden = request(server.url, "GET", "/me/old-name/resolve/main/a.txt", token=token)
        assert (hidden.status, hidden.code, hidden.fields["Location"]) == (404, "RepoNotFound", None)
    # A new repository with the old name replaces the redirect.
    assert Repo(server, "old-name").head() != sha
