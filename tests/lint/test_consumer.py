"""The installed library in another project, found by find_package and by pkg-config."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("DEPICKLE_BIN_DIR", ROOT / "build/release/bin")).parent
CONSUMER = ROOT / "tests/consumer"
SAMPLE = ROOT / "examples/pytorch_model.bin"


def call(*words, **environment):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The installed library, moved afterwards: no file in it may contain the path of the installation."""
    first, moved = (tmp_path_factory.mktemp("installed") / name for name in ("first", "moved"))
    call("cmake", "--install", BUILD, "--prefix", first)
    first.rename(moved)
    return moved


def pkg_config(prefix, *words):
    folder = next(prefix.glob("**/depickle.pc")).parent
    return call("pkg-config", *words, "depickle", PKG_CONFIG_PATH=str(folder)).split()


def lists_the_sample(program):
    lines = call(program, SAMPLE).splitlines()
    return "transformer.wte.weight F32" in lines and "transformer.h.0.mlp.c_fc.weight BF16" in lines


def test_find_package(prefix, tmp_path):
    flags = "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wpedantic -Werror"
    call("cmake", "-S", CONSUMER, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", flags)
    call("cmake", "--build", tmp_path)
    assert lists_the_sample(tmp_path / "consumer")


def test_pkg_config(prefix, tmp_path):
    flags = pkg_config(prefix, "--cflags", "--libs")
    call("g++", "-std=c++20", CONSUMER / "main.cpp", "-o", tmp_path / "consumer", *flags)
    assert lists_the_sample(tmp_path / "consumer")


def test_the_compile_flags_of_the_project_are_not_exported(prefix):
    assert all(flag.startswith("-I") for flag in pkg_config(prefix, "--cflags"))
    targets = "".join(file.read_text() for file in prefix.glob("**/depickle-targets*.cmake"))
    assert "INTERFACE_COMPILE_OPTIONS" not in targets and "depickle_options" not in targets


def public_headers():
    """The headers that the modules' CMakeLists.txt name as PUBLIC."""
    for file in ROOT.glob("depickle/**/CMakeLists.txt"):
        for names in re.findall(r"^  PUBLIC (.*)$", file.read_text(), re.MULTILINE):
            yield from (f"{file.parent.relative_to(ROOT).as_posix()}/{name}" for name in names.split())


def test_only_public_headers_are_installed_and_all_compile(prefix, tmp_path):
    headers = sorted(path.relative_to(prefix / "include").as_posix() for path in prefix.glob("include/**/*.h"))
    assert headers == sorted(public_headers()) and len(headers) > 40
    for private in ("formats/pickle/machine.h", "formats/safetensors/header_parser.h", "sandbox/wire.h", "hub/http.h"):
        assert (ROOT / "depickle" / private).exists() and f"depickle/{private}" not in headers
    source = tmp_path / "all.cpp"
    source.write_text("".join(f"#include <{header}>\n" for header in headers * 2))
    call("g++", "-std=c++20", "-fsyntax-only", f"-I{prefix}/include", source)
