"""What the Hub acknowledges survives a power loss.

A server works for real clients while recorder.c records its system calls, and rules check their order. The result does
not depend on the file system of the test.
"""

import os
import pathlib
import shutil
import tempfile
import typing

import pytest

from disk import broken_rules
from embedded_hub import Server
from recorder import Recorder
from store_steps import STEPS, Work, read_everything


def is_scratch(path):
    """Whether a power loss may lose the file: the server empties or creates it when it starts, or SQLite needs it only
    before WAL mode.

    Parts of an upload are not synced: the SHA-256 of the whole file shows whether all of them are there.
    """
    return path.startswith(("data/tmp", "data/parts", "data/repos", "data/lock")) or (
        path.endswith((".lock", "-shm", "-journal")) or "/objects/tmp_" in path
    )


def reference(path):
    if "/refs/" in path:
        return "git refs"
    return path if path.endswith((".sqlite", ".sqlite-wal")) else None


class Step(typing.NamedTuple):
    name: str
    events: list
    before: dict  # what read_everything() returns
    after: dict


@pytest.fixture(scope="module")
def folder():
    """In memory if possible: the recorded server syncs hundreds of times."""
    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def recording(folder, tmp_path_factory):
    """Returns the steps with what they recorded, and the server after them, which is stopped."""
    recorded = folder / "recorded"
    recorded.mkdir()
    recorder = Recorder(tmp_path_factory.mktemp("recorder"), recorded)
    server = Server(recorded / "data", "--no-page", environment=recorder.environment)
    server.token("me")
    events, before, steps, work = recorder.new_events(), {"users": []}, [], Work(server)
    for name, step in [("start", None), *STEPS.items()]:
        if step:
            step(work)
            events += recorder.new_events()
        after = read_everything(server)
        steps.append(Step(name, events, before, after))
        before, events = after, recorder.new_events()
    server.stop()
    return [*steps, Step("stop", events + recorder.new_events(), before, before)], server


@pytest.fixture(scope="module")
def events(recording):
    return [event for step in recording[0] for event in step.events]


def test_the_recorder_sees_every_change(recording, events):
    _, disk = broken_rules(events, is_scratch, reference)
    assert disk.unknown == set()
    state = disk.after_power_loss(names=lambda path: True, contents=lambda path: "written")
    root = recording[1].data.parent
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
    assert {path for path in state if not path.endswith("-shm")} == {path for path in found if path[-4:] != "-shm"}
    for path, content in state.items():
        if isinstance(content, bytes) and not path.endswith("-shm"):
            assert found[path].read_bytes() == content, path


def test_what_is_acknowledged_is_durable(events):
    broken, _ = broken_rules(events, is_scratch, reference)
    assert broken == []


# A program without one of these calls to fsync must break a rule, or the rules are too weak.
SYNCED_PATHS = {
    "a git object": lambda path: "/objects/" in path and "tmp" in path,
    "a folder of git objects": lambda path: path.endswith("/objects") or "/objects/" in path and "tmp" not in path,
    "a git ref": lambda path: "/refs/" in path and path.endswith(".lock"),
    "a folder of git refs": lambda path: path.endswith("/refs") or "/refs/" in path and not path.endswith(".lock"),
    "files of a new repository": lambda path: path.endswith((".git/HEAD", ".git/config")),
    "the folder of repositories": lambda path: path == "data/git",
    "an LFS object or a xorb": lambda path: path.startswith("data/tmp/"),
    "a folder of LFS objects": lambda path: path.startswith("data/lfs"),
    "a folder of xorbs": lambda path: path.startswith("data/xorbs"),
    "the database": lambda path: path.endswith(".sqlite"),
    "the log of the database": lambda path: path.endswith("-wal"),
    "the data folder": lambda path: path == "data",
    "the parent of the data folder": lambda path: path == "",
}


@pytest.mark.parametrize("what", SYNCED_PATHS)
def test_a_missing_sync_breaks_a_rule(events, what):
    without = [event for event in events if not (event.call == "fsync" and SYNCED_PATHS[what](event.path))]
    assert len(without) < len(events), f"{what} is never synced"
    broken, _ = broken_rules(without, is_scratch, reference)
    assert broken != []
