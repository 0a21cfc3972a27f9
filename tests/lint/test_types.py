"""The types of the page's JavaScript, checked by the TypeScript compiler."""
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).parents[2]


def check_types(web):
    done = subprocess.run(["tsc", "--project", web / "jsconfig.json"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_compiler_reports_nothing():
    code, output = check_types(ROOT / "web")
    assert (code, output) == (0, "")


def test_the_strict_checks_cover_every_file():
    done = subprocess.run(["tsc", "--project", ROOT / "web/jsconfig.json", "--listFilesOnly"],
                          capture_output=True, text=True, check=True)
    checked = {pathlib.Path(line) for line in done.stdout.splitlines()}
    scripts = set((ROOT / "web").rglob("*.js"))
    assert len(scripts) > 30 and scripts <= checked


def test_wrong_types_are_reported(tmp_path):
    shutil.copytree(ROOT / "web", tmp_path / "web")
    (tmp_path / "web/shared/wrong.js").write_text("""
import { formatNumber } from "./text.js";
formatNumber("1");
export const double = (number) => 2 * number;
document.querySelector("h1").remove();
""")
    code, output = check_types(tmp_path / "web")
    assert code != 0
    for line, error in ((3, "TS2345"), (4, "TS7006"), (5, "TS2531")):
        assert re.search(rf"web/shared/wrong\.js\({line},\d+\): error {error}: ", output), output
