"""The package in the build tree as a module and as a command. test_package.py tests the same with the wheel."""

import pytest

import depickle
import fresh
from distributions import VERSION


def test_the_module_runs_the_program():
    code = "import runpy; runpy.run_module('depickle', run_name='__main__')"
    assert fresh.fork(code, "--version", imports=["runpy"]).stdout.strip() == f"depickle {VERSION}"
    assert depickle.__version__ == VERSION


def test_a_missing_program_is_reported_in_one_line():
    code = """
        import os
        from depickle import __main__, _program
        _program._BUNDLED, os.environ["DEPICKLE_PROGRAM"] = "/gone/depickle", ""
        __main__.main()
    """
    done = fresh.fork_unchecked(code, imports=["json"])
    assert done.returncode == 1 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "the program is missing" in done.stderr and "/gone/depickle" in done.stderr


def test_importing_the_package_loads_no_other_module():
    code = "import sys; before = set(sys.modules); import depickle; print(*sorted(set(sys.modules) - before))"
    assert fresh.run(code).stdout.split() == ["depickle"]


def test_numpy_is_the_only_dependency_of_numpy_users(tmp_path):
    fresh.assert_runs_silently("""
        import sys, numpy, depickle
        from depickle.safetensors.numpy import load_file, save_file
        values = {"a": numpy.arange(12, dtype="f4").reshape(3, 4), "b": numpy.ones((2, 0), "i8")}
        save_file(values, sys.argv[1])
        again = load_file(sys.argv[1])
        assert values.keys() == again.keys()
        for name, value in values.items():
            assert (value.dtype, value.shape) == (again[name].dtype, again[name].shape)
            assert value.tobytes() == again[name].tobytes()
        assert depickle.compare(sys.argv[1], sys.argv[1]) and depickle.scan(sys.argv[1])
        assert "torch" not in sys.modules
        """, tmp_path / "x.safetensors", imports=["numpy"])


def test_the_bundled_program_starts_its_sandbox(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ValueError, match="no tensors"):
        depickle.convert(tmp_path / "model.bin")
