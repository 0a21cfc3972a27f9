"""Runs a peer's call in a new process: prints "ready", waits for a line, prints the seconds and MiB of the call."""

import os
import sys
import time

import torch

import machine
import upstream


def load(path):
    return torch.load(path, weights_only=True)


def convert(source, target):
    upstream.convert_file(source, target, [])


def convert_and_sync(source, target):
    """Returns after the bytes are on the disk, as depickle does."""
    convert(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())


CALLS = {call.__name__: call for call in (load, convert, convert_and_sync)}


def main(call, *words):
    print("ready", flush=True)
    sys.stdin.readline()
    before = machine.status_kib("self", "VmRSS")[0]
    start = time.perf_counter()
    kept = CALLS[call](*words)
    seconds = time.perf_counter() - start
    print(seconds, (machine.status_kib("self", "VmHWM")[0] - before) / 1024)
    del kept


main(*sys.argv[1:])
