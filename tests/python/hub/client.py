"""Common operations of huggingface_hub with the Hub of HF_ENDPOINT.

The tests import the names of the steps, and run this file with the Python of each client:

    python client.py REPO FOLDER   ->  one JSON object: {step: "ok" or the traceback}
"""

import json
import os
import pathlib
import sys
import traceback

STEPS = {}


def step(function):
    STEPS[function.__name__] = function
    return function


class Work:
    """The repository of the steps, and the files that they upload."""

    def __init__(self, repo, folder):
        import huggingface_hub

        self.hub, self.api = huggingface_hub, huggingface_hub.HfApi()
        self.repo, self.folder = repo, pathlib.Path(folder)
        self.content = {
            "small.txt": b"hello",
            "twelve.bin": os.urandom(12_000_000),
            "large.safetensors": os.urandom(105_000_000),  # more than the 100 MiB from which LFS sends parts
        }
        for name, content in self.content.items():
            (self.folder / name).write_bytes(content)
        tree = self.folder / "tree"
        (tree / "sub").mkdir(parents=True)
        for number in range(5):
            (tree / f"sub/{number}.txt").write_text(str(number))
        (tree / "weights.bin").write_bytes(os.urandom(1_000_000))
        (tree / "README.md").write_text("---\nlicense: mit\ntags:\n- tiny\n---\n# A model\n")

    def upload(self, name):
        return self.api.upload_file(path_or_fileobj=self.folder / name, path_in_repo=name, repo_id=self.repo)

    def content_of(self, name, **options):
        return pathlib.Path(self.hub.hf_hub_download(self.repo, name, **options)).read_bytes()

    def raises(self, name, call):
        """Asserts that a call raises this exception of huggingface_hub, and not a subclass such as GatedRepoError."""
        try:
            call()
        except getattr(self.hub.errors, name) as error:
            assert type(error).__name__ in (name, f"Remote{name}"), f"{type(error).__name__} instead of {name}"
            return
        raise AssertionError(f"{name} was not raised")


@step
def whoami(work):
    assert work.api.whoami()["name"] == work.repo.split("/")[0]


@step
def create_repo(work):
    assert str(work.api.create_repo(work.repo)).endswith(work.repo)
    assert str(work.api.create_repo(work.repo, exist_ok=True)).endswith(work.repo)
    assert work.api.repo_exists(work.repo) and not work.api.repo_exists("me/none")


@step
def upload_file_small(work):
    work.upload("small.txt")
    assert work.content_of("small.txt") == b"hello"


@step
def upload_file_12_mb(work):
    work.upload("twelve.bin")
    assert work.content_of("twelve.bin") == work.content["twelve.bin"]


@step
def upload_file_105_mb(work):
    work.upload("large.safetensors")
    assert work.content_of("large.safetensors") == work.content["large.safetensors"]


@step
def upload_an_unchanged_file(work):
    before = work.api.model_info(work.repo).sha
    work.upload("large.safetensors")
    assert work.api.model_info(work.repo).sha == before


@step
def upload_folder(work):
    work.api.upload_folder(folder_path=work.folder / "tree", repo_id=work.repo)
    assert (
        work.content_of("sub/3.txt") == b"3"
        and work.content_of("weights.bin") == (work.folder / "tree/weights.bin").read_bytes()
    )


@step
def create_commit_as_pull_request(work):
    done = work.api.create_commit(
        work.repo,
        [work.hub.CommitOperationAdd("pr.txt", b"x"), work.hub.CommitOperationAdd("pr.bin", os.urandom(2_000_000))],
        commit_message="a title",
        commit_description="why",
        create_pr=True,
    )
    assert done.pr_num == 1 and done.pr_revision == "refs/pr/1" and done.pr_url.endswith("/discussions/1")
    assert work.content_of("pr.txt", revision="refs/pr/1") == b"x" and not work.api.file_exists(work.repo, "pr.txt")


@step
def upload_folder_as_pull_request(work):
    (work.folder / "tree/more.bin").write_bytes(os.urandom(3000))
    work.api.upload_folder(folder_path=work.folder / "tree", repo_id=work.repo, create_pr=True)
    assert work.api.file_exists(work.repo, "more.bin", revision="refs/pr/2")


