"""Runs a program with recorder.c preloaded, and reads the system calls that it has recorded."""

import pathlib
import subprocess
import typing


class Event(typing.NamedTuple):
    """A call that has succeeded.

    `call` is create, write, truncate, allocate, fsync (or fdatasync), mkdir, rename, link, symlink, unlink (or rmdir),
    or send: a message to a socket or to standard output, with its first bytes. `offset` is the new size for truncate
    and allocate.
    """

    call: str
    process: int
    path: str
    target: str
    offset: int
    data: bytes

    def __str__(self):
        message = repr(self.data) if self.call == "send" else ""
        return " ".join(filter(None, [self.call, self.path, self.target, message]))


class Recorder:
    """Records the programs that run with `environment`, as far as they change the folder `recorded`."""

    def __init__(self, folder, recorded):
        library, self.log = folder / "recorder.so", folder / "recorder.log"
        source = pathlib.Path(__file__).with_name("recorder.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        self.log.write_bytes(b"")
        self.read_bytes = 0
        self.recorded = recorded
        self.environment = {
            "LD_PRELOAD": str(library),
            "RECORDER_LOG": str(self.log),
            "RECORDED_FOLDER": str(recorded),
            "ASAN_OPTIONS": "verify_asan_link_order=0",
        }

    def new_events(self):
        """Returns the calls since the last time, in the order in which they were made.

        Their paths are relative to the recorded folder.
        """
        log, at, events = self.log.read_bytes(), self.read_bytes, []
        while at < len(log):
            end = log.index(b"\n", at)
            call, process, offset, *sizes = log[at:end].decode().split()
            at, fields = end + 1, []
            for size in map(int, sizes):
                fields.append(log[at : at + size])
                at += size
            path, target = (name.decode().removeprefix(str(self.recorded)).strip("/") for name in fields[:2])
            events.append(Event(call, int(process), path, target, int(offset), fields[2]))
        self.read_bytes = at
        return events
