"""Runs the `depickle` program, and checks what all its output has in common."""
import dataclasses
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
PROGRAM = pathlib.Path(os.environ.get("DEPICKLE_BIN_DIR", ROOT / "build/release/bin")) / "depickle"
SANITIZED = PROGRAM.exists() and b"__asan_init" in PROGRAM.read_bytes()
ENVIRONMENT = os.environ | {
    "NO_COLOR": "1",
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}

YES, NO, COULD_NOT, NOTHING_TO_DO, INTERRUPTED = 0, 1, 2, 3, 130


@dataclasses.dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def run(*arguments, prefix=(), timeout=120, **options):
    """Runs `depickle ARGUMENTS…`. A crash, a sanitizer report or a timeout always fails the test."""
    command = [*map(str, prefix), str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="backslashreplace", timeout=timeout, env=ENVIRONMENT, **options
    )
    is_known = done.returncode in (YES, NO, COULD_NOT, NOTHING_TO_DO, INTERRUPTED)
    assert is_known, f"{command} ended with {done.returncode}: {done.stderr}"
    assert "Sanitizer" not in done.stderr and "runtime error:" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def start(*arguments, **options):
    """Starts the program, without waiting for its end."""
    return subprocess.Popen(
        [str(PROGRAM), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        **options,
    )


def inspect(path, *options):
    done = run("inspect", path, "--json", *options)
    assert done.code == YES, done.err
    assert done.json["schema"] == "depickle.inspect/1"
    return done.json


def scan(*paths, options=()):
    """Returns (exit code, the `files` of the report)."""
    done = run("scan", *paths, "--json", *options)
    assert done.out, done.err
    assert done.json["schema"] == "depickle.scan/1"
    assert [file["file"] for file in done.json["files"]] == [str(path) for path in paths]
    return done.code, done.json["files"]


def verdict(path):
    """Returns the verdict on one file, and checks that the exit code agrees."""
    code, (file,) = scan(path)
    assert code == {"tensors-only": YES, "has-code": NO, "unreadable": COULD_NOT}[file["verdict"]]
    return file["verdict"]


def error_line(done):
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, f"not one error line: {done.err!r}"
    return lines[0]


def assert_refused(done, path, *texts, hint=None):
    """Asserts that the program failed, with the file and `texts` in the one error line and `hint` in the hint."""
    assert done.code == COULD_NOT, (done.code, done.out, done.err)
    line = error_line(done)
    assert str(path) in line, line
    for text in texts:
        assert text.lower() in line.lower(), f"{text!r} not in {line!r}"
    if hint is not None:
        hints = [line for line in done.err.splitlines() if line.startswith("hint: ")]
        assert hints and hint.lower() in hints[0].lower(), done.err


def assert_not_converted(source, *texts, hint=None, options=()):
    """Asserts that convert refuses `source` and does not change its folder."""
    before = snapshot(source.parent)
    target = source.with_name("converted.safetensors")
    assert_refused(run("convert", source, "-o", target, *options), source, *texts, hint=hint)
    assert snapshot(source.parent) == before


def snapshot(folder):
    """Returns names, sizes and modification times of everything in a folder, hidden files too."""
    return {path.name: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.iterdir()}