@step
def snapshot_download(work):
    folder = pathlib.Path(work.hub.snapshot_download(work.repo))
    assert {"README.md", "small.txt", "sub/0.txt", "weights.bin"} <= {
        path.relative_to(folder).as_posix() for path in folder.rglob("*")
    }
    assert (pathlib.Path(work.hub.snapshot_download(work.repo, revision="refs/pr/1")) / "pr.txt").read_text() == "x"


@step
def list_repo_tree(work):
    entries = {entry.path: entry for entry in work.api.list_repo_tree(work.repo, recursive=True, expand=True)}
    assert entries["twelve.bin"].size == 12_000_000 and entries["twelve.bin"].lfs.size == 12_000_000
    assert entries["small.txt"].lfs is None and entries["small.txt"].last_commit.title and "sub" in entries
    assert {entry.path for entry in work.api.list_repo_tree(work.repo, "sub", revision="refs/pr/1")} == {
        f"sub/{number}.txt" for number in range(5)
    }


@step
def get_paths_info(work):
    infos = work.api.get_paths_info(work.repo, ["twelve.bin", "sub", "none"], expand=True)
    assert sorted(info.path for info in infos) == ["sub", "twelve.bin"]


@step
def list_refs_and_commits(work):
    refs = work.api.list_repo_refs(work.repo, include_pull_requests=True)
    assert [branch.name for branch in refs.branches] == ["main"] and {"refs/pr/1", "refs/pr/2"} <= {
        request.ref for request in refs.pull_requests
    }
    commits = work.api.list_repo_commits(work.repo)
    assert commits[0].commit_id == work.api.model_info(work.repo).sha and commits[0].authors
    assert [commit.title for commit in work.api.list_repo_commits(work.repo, revision="refs/pr/1")[:2]] == [
        "a title",
        commits[0].title,
    ]


@step
def discussions(work):
    found = {found.num: found for found in work.api.get_repo_discussions(work.repo)}
    assert found[1].title == "a title" and found[1].is_pull_request and found[1].status == "open"
    details = work.api.get_discussion_details(work.repo, 1)
    assert (
        [event.type for event in details.events][:2].count("commit") == 1
        and details.target_branch == "refs/heads/main"
        and "pr.txt" in details.diff
    )
    assert work.api.comment_discussion(work.repo, 1, "a comment").content == "a comment"
    assert work.api.rename_discussion(work.repo, 1, "a better title").new_title == "a better title"
    talk = work.api.create_discussion(work.repo, title="talk", description="about it")
    assert not talk.is_pull_request and talk.num == 3
    assert work.api.change_discussion_status(work.repo, 3, "closed").new_status == "closed"


@step
def merge_pull_request(work):
    work.api.merge_pull_request(work.repo, 1)
    details = work.api.get_discussion_details(work.repo, 1)
    assert details.status == "merged" and details.merge_commit_oid == work.api.model_info(work.repo).sha
    assert work.content_of("pr.txt") == b"x"


@step
def model_info(work):
    info = work.api.model_info(work.repo, files_metadata=True, securityStatus=True)
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
    assert sizes["twelve.bin"] == 12_000_000 and info.tags and "tiny" in info.tags and info.private is False


@step
def file_system(work):
    files = work.hub.HfFileSystem()
    assert files.open(f"{work.repo}/twelve.bin").read(100) == work.content["twelve.bin"][:100]
    with files.open(f"{work.repo}/twelve.bin") as file:
        file.seek(11_000_000)
        assert file.read(10) == work.content["twelve.bin"][11_000_000:11_000_010]
    assert files.glob(f"{work.repo}/sub/*.txt") == [f"{work.repo}/sub/{number}.txt" for number in range(5)]
    assert any(name.endswith("more.bin") for name in files.ls(f"{work.repo}@refs/pr/2", detail=False))


@step
def safetensors_metadata(work):
    header = b'{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}'
    work.api.upload_file(
        path_or_fileobj=len(header).to_bytes(8, "little") + header + bytes(12),
        path_in_repo="model.safetensors",
        repo_id=work.repo,
    )
    assert work.api.get_safetensors_metadata(work.repo).parameter_count == {"F32": 3}


