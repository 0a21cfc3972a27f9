"""A program for `serve --worker` that reads no file until a test releases it, so that jobs run as long as needed."""

import shlex

from program import PROGRAM

SCRIPT = """#!/bin/sh
while [ -e {flag} ]; do sleep 0.02; done
exec {program} worker "$1"
"""


class HeldWorker:
    """A job that starts to read a file between hold() and release() stays in the state `running`."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._flag = folder / "worker", folder / "held"
        self.path.write_text(SCRIPT.format(flag=shlex.quote(str(self._flag)), program=shlex.quote(str(PROGRAM))))
        self.path.chmod(0o755)

    def hold(self):
        self._flag.touch()

    def release(self):
        self._flag.unlink(missing_ok=True)
