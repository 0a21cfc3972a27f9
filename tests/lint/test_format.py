"""C++ files are formatted by clang-format; files have at most 400 lines of at most 120 columns."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
MAX_COLUMNS, MAX_LINES = 120, 400


def tracked(*patterns):
    command = ["git", "ls-files", "-z", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in names.split("\0") if name]


def test_clang_format_changes_nothing():
    files = tracked("*.h", "*.cpp")
    assert len(files) > 100
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def test_files_and_lines_are_short():
    patterns = ["*.h", "*.cpp", "*.py", "*.js", "*.css", "*.html", "*CMakeLists.txt", "*.cmake", "*.sh", "run", "test"]
    long = []
    for name in tracked(*patterns):
        if name.startswith(("fuzz/corpus/", "fuzz/found/")):
            continue
        lines = (ROOT / name).read_text().splitlines()
        long += [f"{name}:{i}" for i, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS]
        long += [f"{name}: {len(lines)} lines"] if len(lines) > MAX_LINES else []
    assert long == []
