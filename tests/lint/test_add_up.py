"""tools/add_up.py, which prints the last line of ./test."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
PASSED = '<testsuite tests="2"><testcase name="a" status="run"/><testcase name="b"/></testsuite>'
MIXED = (
    '<testsuites><testsuite><testcase name="a"><failure/></testcase><testcase name="b"><error/></testcase>'
    '<testcase name="c"><skipped/></testcase><testcase name="d"/></testsuite></testsuites>'
)


def add_up(folder, *names):
    done = subprocess.run([sys.executable, ROOT / "tools/add_up.py", folder, *names], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[-1], done.stderr


def test_the_runners_are_added_up(tmp_path):
    (tmp_path / "one.xml").write_text(PASSED)
    (tmp_path / "two.xml").write_text(PASSED)
    assert add_up(tmp_path, "one", "two") == (0, "4 passed, 0 failed, 0 skipped", "")


def test_failures_errors_and_skips_are_counted(tmp_path):
    (tmp_path / "one.xml").write_text(MIXED)
    assert add_up(tmp_path, "one")[:2] == (1, "1 passed, 2 failed, 1 skipped")


def test_a_runner_without_a_result_is_a_failure(tmp_path):
    (tmp_path / "one.xml").write_text(PASSED)
    assert add_up(tmp_path, "one", "gone") == (1, "2 passed, 1 failed, 0 skipped", "gone: did not run to its end\n")


def test_a_runner_that_found_no_test_is_a_failure(tmp_path):
    (tmp_path / "one.xml").write_text("<testsuite/>")
    assert add_up(tmp_path, "one") == (1, "0 passed, 1 failed, 0 skipped", "one: found no test\n")
