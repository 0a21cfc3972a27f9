"""A Hub for tests, and helpers for tests of repositories."""

import io
import json
import subprocess
import urllib.request

import pytest
import torch
from safetensors.torch import save

import embedded_hub
from program import PROGRAM


class Hub(embedded_hub.Hub):
    def __init__(self, server, home):
        super().__init__(server, home)
        self.made = set()

    @property
    def endpoint(self):
        return self.url

    def run(self, *arguments, user="me", **more):
        """Runs `depickle ARGUMENTS…` as a user (None: anonymous), and asserts that it prints no token."""
        done = self.depickle(*arguments, user=user, **more)
        assert not any(token in done.out + done.err for token in self.server.tokens.values())
        return done

    def start(self, *arguments, user="me"):
        return subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(user),
        )

    def api(self, user="me"):
        """Returns a client of huggingface_hub for a user (None: anonymous)."""
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        return HfApi(endpoint=self.endpoint, token=user is not None and self.server.token(user))

    def make(self, repo, files, **options):
        """Creates a repository with these files on main, with huggingface_hub."""
        self.api().create_repo(repo, **options)
        self.made.add(repo)
        return self.commit(repo, files)

    def upload(self, repo, folder):
        """Creates a repository with the files of a folder, with huggingface_hub."""
        self.api().create_repo(repo)
        self.made.add(repo)
        self.api().upload_folder(repo_id=repo, folder_path=folder)

    def delete_made(self):
        """Deletes the repositories of make() and upload(), so that the next test can create one with the same name."""
        for repo in self.made:
            self.api().delete_repo(repo)
        self.made.clear()

    def commit(self, repo, files, user="me", title="change", description=None, delete=(), **options):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations = [CommitOperationAdd(path, content) for path, content in files.items()] + [
            CommitOperationDelete(path) for path in delete
        ]
        return self.api(user).create_commit(
            repo, operations, commit_message=title, commit_description=description, **options
        )

    def pull_request(self, repo, files, user="other", **options):
        return int(self.commit(repo, files, user, create_pr=True, **options).pr_num)

    def open_requests(self, repo):
        return [
            request.num
            for request in self.api().get_repo_discussions(
                repo, discussion_type="pull_request", discussion_status="open"
            )
        ]

    def metric(self, name):
        """Returns a counter of the server's /metrics."""
        with urllib.request.urlopen(f"{self.endpoint}/metrics", timeout=60) as response:
            lines = response.read().decode().splitlines()
        values = [float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
        assert values, f"/metrics has no {name}"
        return sum(values)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = embedded_hub.Server(tmp_path_factory.mktemp("server") / "hub")
    server.token("other")
    yield server
    server.stop()


@pytest.fixture
def hub(server, tmp_path):
    """The Hub without repositories of earlier tests, and a client with an empty cache."""
    hub = Hub(server, tmp_path / "home")
    yield hub
    hub.delete_made()


def pickled(tensors):
    data = io.BytesIO()
    torch.save(tensors, data)
    return data.getvalue()


def tied_model():
    """Returns tensors with a tied pair: lm_head.weight is wte.weight."""
    embedding = torch.randn(20, 10)
    return {
        "wte.weight": embedding,
        "lm_head.weight": embedding,
        "h.a": torch.randn(8, 8),
        "h.b": torch.randn(8, 8),
        "steps": torch.tensor(3),
    }


def safe(tensors, alias="wte.weight"):
    """Returns the correct safetensors file of tied_model()."""
    kept = {name: tensor.contiguous() for name, tensor in tensors.items() if name != "lm_head.weight"}
    return save(kept, {"format": "pt"} | ({"lm_head.weight": alias} if alias else {}))


def files_of(tensors):
    return {"config.json": b"{}", "pytorch_model.bin": pickled(tensors), "optimizer.pt": pickled({"state": {}})}


def sharded_files():
    shards = {
        f"pytorch_model-0000{number}-of-00002.bin": pickled({name: torch.randn(3)})
        for number, name in ((1, "a"), (2, "b"))
    }
    index = {
        "metadata": {"total_size": 24},
        "weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"},
    }
    return shards | {"config.json": b"{}", "pytorch_model.bin.index.json": json.dumps(index).encode()}
