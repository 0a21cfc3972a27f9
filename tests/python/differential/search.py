"""Searches for files that `depickle scan` calls harmless although a real loader would import something.

usage: search.py [--first SEED] [--seconds N] [--save FOLDER]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cases  # noqa: E402
from program import run  # noqa: E402

BATCH = 200


def contradictions(seeds, folder):
    """Returns (path, kind, imported names) of each drawn file that scan calls harmless and a loader does not."""
    kinds = {}
    for seed in seeds:
        path = folder / f"{seed}.pt"
        kinds[path], data = cases.draw(seed)
        path.write_bytes(data)
    verdicts = {file["file"]: file["verdict"] for file in run("scan", "--json", "--no-sandbox", folder).json["files"]}
    assert len(verdicts) == len(kinds)
    oracle = subprocess.run(
        [sys.executable, HERE / "oracle.py"], input=json.dumps(list(map(str, kinds))), capture_output=True, text=True
    )
    assert oracle.returncode == 0, oracle.stderr
    imports = json.loads(oracle.stdout)
    dangerous = [path for path in kinds if imports[str(path)]]
    wrong = [(path, kinds[path], imports[str(path)]) for path in dangerous if verdicts[str(path)] == "tensors-only"]
    return wrong, len(dangerous)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--save", type=pathlib.Path, help="keep the files that were found")
    options = parser.parse_args()
    end, first, dangerous, found = time.monotonic() + options.seconds, options.first, 0, 0
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            wrong, count = contradictions(range(first, first + BATCH), pathlib.Path(folder))
            for path, kind, names in wrong:
                print(f"{path.name} ({kind}): {', '.join(names)}", flush=True)
                if options.save:
                    options.save.mkdir(parents=True, exist_ok=True)
                    (options.save / path.name).write_bytes(path.read_bytes())
        first, dangerous, found = first + BATCH, dangerous + count, found + len(wrong)
    drawn = first - options.first
    print(f"{drawn} files drawn, {dangerous} of them import something, {found} of these were called harmless")
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
