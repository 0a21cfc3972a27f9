"""Runs Python code in forks of one process that has imported libraries, which may take many seconds."""

import json
import pathlib
import select
import subprocess
import tempfile

from embedded_hub import PYTHON
from program import ROOT


class ForkServer:
    """A process that has imported `modules`. Libraries read environment variables such as HF_HOME at the import."""

    def __init__(self, *modules, environment):
        # A fork does not have the threads of its parent, so libraries must not start a pool of threads at the import.
        self.environment = environment | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [PYTHON, ROOT / "tests/python_package/fork_server.py", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def run(self, code, *arguments, timeout=300, **more):
        """Runs code with more environment variables in a fork, asserts exit code 0 and returns its output."""
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            request = {
                "code": code,
                "finalizes": False,
                "arguments": [str(argument) for argument in arguments],
                "folder": ".",
                "environment": self.environment | more,
                "stdout": out.name,
                "stderr": err.name,
            }
            print(json.dumps(request), file=self.process.stdin, flush=True)
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                self.process.kill()
                raise TimeoutError(f"the code did not end within {timeout} s")
            code = self.process.stdout.readline()
            assert code == "0\n", f"exit code {code}{pathlib.Path(err.name).read_text()[-4000:]}"
            return pathlib.Path(out.name).read_text()

    def stop(self):
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0
