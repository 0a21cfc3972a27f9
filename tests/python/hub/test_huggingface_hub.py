"""Runs the steps of client.py with huggingface_hub 2.4 with xet, 2.4 without xet, and 0.36."""

import json
import pathlib
import subprocess

import pytest

from client import STEPS
from embedded_hub import HERE, PYTHON, Hub

OLD_PYTHON = HERE.parents[2] / "build/venv-hub036/bin/python"
CLIENTS = {
    "2.4.0 with xet": (PYTHON, {}),
    "2.4.0 without xet": (PYTHON, {"HF_HUB_DISABLE_XET": "1"}),
    "0.36.0": (OLD_PYTHON, {}),
}
NAMES = {name: "me/" + name.replace(" ", "-") for name in CLIENTS}


@pytest.fixture(scope="module")
def outcome_of(server, tmp_path_factory):
    """Returns a function: client -> outcome of each step. Each client runs once, at its first use."""
    outcomes = {}

    def run_once(name):
        if name not in outcomes:
            python, more = CLIENTS[name]
            hub = Hub(server, tmp_path_factory.mktemp("home"))
            done = subprocess.run(
                [python, HERE / "client.py", NAMES[name], tmp_path_factory.mktemp("work")],
                capture_output=True,
                text=True,
                env=hub.environment(**more),
                timeout=300,
            )
            assert done.returncode == 0, done.stderr[-4000:]
            outcomes[name] = json.loads(done.stdout)
        return outcomes[name]

    return run_once


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("client", CLIENTS)
def test_step(outcome_of, client, step):
    outcome = outcome_of(client)[step]
    assert outcome == "ok", outcome


@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_has_the_expected_version(hub, client):
    python, _ = CLIENTS[client]
    version = subprocess.run(
        [python, "-c", "import huggingface_hub; print(huggingface_hub.__version__)"], capture_output=True, text=True
    ).stdout.strip()
    assert client.split()[0] == version


def test_the_hf_command(hub, tmp_path):
    def hf(*arguments):
        done = subprocess.run(
            [pathlib.Path(PYTHON).parent / "hf", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=hub.environment(),
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "f").mkdir()
    (tmp_path / "f/config.json").write_text("{}")
    (tmp_path / "f/w.bin").write_bytes(bytes(range(256)) * 100)
    assert "user: me\n" in hf("auth", "whoami")
    hf("upload", "me/by-hf", tmp_path / "f")
    hf("download", "me/by-hf", "--local-dir", tmp_path / "back")
    assert (tmp_path / "back/w.bin").read_bytes() == (tmp_path / "f/w.bin").read_bytes()
    assert hf("models", "ls", "--search", "by-hf", "--quiet").split() == ["me/by-hf"]


def test_git_and_git_lfs_clone(hub, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f/config.json").write_text("{}")
    content = bytes(range(256)) * 5_000
    (tmp_path / "f/w.bin").write_bytes(content)
    hub.upload("me/cloned", tmp_path / "f")
    lfs = [
        "-c",
        "filter.lfs.smudge=git-lfs smudge -- %f",
        "-c",
        "filter.lfs.process=git-lfs filter-process",
        "-c",
        "filter.lfs.required=true",
    ]
    for number, address in enumerate(
        (f"{hub.url}/me/cloned", f"{hub.url}/me/cloned.git", hub.server.data / "repos/models/me/cloned.git")
    ):
        into = tmp_path / f"clone{number}"
        done = subprocess.run(
            ["git", *lfs, "clone", "-q", str(address), str(into)],
            capture_output=True,
            text=True,
            env=hub.environment(GIT_TERMINAL_PROMPT="0"),
        )
        assert done.returncode == 0, done.stderr
        assert (into / "w.bin").read_bytes() == content and (into / "config.json").read_text() == "{}"
        subprocess.run(["git", "-C", str(into), "fsck", "--strict"], check=True, capture_output=True)
