"""C++ files are formatted by clang-format."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def test_clang_format_changes_nothing():
    command = ["git", "ls-files", "-z", "--", "*.h", "*.cpp"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    files = [name for name in tracked.decode().split("\0") if name]
    assert len(files) > 100
    done = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
