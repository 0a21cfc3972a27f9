"""The package as people get it: a source distribution, the wheel that is built from it, and an installation of its own.

DEPICKLE_WHEEL_BUILD_DIR names a folder in which sources and build are kept, so that the next run builds only what changed.
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

ROOT = pathlib.Path(__file__).parents[2]
TOOLS = os.environ | {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
VERSION = re.search(r"project\(depickle VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())[1]

WHEEL_MOST_BYTES = 10_000_000
SDIST_MOST_BYTES = 1_000_000
# What manylinux lets a wheel take from the system; it must bring anything else.
OF_THE_SYSTEM = {
    "ld-linux-x86-64", "libc", "libdl", "libgcc_s", "libm", "libpthread", "libresolv", "librt", "libstdc++", "libz",
    "linux-vdso",
}


def call(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{words}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def sdist(place):
    code = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    call(sys.executable, "-c", code, place / "sdist", cwd=ROOT)
    (found,) = (place / "sdist").iterdir()
    return found


def unpack(archive, folder):
    """Unpacks the archive. Files that are equal keep their times, or everything would be built again."""
    with tarfile.open(archive) as tar:
        files = {member.name.partition("/")[2]: tar.extractfile(member).read() for member in tar if member.isfile()}
    for path in [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "build"]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def built(sdist, place):
    """The wheel as the source distribution builds it; relative paths are those of build/release, which helps ccache."""
    source = pathlib.Path(os.environ.get("DEPICKLE_WHEEL_BUILD_DIR", place / "source")).absolute()
    unpack(sdist, source)
    options = ("--no-build-isolation", "--no-deps", "-w", place / "built", "-C", f"build-dir={source / 'build/release'}")
    call(sys.executable, "-m", "pip", "wheel", source, *options, env=TOOLS)
    (found,) = (place / "built").iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(built, place):
    """The wheel with the libraries that it needs and their licenses, as it would be published."""
    call(sys.executable, "-m", "auditwheel", "repair", built, "--strip", "-w", place / "repaired", env=TOOLS)
    (found,) = (place / "repaired").iterdir()
    call(sys.executable, ROOT / "tools/add_notices.py", found)
    return found


@pytest.fixture(scope="module")
def installed(wheel, place):
    """The folder `bin` of a fresh environment that has the wheel and nothing else."""
    call(sys.executable, "-m", "venv", "--without-pip", place / "venv")
    pip = (sys.executable, "-m", "pip", "--python", place / "venv/bin/python")
    call(*pip, "install", "--no-deps", "--no-index", wheel)
    return place / "venv/bin"


def python(installed, code, *words, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEPICKLE", "LD_"))}
    return call(installed / "python", "-c", code, *words, env=kept | environment, cwd="/")


def test_the_source_distribution_holds_what_a_build_needs_and_no_more(sdist):
    with tarfile.open(sdist) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    folders, files = {"cli", "cmake", "depickle", "python"}, {"CHANGELOG.md", "CMakeLists.txt", "PKG-INFO", "README.md"}
    assert {name.split("/")[0] for name in names} == folders | files | {"LICENSE", "NOTICE", "pyproject.toml"}
    assert {"python/src/module.cpp", "python/depickle/py.typed", "cli/main.cpp", "depickle/base/error.h"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".so", ".pyc"))]
    assert sdist.name == f"depickle-{VERSION}.tar.gz" and sdist.stat().st_size < SDIST_MOST_BYTES


def test_the_wheel_is_small_and_says_what_it_is(wheel):
    assert wheel.stat().st_size < WHEEL_MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = archive.read(f"depickle-{VERSION}.dist-info/METADATA").decode()
    said = email.message_from_string(text)
    assert said["Name"] == "depickle" and said["Version"] == VERSION and said["Requires-Python"] == ">=3.10"
    assert all("extra ==" in need for need in said.get_all("Requires-Dist"))  # nothing is needed
    assert {name.split("/")[0] for name in names} <= {"depickle", "depickle.libs", f"depickle-{VERSION}.dist-info"}
    assert "manylinux" in wheel.name and not [name for name in names if "__pycache__" in name or name.endswith(".h")]
    assert {"depickle/py.typed", "depickle/__init__.pyi", "depickle/bin/depickle"} <= set(names)
    sources = (ROOT / "python/depickle").rglob("*.py")
    assert {f"depickle/{path.relative_to(ROOT / 'python/depickle')}" for path in sources} <= set(names)


def test_the_wheel_has_the_license_of_every_library_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if ".libs/" in name]
        record = archive.read(f"depickle-{VERSION}.dist-info/RECORD").decode()
        folder = f"depickle-{VERSION}.dist-info/licenses/"
        notices = {name.removeprefix(folder): archive.read(name).decode()
                   for name in archive.namelist() if name.startswith(folder) and not name.endswith("/")}
    assert "Apache License" in notices["LICENSE"] and "The depickle authors" in notices["NOTICE"]
    expected = ["libcurl4", "libssl3", "libfmt9", "libsimdjson14", "libcli11-dev", "nanobind", "robin_map"]
    assert [name for name in expected if f"bundled/{name}.txt" not in notices] == []
    assert len([name for name in notices if name.endswith(".txt")]) > len(libraries) // 2
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in notices["bundled/common-licenses/LGPL-3"]
    assert all(len(text) > 100 and f"{folder}{name},sha256=" in record for name, text in notices.items())


def test_no_library_of_the_server_weighs_on_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        libraries = " ".join(name for name in archive.namelist() if name.startswith("depickle.libs/"))
        program = archive.read("depickle/bin/depickle")
    assert not re.search("git2|sqlite|lz4|boost", libraries)
    assert b"listening on http://" not in program and b".debug_info" not in program


def test_the_program_is_on_the_path_and_in_the_module(installed):
    assert call(installed / "depickle", "version").strip() == f"depickle {VERSION}"
    assert call(installed / "python", "-m", "depickle", "--version").strip() == f"depickle {VERSION}"
    done = subprocess.run([installed / "depickle", "inspect", "/gone.bin"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "gone.bin" in done.stderr


def test_a_missing_program_is_said_in_one_line(installed, place):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    program = package / "bin/depickle"
    program.rename(place / "away")
    try:
        done = subprocess.run([installed / "depickle", "version"], capture_output=True, text=True, check=False)
    finally:
        (place / "away").rename(program)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "the program is missing" in done.stderr and str(program) in done.stderr


def test_importing_the_package_loads_nothing(installed):
    code = "import sys; before = set(sys.modules); import depickle; print(*sorted(set(sys.modules) - before))"
    assert python(installed, code).split() == ["depickle"]
    assert python(installed, "import depickle; print(depickle.__version__)").strip() == VERSION
    assert "No module named" not in python(installed, "import depickle; print([getattr(depickle, name) for name in "
                                                      "('open', 'convert', 'forbid_pickle', 'safetensors')])")


def test_tensors_go_round_through_the_wheel_alone(installed, place):
    """numpy is lent to the environment, which has no package but ours."""
    lent = place / "lent"
    lent.mkdir()
    home = pathlib.Path(numpy.__file__).parent
    for path in (home, home.with_name("numpy.libs")):
        if path.exists():
            (lent / path.name).symlink_to(path)
    code = (
        "import sys, numpy, depickle\n"
        "from depickle.safetensors.numpy import load_file, save_file\n"
        "values = {'a': numpy.arange(12, dtype='f4').reshape(3, 4), 'b': numpy.ones((2, 0), 'i8')}\n"
        "save_file(values, sys.argv[1])\n"
        "again = load_file(sys.argv[1])\n"
        "assert {k: (v.dtype, v.shape, v.tobytes()) for k, v in values.items()}"
        " == {k: (v.dtype, v.shape, v.tobytes()) for k, v in again.items()}\n"
        "assert depickle.compare(sys.argv[1], sys.argv[1]) and depickle.scan(sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n")
    python(installed, code, place / "x.safetensors", PYTHONPATH=str(lent))


def test_loading_links_with_nothing_of_the_hubs(installed):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    (extension,) = package.glob("_core*.so")
    needed = call("ldd", extension)
    assert "libfmt" in needed and "libcrypto" not in needed and "libcurl" not in needed


def test_every_library_is_the_wheels_own_or_the_systems(installed):
    package = pathlib.Path(python(installed, "import depickle; print(depickle.__path__[0])").strip())
    binaries = [package / "bin/depickle", *package.glob("_core*.so"), *package.with_name("depickle.libs").iterdir()]
    assert len(binaries) > 2
    for binary in binaries:
        for line in call("ldd", binary).splitlines():
            name, _, path = line.strip().partition(" => ")
            base = pathlib.Path(name.split()[0]).name.partition(".so")[0]
            ours = str(package.parent) in path
            assert ours or base in OF_THE_SYSTEM, f"{binary.name} needs {line.strip()}"


def test_the_sandbox_works_from_the_installed_program(installed, place):
    """The program starts itself again, out of the folder in which the wheel put it."""
    (place / "model.bin").write_bytes(b"\x80\x02}q\x00.")
    words = [installed / "depickle", "convert", place / "model.bin"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no tensors" in done.stderr, done.stderr
    assert shutil.which("depickle", path=str(installed))
