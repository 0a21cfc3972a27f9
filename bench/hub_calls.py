"""A call that hub.py measures, in a process that imports nothing else.

`now CALL WORDS…` runs it immediately. `wait CALL WORDS…` prints "ready", waits for a line, and prints the seconds.
"""

import os
import sys
import time


def download():
    from huggingface_hub import hf_hub_download
    return hf_hub_download


def upload():
    from huggingface_hub import HfApi
    if not os.environ.get("HF_HUB_DISABLE_XET"):
        import hf_xet  # noqa: F401
    api = HfApi()
    return lambda path, repo, name: api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo)


def upload_native():
    import ctypes
    library = sys.argv[3]
    function = ctypes.CDLL(library).bench_upload

    def call(_, *words):
        if function(*(word.encode() for word in (os.environ["HF_ENDPOINT"], os.environ["HF_TOKEN"], *words))) != 0:
            raise SystemExit("error: depickle could not upload")
    return call


def main(when, name, *words):
    call = {made.__name__: made for made in (download, upload, upload_native)}[name]()
    if when == "wait":
        print("ready", flush=True)
        sys.stdin.readline()
    start = time.perf_counter()
    call(*words)
    seconds = time.perf_counter() - start
    if when == "wait":
        print(seconds)


main(*sys.argv[1:])
