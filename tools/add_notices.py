#!/usr/bin/env python3
"""Adds the license of each bundled library to a wheel from `auditwheel repair`, and rewrites its RECORD.

usage: add_notices.py WHEEL   (on the Debian machine that built it; the Python must have nanobind installed)

The licenses of shared libraries are the copyright files of their Debian packages and the common licenses that these
refer to. Fails if a library has no copyright file.
"""
import base64
import hashlib
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import zipfile

DOC, COMMON = pathlib.Path("/usr/share/doc"), pathlib.Path("/usr/share/common-licenses")
HEADER_ONLY = ["libcli11-dev"]  # compiled into the program


def original_name(bundled):
    """Returns the name without auditwheel's hash: "libfmt-1a2b3c4d.so.9.1.0" -> "libfmt.so.9.1.0"."""
    return re.sub(r"-[0-9a-f]{8}(?=\.)", "", pathlib.PurePath(bundled).name, count=1)


def packages_of(libraries):
    """Returns the Debian packages that installed these shared libraries."""
    command = ["dpkg-query", "-S", *(f"*/{library}" for library in libraries)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    found = {pathlib.PurePath(line.split(": ")[1]).name: line.split(":")[0] for line in lines}
    if missing := set(libraries) - found.keys():
        raise SystemExit(f"error: no Debian package installed {sorted(missing)}")
    return set(found.values())


def debian_notices(packages):
    """Returns {file name: text} of the packages' copyright files and of the common licenses that they refer to."""
    notices = {f"{package}.txt": (DOC / package / "copyright").read_text() for package in sorted(packages)}
    named = {name for text in notices.values() for name in re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", text)}
    return notices | {f"common-licenses/{name}": (COMMON / name).read_text() for name in sorted(named)}


def nanobind_notices():
    """Returns the licenses of nanobind and its robin_map, which are compiled into the extension module."""
    nanobind = importlib.metadata.distribution("nanobind")
    (license_file,) = (file for file in nanobind.files if file.name == "LICENSE")
    robin_map = nanobind.locate_file("nanobind/ext/robin_map/include/tsl/robin_map.h").read_text()
    return {"nanobind.txt": license_file.read_text(), "robin_map.txt": robin_map[:robin_map.index("*/") + 3]}


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def add(wheel, notices):
    """Rewrites the wheel with `notices` in its dist-info/licenses/bundled."""
    rewritten = wheel.with_name(f".{wheel.name}")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as new:
        (record,) = (name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
        lines = old.read(record).decode()
        for info in old.infolist():
            if info.filename != record:
                new.writestr(info, old.read(info))
        for name, text in notices.items():
            path = f"{record.removesuffix('RECORD')}licenses/bundled/{name}"
            new.writestr(path, text)
            lines += record_line(path, text.encode())
        new.writestr(record, lines)
    os.replace(rewritten, wheel)


def main(path):
    wheel = pathlib.Path(path)
    with zipfile.ZipFile(wheel) as archive:
        libraries = [original_name(name) for name in archive.namelist() if ".libs/" in name and not name.endswith("/")]
    if not libraries:
        raise SystemExit(f"error: {wheel}: no bundled libraries; run auditwheel repair first")
    packages = packages_of(libraries) | set(HEADER_ONLY)
    add(wheel, debian_notices(packages) | nanobind_notices())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
