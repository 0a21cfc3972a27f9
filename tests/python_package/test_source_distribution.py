"""The files of the source distribution."""

import tarfile

from distributions import VERSION, build_sdist

MAX_SDIST_BYTES = 1_000_000


def test_the_source_distribution_contains_only_the_files_of_a_build(tmp_path):
    sdist = build_sdist(tmp_path / "sdist")
    with tarfile.open(sdist) as tar:
        names = [name.partition("/")[2] for name in tar.getnames()]
    folders, files = {"cli", "cmake", "depickle", "python"}, {"CHANGELOG.md", "CMakeLists.txt", "PKG-INFO", "README.md"}
    assert {name.split("/")[0] for name in names} == folders | files | {"LICENSE", "NOTICE", "pyproject.toml"}
    assert {"python/src/module.cpp", "python/depickle/py.typed", "cli/main.cpp", "depickle/base/error.h"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".so", ".pyc"))]
    assert sdist.name == f"depickle-{VERSION}.tar.gz" and sdist.stat().st_size < MAX_SDIST_BYTES
