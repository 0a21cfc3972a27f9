"""tools/check_layers.py, which checks the includes of every module."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from check_layers import ARROWS, module_of  # noqa: E402


def check(root):
    done = subprocess.run([sys.executable, ROOT / "tools/check_layers.py", root], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_includes_of_the_tree_are_allowed():
    code, said = check(ROOT)
    assert code == 0, said


CASES = [
    ("depickle/base/json.h", "#include <simdjson.h>", "third-party header simdjson.h outside a .cpp file"),
    ("depickle/base/text.h", "  #  include <fmt/format.h>", "third-party header fmt/format.h outside a .cpp file"),
    ("cli/commands.h", "#include <CLI/CLI.hpp>", "third-party header CLI/CLI.hpp outside a .cpp file"),
    ("depickle/base/text.cpp", '#include "text.h"', '"text.h" is not a path from the root'),
    ("depickle/base/text.cpp", "#include <depickle/base/text.h>",
     "project header depickle/base/text.h in angle brackets"),
    ("depickle/extra/new.cpp", '#include "depickle/base/text.h"', "module depickle/extra is not in the table"),
]


def forbidden_includes():
    """One include for each folder that it must not have."""
    for module, allowed in ARROWS.items():
        other = next(name for name in (*ARROWS, "python/src") if name not in allowed and name != module)
        yield f"{module}/new.cpp", f'#include "{other}/new.h"', f"{module} must not include {other}"


def test_every_folder_with_code_has_a_row():
    folders = {module_of(path.relative_to(ROOT).as_posix())
               for top in ("depickle", "server", "cli", "python") for path in ROOT.glob(f"{top}/**/*.cpp")}
    assert folders == set(ARROWS)


@pytest.mark.parametrize("path, line, complaint", [*CASES, *forbidden_includes()])
def test_a_wrong_include_is_reported_with_file_and_line(tmp_path, path, line, complaint):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(f"// A file.\n#include <string>\n{line}\n")
    code, said = check(tmp_path)
    assert code == 1
    assert said.startswith(f"{path}:3: ") and complaint in said


def test_an_allowed_include_is_accepted(tmp_path):
    file = tmp_path / "depickle/convert/plan.cpp"
    file.parent.mkdir(parents=True)
    file.write_text(
        '#include "depickle/convert/plan.h"\n#include <fmt/format.h>\n#include "depickle/weights/weights.h"\n'
        '// #include "cli/output.h"\n')
    assert check(tmp_path)[0] == 0


def test_a_tree_without_files_is_a_failure(tmp_path):
    assert check(tmp_path)[0] == 1


def test_python_modules_that_import_each_other_are_reported(tmp_path):
    package = tmp_path / "python/depickle"
    package.mkdir(parents=True)
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/main.cpp").write_text("")
    (package / "_a.py").write_text("def f():\n    from . import _b\n")
    (package / "_b.py").write_text("from depickle._a import f\n")
    code, said = check(tmp_path)
    assert code == 1 and "_a -> _b -> _a" in said
