"""`scan` never calls a file harmless from which a real loader would import something (differential/search.py)."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "differential"))

from search import contradictions  # noqa: E402

pytestmark = pytest.mark.hostile


@pytest.mark.parametrize("first", [0, pytest.param(200, marks=pytest.mark.large)])
def test_scan_and_the_loaders_see_the_same_file(first, tmp_path):
    wrong, dangerous = contradictions(range(first, first + 200), tmp_path)
    assert wrong == []
    assert dangerous > 50  # the drawn files are worth the test
