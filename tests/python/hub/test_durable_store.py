"""What the Hub acknowledges survives a power loss.

A server works for real clients while recorder.c records its system calls. Rules check their order, and new servers are
started with what a disk may contain after a power loss. The result does not depend on the file system of the test.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing

import pytest

from disk import Disk, Link, broken_rules, is_reply
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
    # A collection that is writing while another thread replies would break rule 2.
    server = Server(recorded / "data", "--no-page", "--no-gc", environment=recorder.environment)
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


class Crash(typing.NamedTuple):
    step: str
    event: object  # the last call before the power loss
    disk: str  # a name in DISKS
    state: dict
    allowed: tuple  # what clients may read afterwards

    def __str__(self):
        return f"{self.step}: power loss after {self.event}, {self.disk}"


def is_reference(path):
    return "/refs" in path or ".sqlite" in path


# What a disk may contain after a power loss: which names and contents, of those that were written.
DISKS = {
    "only what was synced": (lambda path: False, lambda path: "synced"),
    "all names, no contents": (lambda path: True, lambda path: "synced"),
    "all names, zeros as contents": (lambda path: True, lambda path: "zeros"),
    "all names, half of the contents": (lambda path: True, lambda path: "half"),
    "only references": (is_reference, lambda path: "written" if is_reference(path) else "synced"),
    "all but references": (
        lambda path: not is_reference(path),
        lambda path: "synced" if is_reference(path) else "written",
    ),
    "everything": (lambda path: True, lambda path: "written"),
}
POINTS_PER_STEP = 4


def points(events):
    """Returns (the last reply, the events after which the power fails: some before a sync or a change of names, the
    last reply and the end)."""
    last = max((i for i, event in enumerate(events) if is_reply(event)), default=len(events) - 1)
    found = [i for i in range(len(events) - 1) if events[i + 1].call in ("fsync", "rename", "link", "unlink")]
    return last, {*found[:: max(1, len(found) // POINTS_PER_STEP)], last, len(events) - 1}


def crashes(steps):
    """Yields crashes with different contents of the disk."""
    disk, seen = Disk(), set()
    for step in steps:
        last, chosen = points(step.events)
        for i, event in enumerate(step.events):
            disk.apply(event)
            if i not in chosen:
                continue
            for name, (names, contents) in DISKS.items():
                state = disk.after_power_loss(names, contents)
                visible = (item for item in state.items() if not item[0].startswith(("data/tmp", "data/repos")))
                key = hash(tuple(visible)), step.name, i >= last
                if key not in seen:
                    seen.add(key)
                    allowed = (step.after,) if i >= last else (step.before, step.after)
                    yield Crash(step.name, event, name, state, allowed)


def restore(state, folder):
    folder.mkdir()
    for path, content in state.items():
        if isinstance(content, Link):
            (folder / path).symlink_to(content.text)
        elif content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def recover(crash, folder, tokens):
    """Starts a server after the crash. Returns what is wrong, or None."""
    restore(crash.state, folder)
    server = Server(folder / "data", "--no-page")
    server.tokens = dict(tokens)
    try:
        found = read_everything(server)
        if found not in crash.allowed:
            return f"{crash}: clients read {found}, not {crash.allowed}"
        for repository in (folder / "data/git").iterdir():
            check = ["git", "-C", repository, "fsck", "--strict", "--full", "--no-dangling", "--no-progress"]
            if problem := subprocess.run(check, capture_output=True, text=True).stderr:
                return f"{crash}: {problem}"
        if found == crash.allowed[0] and len(crash.allowed) == 2 and crash.step in STEPS:
            STEPS[crash.step](Work(server))  # the client tries again
    except Exception as problem:
        return f"{crash}: {type(problem).__name__}: {problem}"
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.large)])
def test_a_power_loss_loses_nothing_that_was_acknowledged(recording, folder, every):
    steps, server = recording
    chosen = [
        crash
        for number, crash in enumerate(crashes(steps))
        if number % every == 0 or (crash.disk == "only what was synced" and len(crash.allowed) == 1)
    ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folders = (folder / f"crash-{number}" for number in range(len(chosen)))
        problems = list(filter(None, pool.map(lambda *both: recover(*both, server.tokens), chosen, folders)))
    assert len(chosen) > 50 and problems == []
