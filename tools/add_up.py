#!/usr/bin/env python3
"""Adds up JUnit files: prints `N passed, N failed, N skipped`, and fails if a test failed.

usage: add_up.py FOLDER NAME...   reads FOLDER/NAME.xml of each runner; a missing file or one without tests is a failure
"""
import collections
import pathlib
import sys
import xml.etree.ElementTree as xml


def outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds or case.get("status") in ("disabled", "notrun") else "passed"


def count(path):
    """Returns the outcomes of the tests in one file, and the error of the file, or None."""
    try:
        cases = list(xml.parse(path).iter("testcase"))
    except FileNotFoundError:
        return collections.Counter(failed=1), "did not run to its end"
    except xml.ParseError as error:
        return collections.Counter(failed=1), f"left a broken {path}: {error}"
    if not cases:
        return collections.Counter(failed=1), "found no test"
    return collections.Counter(map(outcome, cases)), None


def main(folder, *names):
    total = collections.Counter()
    for name in names:
        outcomes, error = count(pathlib.Path(folder) / f"{name}.xml")
        total += outcomes
        if error:
            print(f"{name}: {error}", file=sys.stderr)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
