#!/usr/bin/env python3
"""Checks the includes of every module against docs/architecture.md. Prints `file:line: error` for each wrong include.

usage: check_layers.py [ROOT]
"""
import pathlib
import re
import sys

# Which modules a module may include beside itself. What is not listed here has no arrows yet: add it with its row.
LIBRARY = {
    "depickle/base": [],
    "depickle/formats/pickle": ["base"],
    "depickle/formats/torch": ["formats/pickle", "base"],
    "depickle/formats/safetensors": ["base"],
    "depickle/weights": ["formats/safetensors", "torch", "base"],
    "depickle/convert": ["weights", "formats/safetensors", "torch", "formats/pickle", "base"],
    "depickle/hub": ["base"],
    "depickle/repo": ["hub", "convert", "weights", "formats/safetensors", "torch", "formats/pickle", "base"],
    "depickle/sandbox": ["repo", "hub", "convert", "weights", "formats/safetensors", "torch", "formats/pickle", "base"],
}
ARROWS = {module: {f"depickle/{name}" for name in names} for module, names in LIBRARY.items()}
ARROWS |= {"server": set(LIBRARY), "cli": {"server", *LIBRARY}, "python": set(LIBRARY)}

# Third-party headers stay inside .cpp files: nobody who includes ours needs them.
THIRD_PARTY = (
    "simdjson",
    "fmt/",
    "CLI/",
    "openssl/",
    "zlib",
    "curl/",
    "boost/",
    "git2",
    "sqlite3",
    "lz4",
    "seccomp",
    "nanobind/",
)

# Headers whose job it is to own a library's handles; only their own folder sees them.
OWNERS = {
    "server/hub/store/git.h": "git2.h",
    "server/http/state.h": "boost/asio/",
    "server/http/workers.h": "boost/asio/",
    "python/src/bind.h": "nanobind/",
}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def module_of(path):
    """"depickle/base/error.h" -> "depickle/base", "cli/main.cpp" -> "cli"."""
    parts = path.split("/")
    return "/".join(parts[: 3 if parts[1] == "formats" else 2]) if parts[0] == "depickle" else parts[0]


def trouble(path, quote, included):
    """Returns what is wrong with this include of this file, or None."""
    module, target = module_of(path), module_of(included)
    if included.startswith(THIRD_PARTY):
        return (
            None
            if path.endswith(".cpp") or included.startswith(OWNERS.get(path, "\0"))
            else f"third-party header {included} outside a .cpp file"
        )
    if quote == "<":
        return f'project header {included} in angle brackets' if target in ARROWS else None
    if module not in ARROWS:
        return f"module {module} is not in the table of layers"
    if target not in ARROWS:
        return f'"{included}" is not a path from the root'
    if target != module and target not in ARROWS[module]:
        return f"{module} must not include {target} ({included})"
    return None


def check(root):
    """Returns (complaints, number of files)."""
    files = [
        path
        for top in ("depickle", "cli", "server", "python")
        for path in sorted(root.glob(f"{top}/**/*"))
        if path.suffix in (".h", ".cpp", ".inc")
    ]
    complaints = []
    for file in files:
        path = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if (match := INCLUDE.match(line)) and (what := trouble(path, *match.groups())):
                complaints.append(f"{path}:{number}: {what}")
    return complaints, len(files)


def main(root="."):
    complaints, files = check(pathlib.Path(root))
    print("\n".join(complaints or [f"{files} files keep the layers"]))
    return 1 if complaints or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