@step
def branches_and_tags(work):
    work.api.create_branch(work.repo, branch="feat/x")
    work.raises("HfHubHTTPError", lambda: work.api.create_branch(work.repo, branch="feat/x"))
    work.api.upload_file(path_or_fileobj=b"z", path_in_repo="z.txt", repo_id=work.repo, revision="feat/x")
    assert work.content_of("z.txt", revision="feat/x") == b"z" and not work.api.file_exists(work.repo, "z.txt")
    work.api.create_tag(work.repo, tag="v1", revision="feat/x")
    assert work.content_of("z.txt", revision="v1") == b"z"
    work.api.delete_tag(work.repo, tag="v1")
    work.api.delete_branch(work.repo, branch="feat/x")
    work.raises("RevisionNotFoundError", lambda: work.api.model_info(work.repo, revision="feat/x"))


@step
def delete_and_copy(work):
    work.api.delete_file("small.txt", work.repo)
    assert not work.api.file_exists(work.repo, "small.txt")
    work.raises("EntryNotFoundError", lambda: work.api.delete_file("small.txt", work.repo))
    copies = [
        work.hub.CommitOperationCopy("twelve.bin", "copy.bin"),
        work.hub.CommitOperationCopy("README.md", "copy.md"),
    ]
    work.api.create_commit(work.repo, copies, commit_message="copy")
    assert work.content_of("copy.bin") == work.content["twelve.bin"] and b"# A model" in work.content_of("copy.md")


@step
def commit_with_an_old_parent_is_a_conflict(work):
    old = work.api.list_repo_commits(work.repo)[1].commit_id
    work.raises(
        "HfHubHTTPError",
        lambda: work.api.create_commit(
            work.repo, [work.hub.CommitOperationAdd("late.txt", b"x")], commit_message="late", parent_commit=old
        ),
    )
    assert not work.api.file_exists(work.repo, "late.txt")


@step
def missing_items_raise_their_exceptions(work):
    work.raises("RepositoryNotFoundError", lambda: work.api.model_info("me/none"))
    work.raises("RepositoryNotFoundError", lambda: work.hub.hf_hub_download("me/none", "config.json"))
    work.raises("RevisionNotFoundError", lambda: work.api.model_info(work.repo, revision="none"))
    work.raises("RevisionNotFoundError", lambda: work.hub.hf_hub_download(work.repo, "README.md", revision="none"))
    work.raises("EntryNotFoundError", lambda: work.hub.hf_hub_download(work.repo, "none.txt"))


@step
def rename_and_delete_repo(work):
    old, new = f"{work.repo}-old", f"{work.repo}-new"
    work.api.create_repo(old)
    work.api.upload_file(path_or_fileobj=b"1", path_in_repo="a.txt", repo_id=old)
    work.api.move_repo(old, new)
    assert pathlib.Path(work.hub.hf_hub_download(old, "a.txt")).read_bytes() == b"1", "the old name must redirect"
    assert [model.id for model in work.api.list_models(search=new.split("/")[1])] == [new]
    work.api.delete_repo(new)
    work.raises("RepositoryNotFoundError", lambda: work.api.model_info(new))


@step
def private_and_gated(work):
    work.api.update_repo_settings(work.repo, private=True)
    work.api.update_repo_settings(work.repo, gated="manual")
    info = work.api.model_info(work.repo)
    assert info.private is True and info.gated == "manual"
    work.api.auth_check(work.repo)
    anonymous = work.hub.HfApi(token=False)
    work.raises("RepositoryNotFoundError", lambda: anonymous.model_info(work.repo))
    work.api.update_repo_settings(work.repo, private=False)
    work.raises(
        "GatedRepoError",
        lambda: work.hub.hf_hub_download(work.repo, "pr.txt", token=False, cache_dir=work.folder / "cache"),
    )


def main(repo, folder):
    work, outcomes = Work(repo, folder), {}
    for name, run in STEPS.items():
        try:
            run(work)
            outcomes[name] = "ok"
        except Exception:
            outcomes[name] = traceback.format_exc()[-3000:]
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
