"""The wheel that is built from the source distribution, and an installation of the wheel.

DEPICKLE_WHEEL_BUILD_DIR names a folder that keeps sources and build, so that the next run builds only what changed.
"""

import email
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy
import pytest

from distributions import ROOT, VERSION, build_sdist, call

pytestmark = pytest.mark.large

TOOLS = os.environ | {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}

MAX_WHEEL_BYTES = 10_000_000
# System libraries that manylinux permits. A wheel must contain all others.
SYSTEM_LIBRARIES = {
    "ld-linux-x86-64",
    "libc",
    "libdl",
    "libgcc_s",
    "libm",
    "libpthread",
    "libresolv",
    "librt",
    "libstdc++",
    "libz",
    "linux-vdso",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def sdist(folder):
    return build_sdist(folder / "sdist")


def unpack(archive, target):
    """Keeps unchanged files with their times, so that only changed files are compiled again."""
    with tarfile.open(archive) as tar:
        files = {member.name.partition("/")[2]: tar.extractfile(member).read() for member in tar if member.isfile()}
    for path in [path for path in target.rglob("*") if path.is_file() and path.relative_to(target).parts[0] != "build"]:
        if str(path.relative_to(target)) not in files:
            path.unlink()
    for name, content in files.items():
        path = target / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def built(sdist, folder):
    """The wheel as the source distribution builds it; relative paths are those of build/release, which helps ccache."""
    source = pathlib.Path(os.environ.get("DEPICKLE_WHEEL_BUILD_DIR", folder / "source")).absolute()
    unpack(sdist, source)
    build = source / "build/release"
    options = ("--no-build-isolation", "--no-deps", "-w", folder / "built", "-C", f"build-dir={build}")
    call(sys.executable, "-m", "pip", "wheel", source, *options, env=TOOLS)
    (found,) = (folder / "built").iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(built, folder):
    """The wheel with its libraries and their licenses, as it is published."""
    call(sys.executable, "-m", "auditwheel", "repair", built, "--strip", "-w", folder / "repaired", env=TOOLS)
    (found,) = (folder / "repaired").iterdir()
    call(sys.executable, ROOT / "tools/add_notices.py", found)
    return found


@pytest.fixture(scope="module")
def installed(wheel, folder):
    """The folder `bin` of a new environment that contains only the wheel."""
    call(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    pip = (sys.executable, "-m", "pip", "--python", folder / "venv/bin/python")
    call(*pip, "install", "--no-deps", "--no-index", wheel)
    return folder / "venv/bin"


def python(installed, code, *arguments, **environment):
    removed = ("PYTHON", "DEPICKLE", "LD_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    return call(installed / "python", "-c", code, *arguments, env=inherited | environment, cwd="/")


def test_size_and_metadata_of_the_wheel(wheel):
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = archive.read(f"depickle-{VERSION}.dist-info/METADATA").decode()
    metadata = email.message_from_string(text)
    assert metadata["Name"] == "depickle" and metadata["Version"] == VERSION and metadata["Requires-Python"] == ">=3.10"
    assert all("extra ==" in need for need in metadata.get_all("Requires-Dist"))  # all optional
    assert {name.split("/")[0] for name in names} <= {"depickle", "depickle.libs", f"depickle-{VERSION}.dist-info"}
    assert "manylinux" in wheel.name and not [name for name in names if "__pycache__" in name or name.endswith(".h")]
    assert {"depickle/py.typed", "depickle/__init__.pyi", "depickle/bin/depickle"} <= set(names)
    sources = (ROOT / "python/depickle").rglob("*.py")
    assert {f"depickle/{path.relative_to(ROOT / 'python/depickle')}" for path in sources} <= set(names)


def test_the_wheel_contains_the_license_of_each_library(wheel):
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if ".libs/" in name]
        record = archive.read(f"depickle-{VERSION}.dist-info/RECORD").decode()
        folder = f"depickle-{VERSION}.dist-info/licenses/"
        notices = {
            name.removeprefix(folder): archive.read(name).decode()
            for name in archive.namelist()
            if name.startswith(folder) and not name.endswith("/")
        }
    assert "Apache License" in notices["LICENSE"] and "The depickle authors" in notices["NOTICE"]
    expected = ["libcurl4", "libssl3", "libfmt9", "libsimdjson14", "libcli11-dev", "nanobind", "robin_map"]
    assert [name for name in expected if f"bundled/{name}.txt" not in notices] == []
    assert len([name for name in notices if name.endswith(".txt")]) > len(libraries) // 2
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in notices["bundled/common-licenses/LGPL-3"]
    assert all(len(text) > 100 and f"{folder}{name},sha256=" in record for name, text in notices.items())


def test_the_wheel_contains_no_library_of_the_server(wheel):
    with zipfile.ZipFile(wheel) as archive:
        libraries = " ".join(name for name in archive.namelist() if name.startswith("depickle.libs/"))
        program = archive.read("depickle/bin/depickle")
    assert "libcurl" in libraries and not re.search("git2|sqlite|lz4|boost", libraries)
    assert b"depickle.convert/1" in program
    assert b"listening on http://" not in program and b".debug_info" not in program


def test_the_program_loads_the_libcurl_of_the_wheel(installed):
    (program,) = installed.parent.rglob("depickle/bin/depickle")
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "LD_DEBUG": "files"}
    command = [program, "inspect", "hf://org/name"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        # Stops at the line, before the program tries again to connect.
        is_loaded = any(re.search(r"calling init: \S+/depickle\.libs/libcurl", line) for line in process.stderr)
        process.kill()
    assert is_loaded


def test_the_program_runs_as_a_command_and_as_a_module(installed):
    assert call(installed / "depickle", "version").strip() == f"depickle {VERSION}"
    assert call(installed / "python", "-m", "depickle", "--version").strip() == f"depickle {VERSION}"
    done = subprocess.run([installed / "depickle", "inspect", "/gone.bin"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "gone.bin" in done.stderr


def test_a_missing_program_is_reported_in_one_line(installed, folder):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    program = package / "bin/depickle"
    program.rename(folder / "renamed")
    try:
        done = subprocess.run([installed / "depickle", "version"], capture_output=True, text=True, check=False)
    finally:
        (folder / "renamed").rename(program)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "the program is missing" in done.stderr and str(program) in done.stderr


def test_importing_the_package_loads_no_other_module(installed):
    code = "import sys; before = set(sys.modules); import depickle; print(*sorted(set(sys.modules) - before))"
    assert python(installed, code).split() == ["depickle"]
    assert python(installed, "import depickle; print(depickle.__version__)").strip() == VERSION
    python(installed, "import depickle; depickle.open, depickle.convert, depickle.forbid_pickle, depickle.safetensors")


def test_the_wheel_saves_and_loads_tensors_without_dependencies(installed, folder):
    """numpy is linked into PYTHONPATH, because the environment contains only our package."""
    numpy_folder = folder / "numpy_folder"
    numpy_folder.mkdir()
    numpy_path = pathlib.Path(numpy.__file__).parent
    for path in (numpy_path, numpy_path.with_name("numpy.libs")):
        if path.exists():
            (numpy_folder / path.name).symlink_to(path)
    code = (
        "import sys, numpy, depickle\n"
        "from depickle.safetensors.numpy import load_file, save_file\n"
        "values = {'a': numpy.arange(12, dtype='f4').reshape(3, 4), 'b': numpy.ones((2, 0), 'i8')}\n"
        "save_file(values, sys.argv[1])\n"
        "again = load_file(sys.argv[1])\n"
        "assert {k: (v.dtype, v.shape, v.tobytes()) for k, v in values.items()}"
        " == {k: (v.dtype, v.shape, v.tobytes()) for k, v in again.items()}\n"
        "assert depickle.compare(sys.argv[1], sys.argv[1]) and depickle.scan(sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n"
    )
    python(installed, code, folder / "x.safetensors", PYTHONPATH=str(numpy_folder))


def test_the_extension_does_not_link_with_network_libraries(installed):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    (extension,) = package.glob("_core*.so")
    needed = call("ldd", extension)
    assert "libfmt" in needed and "libcrypto" not in needed and "libcurl" not in needed


def test_every_library_is_in_the_wheel_or_part_of_the_system(installed):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    binaries = [package / "bin/depickle", *package.glob("_core*.so"), *package.with_name("depickle.libs").iterdir()]
    assert len(binaries) > 2
    for binary in binaries:
        for line in call("ldd", binary).splitlines():
            name, _, path = line.strip().partition(" => ")
            base = pathlib.Path(name.split()[0]).name.partition(".so")[0]
            is_bundled = str(package.parent) in path
            assert is_bundled or base in SYSTEM_LIBRARIES, f"{binary.name} needs {line.strip()}"


def test_the_sandbox_works_from_the_installed_program(installed, folder):
    """The program starts itself again, from the folder where the wheel installed it."""
    (folder / "model.bin").write_bytes(b"\x80\x02}q\x00.")
    command = [installed / "depickle", "convert", folder / "model.bin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no tensors" in done.stderr, done.stderr
    assert shutil.which("depickle", path=str(installed))
