"""Imports the modules that its arguments name, then runs the code of each request in a fork of this process.

A request is a line of JSON on stdin. The answer is a line on stdout: the exit code, or the negative number of a signal.
The server exits at the end of stdin.
"""

import gc
import importlib
import json
import os
import sys
import types


def next_request():
    """Returns a request in a child process, never in the server."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def redirect(*names):
    """Opens the files as descriptors 0, 1 and 2."""
    for target, name in enumerate(names):
        file = os.open(name, os.O_RDWR)
        os.dup2(file, target)
        os.close(file)


def run(request):
    """Runs the code as `python -c` does, but finalizes the interpreter only if the request asks for it.

    Finalization of all modules of torch takes a second.
    """
    redirect(os.devnull, request["stdout"], request["stderr"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = ""
    sys.argv = ["-c", *request["arguments"]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(request["code"], "<string>", "exec"), vars(main))
    if not request["finalizes"]:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


for name in sys.argv[1:]:
    importlib.import_module(name)
gc.freeze()  # so that the children's garbage collections do not copy the memory of these modules
run(next_request())
