"""Asking this library and the real one about the same safetensors files."""
import json
import subprocess
import sys

from program import ENVIRONMENT, PROGRAM

VERDICT = PROGRAM.with_name("safetensors_verdict")


def ask(mode, requests):
    """One answer of `safetensors_verdict MODE` for each request: a path, or what becomes a JSON object."""
    lines = [json.dumps(request) if isinstance(request, dict) else str(request) for request in requests]
    done = subprocess.run([str(VERDICT), mode], input="".join(f"{line}\n" for line in lines).encode(), capture_output=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def tensors(answer):
    """What a file holds, by name; None where it is refused."""
    if not answer["accept"]:
        return None
    return {tensor["name"]: (tensor["dtype"], tensor["shape"], tensor["sha256"]) for tensor in answer["tensors"]}


REAL = r"""
import hashlib, json, sys
import safetensors
for path in sys.stdin.read().splitlines():
    try:
        said = {n: (t["dtype"], t["shape"], hashlib.sha256(t["data"]).hexdigest()) for n, t in safetensors.deserialize(open(path, "rb").read())}
        with safetensors.safe_open(path, framework="np") as file:
            said = [said, file.metadata()]
    except safetensors.SafetensorError as error:
        said = str(error)
    print(json.dumps(said))
"""


def ask_real(paths):
    """The real library's tensors by name and its metadata, or the text of its error. In another process: it may panic."""
    done = subprocess.run([sys.executable, "-c", REAL], input="\n".join(map(str, paths)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
