"""Reads the same safetensors files with this library and with the real one."""
import json
import subprocess
import sys

from program import ENVIRONMENT, PROGRAM

VERDICT = PROGRAM.with_name("safetensors_verdict")


def ask(mode, requests):
    """Returns one answer of `safetensors_verdict MODE` for each request: a path, or a dict that is sent as JSON."""
    lines = [json.dumps(request) if isinstance(request, dict) else str(request) for request in requests]
    done = subprocess.run(
        [str(VERDICT), mode],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def tensors(answer):
    """Returns the tensors of a file by name, or None if it is refused."""
    if not answer["accept"]:
        return None
    return {tensor["name"]: (tensor["dtype"], tensor["shape"], tensor["sha256"]) for tensor in answer["tensors"]}


REAL = r"""
import hashlib, json, sys
import safetensors
for path in sys.stdin.read().splitlines():
    try:
        tensors = safetensors.deserialize(open(path, "rb").read())
        result = {n: (t["dtype"], t["shape"], hashlib.sha256(t["data"]).hexdigest()) for n, t in tensors}
        with safetensors.safe_open(path, framework="np") as file:
            result = [result, file.metadata()]
    except safetensors.SafetensorError as error:
        result = str(error)
    print(json.dumps(result))
"""


def ask_real(paths):
    """Returns the real library's tensors and metadata, or its error, for each file, from a process that may panic."""
    done = subprocess.run(
        [sys.executable, "-c", REAL], input="\n".join(map(str, paths)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
