"""C++ files are formatted by clang-format; lines of every language have at most 120 columns."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
MAX_COLUMNS = 120


def tracked(*patterns):
    command = ["git", "ls-files", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in names.split("\0") if name]


def test_clang_format_changes_nothing():
    files = tracked("*.h", "*.cpp")
    assert len(files) > 100
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def test_lines_are_short():
    patterns = ["*.h", "*.cpp", "*.py", "*.js", "*.css", "*.html", "*CMakeLists.txt", "*.cmake", "*.sh", "run", "test"]
    long = []
    for name in tracked(*patterns):
        if name.startswith(("fuzz/corpus/", "fuzz/found/")):
            continue
        lines = (ROOT / name).read_text().split("\n")
        long += [f"{name}:{i}" for i, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS]
    assert long == []
