"""Runs the embedded Hub, and real clients with it as their endpoint."""

import pathlib
import subprocess
import sys

from program import ENVIRONMENT, PROGRAM, Done

HERE = pathlib.Path(__file__).parent
PYTHON = sys.executable
CODES = {0, 1, 2, 3, 4, 75, 130}


class Server:
    """`depickle serve` on a free port, with the data folder `data`. It also answers as the host "hub"."""

    def __init__(self, data, *options, environment={}):
        self.data, self.options, self.environment = data, options, ENVIRONMENT | environment
        self.tokens = {}
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [str(PROGRAM), "serve", "--port", "0", "--name", "hub", "--data", str(self.data), *map(str, self.options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), line + self.process.stderr.read()
        self.url = line.split()[-1]

    def token(self, user, *options):
        """Returns the token of a user, who is created at the first call."""
        if user not in self.tokens:
            done = subprocess.run(
                [str(PROGRAM), "user", "add", user, "--data", str(self.data), *options],
                capture_output=True,
                text=True,
                env=self.environment,
            )
            assert done.returncode == 0, done.stderr
            self.tokens[user] = done.stdout.strip()
        return self.tokens[user]

    def stop(self):
        self.process.terminate()
        _, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0 and "Sanitizer" not in err, err


class Hub:
    """A server and a client with its own home folder, and so with its own cache."""

    def __init__(self, server, home):
        self.server, self.url, self.home = server, server.url, home

    def environment(self, user="me", **more):
        inherited = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("HF_", "HUGGING"))}
        return (
            inherited
            | {
                "HF_ENDPOINT": self.url,
                "HF_HOME": str(self.home),
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_UPDATE_CHECK": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            }
            | ({"HF_TOKEN": self.server.token(user)} if user else {})
            | more
        )

    def depickle(self, *arguments, user="me", timeout=240, prefix=(), **more):
        """Runs `depickle ARGUMENTS…` with this Hub."""
        done = subprocess.run(
            [*prefix, str(PROGRAM), *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout,
            env=self.environment(user, **more),
        )
        assert done.returncode in CODES and "Sanitizer" not in done.stderr and "runtime error:" not in done.stderr, (
            done.stderr
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def python(self, code, *arguments, python=PYTHON, user="me", timeout=240, **more):
        """Runs Python code for huggingface_hub and returns its output."""
        done = subprocess.run(
            [python, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(user, **more),
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout
