"""tools/check_layers.py, which checks the includes of every module."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def check(root):
    done = subprocess.run([sys.executable, ROOT / "tools/check_layers.py", root], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_includes_of_the_tree_are_allowed():
    code, said = check(ROOT)
    assert code == 0, said


@pytest.mark.parametrize("path, line, complaint", [
    ("depickle/base/text.h", '#include "depickle/formats/pickle/vm.h"', "depickle/base must not include depickle/formats/pickle"),
    ("depickle/formats/safetensors/file.cpp", '#include "depickle/formats/zip/archive.h"', "depickle/formats/safetensors must not include depickle/formats/torch"),
    ("depickle/weights/open.cpp", '#include "depickle/formats/pickle/vm.h"', "depickle/weights must not include depickle/formats/pickle"),
    ("depickle/formats/torch/read.cpp", '#include "depickle/weights/weights.h"', "depickle/formats/torch must not include depickle/weights"),
    ("depickle/convert/plan.cpp", '#include "cli/output.h"', "depickle/convert must not include cli"),
    ("depickle/repo/repo.cpp", '#include "server/app.h"', "depickle/repo must not include server"),
    ("cli/main.cpp", '#include "python/module.h"', "cli must not include python"),
    ("depickle/base/json.h", "#include <simdjson.h>", "third-party header simdjson.h outside a .cpp file"),
    ("depickle/base/text.h", "  #  include <fmt/format.h>", "third-party header fmt/format.h outside a .cpp file"),
    ("cli/commands.h", "#include <CLI/CLI.hpp>", "third-party header CLI/CLI.hpp outside a .cpp file"),
    ("depickle/base/text.cpp", '#include "text.h"', '"text.h" is not a path from the root'),
    ("depickle/base/text.cpp", "#include <depickle/base/text.h>", "project header depickle/base/text.h in angle brackets"),
    ("depickle/extra/new.cpp", '#include "depickle/base/text.h"', "module depickle/extra is not in the table of layers"),
])
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
