#!/usr/bin/env python3
"""Checks the includes of every module against docs/architecture.md. Prints `file:line: error` for each wrong include.

usage: check_layers.py [ROOT]
"""
import ast
import pathlib
import re
import sys

# Which modules a module may include besides itself. Every folder with C++ files has a row.
LIBRARY = {
    "base": "",
    "os": "base",
    "formats/detect": "base",
    "formats/safetensors": "formats/detect os base",
    "formats/pickle": "base",
    "formats/zip": "os base",
    "formats/torch": "formats/detect formats/pickle formats/zip os base",
    "scan": "formats/detect formats/safetensors formats/torch formats/pickle formats/zip os base",
    "weights": "formats/detect formats/safetensors formats/torch os base",
    "convert": "scan weights formats/detect formats/safetensors os base",
    "hub": "os base",
    "repo": "hub convert scan weights formats/detect formats/safetensors os base",
    "sandbox": "repo convert os base",
}
ARROWS = {f"depickle/{module}": {f"depickle/{name}" for name in names.split()} for module, names in LIBRARY.items()}
ARROWS |= {
    "server/base": {"depickle/os", "depickle/base"},
    "server/http": {"server/base", "depickle/os", "depickle/base"},
    "server/hub/git": {"server/base", "depickle/base"},
    "server/hub/content": {"server/hub/git", "server/base", "depickle/os", "depickle/base"},
    "server/hub/repos": {"server/hub/content", "server/hub/git", "server/base", "depickle/os", "depickle/base"},
    "server/hub/api": {"server/hub/repos", "server/hub/content", "server/hub/git", "server/http", "server/base",
                       "depickle/os", "depickle/base"},
    "server/web": {"server/http"},
    "server/jobs": {"depickle/sandbox", "depickle/repo", "depickle/hub", "depickle/convert", "depickle/weights",
                    "depickle/formats/detect", "depickle/os", "depickle/base"},
    "server/page": {"server/jobs", "server/http", "server/base", "depickle/sandbox", "depickle/hub", "depickle/os",
                    "depickle/base"},
}
ARROWS["cli"] = set(ARROWS) - {"server/jobs"}
ARROWS["python/src"] = {f"depickle/{name}" for name in LIBRARY["weights"].split()} | {
    "depickle/weights", "depickle/formats/pickle"}

# The headers of a module that another module may include, if it may not include all of them. The rest of server/jobs is
# part of depickle-jobs only.
INTERFACES = {
    ("server/page", "server/jobs"): {"hub_settings.h", "messages.h", "outcome.h", "request.h"},
}

# Third-party headers are included only by .cpp files, so that users of our headers do not need them.
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
    "cmark-gfm",
    "seccomp",
    "nanobind/",
)

# Headers that own a library's handles or functions. Only .cpp files and internal headers include them.
OWNERS = {
    "depickle/hub/curl_library.h": "curl/",
    "server/hub/git/repository.h": "git2.h",
    "server/http/state.h": "boost/asio/",
    "server/http/turns.h": "boost/asio/",
    "server/http/workers.h": "boost/asio/",
    "python/src/bind.h": "nanobind/",
}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def module_of(path):
    """Returns the module of a path: "depickle/base/error.h" -> "depickle/base", "cli/main.cpp" -> "cli"."""
    parts = path.split("/")[:-1]
    nested = parts[:2] in (["depickle", "formats"], ["server", "hub"])
    return "/".join(parts[: 1 if parts[:1] == ["cli"] else 3 if nested else 2])


def include_error(path, quote, included):
    """Returns the error of an include of a file, or None."""
    module, target = module_of(path), module_of(included)
    if included.startswith(THIRD_PARTY):
        return (
            None
            if path.endswith(".cpp") or included.startswith(OWNERS.get(path, "\0"))
            else f"third-party header {included} outside a .cpp file"
        )
    if quote == "<":
        return f"project header {included} in angle brackets" if target in ARROWS else None
    if module not in ARROWS:
        return f"module {module} is not in the table of layers"
    if target not in ARROWS:
        return f'"{included}" is not a path from the root'
    if target != module and target not in ARROWS[module]:
        return f"{module} must not include {target} ({included})"
    if included.split("/")[-1] not in INTERFACES.get((module, target), {included.split("/")[-1]}):
        return f"{module} must not include {included}, which is internal to {target}"
    return None


def check(root):
    """Returns (errors, number of files)."""
    files = [
        path
        for top in ("depickle", "cli", "server", "python")
        for path in sorted(root.glob(f"{top}/**/*"))
        if path.suffix in (".h", ".cpp", ".inc")
    ]
    errors = []
    for file in files:
        path = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if (match := INCLUDE.match(line)) and (error := include_error(path, *match.groups())):
                errors.append(f"{path}:{number}: {error}")
    return errors, len(files)


def python_cycle(root):
    """Returns the modules of the Python package that import each other, in order, or [] if there is no such cycle.

    Imports inside functions also count. A module may import the package that contains it.
    """
    package = root / "python/depickle"
    imports = {}
    for file in sorted(package.glob("**/*.py")):
        name = file.relative_to(package).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        parent = name.split(".")[:-1] if file.name != "__init__.py" else name.split(".")
        found = imports.setdefault(name, set())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                base = (node.module or "").split(".")
                if node.level:
                    base = (parent if node.level == 1 else parent[: 1 - node.level]) + base
                elif base[0] == "depickle":
                    base = base[1:]
                else:
                    continue
                base = [part for part in base if part]
                found |= {".".join(base), *(".".join([*base, alias.name]) for alias in node.names)}

    def walk(name, path):
        if name in path:
            return path[path.index(name):] + [name]
        for other in sorted(imports.get(name, set()) & imports.keys()):
            if f"{name}.".startswith(f"{other}."):
                continue
            if cycle := walk(other, [*path, name]):
                return cycle
        done.add(name)
        return []

    done = set()
    for name in imports:
        if name not in done and (cycle := walk(name, [])):
            return cycle
    return []


def main(root="."):
    errors, files = check(pathlib.Path(root))
    if cycle := python_cycle(pathlib.Path(root)):
        errors.append("python/depickle: modules import each other: " + " -> ".join(cycle))
    print("\n".join(errors or [f"{files} files follow the table of layers"]))
    return 1 if errors or not files else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
