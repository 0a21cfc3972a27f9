"""A pytest plugin that runs the tests of `safetensors` with depickle.safetensors, and writes a report.

UPSTREAM_REPORT names the JSON file of the report: the outcome of each test, and whose modules the tests used.
"""

import json
import os
import pathlib
import sys

import depickle.safetensors

depickle.safetensors.install()

outcomes = {}
modules = set()


def pytest_collection_modifyitems(items):
    modules.update(item.module for item in items)


def pytest_runtest_logreport(report):
    """Records the call, or a phase that did not pass: a skip in setup, a failure in teardown."""
    if report.when == "call" or report.outcome != "passed":
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        outcomes[report.nodeid.split("/")[-1]] = [report.outcome, reason]


def module_of(value):
    return getattr(value, "__module__", None) or ""


def pytest_sessionfinish():
    import safetensors
    import safetensors._safetensors_rust

    imported = {}
    foreign = []
    for module in modules:
        names = {name: module_of(value) for name, value in vars(module).items()}
        imported[module.__name__] = sorted(name for name in names if names[name].startswith("depickle."))
        foreign += [f"{module.__name__}.{name}" for name in names if names[name].startswith("safetensors")]
    maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
    report = {
        "outcomes": outcomes,
        "modules": {name: sys.modules[name].__name__ for name in sys.modules if name.split(".")[0] == "safetensors"},
        "imported": imported,
        "foreign": foreign,
        "mapped": [line.split()[-1] for line in maps if "_safetensors_rust" in line],
    }
    pathlib.Path(os.environ["UPSTREAM_REPORT"]).write_text(json.dumps(report))
