"""The rows of docs/layouts.md: which part of each project's checkpoint is converted, under which names."""
import pytest

from layouts.document import DOCUMENT, ROWS, document
from program import COULD_NOT, NOTHING_TO_DO, YES, run
from tensors import differences, load


def convert(row, folder, *options):
    """Returns (the result of the program, tensors of the part, paths that are not part of it, the output file)."""
    source, target = folder / row.file, folder / "out.safetensors"
    expected, unused = row.make(source)
    return run("convert", source, "-o", target, "--json", *options), expected, unused, target


def assert_is_part(row, done, expected, unused, target):
    assert done.code == YES, done.err
    (file,) = done.json["files"]
    assert file["root"] == row.part.removeprefix(".")
    tensors, aliases = load(target)
    assert differences(tensors | {dropped: tensors[kept] for dropped, kept in aliases.items()}, expected) == []
    assert sorted(unit["path"] for unit in file["leftovers"]) == sorted(unused)
    assert file["skipped"] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_layout(row, tmp_path):
    done, expected, unused, target = convert(row, tmp_path)
    if row.part is None:
        assert done.code in (COULD_NOT, NOTHING_TO_DO) and not target.exists(), done.out
    elif row.candidates:
        assert done.code == COULD_NOT and done.json["reason"] == "ambiguous_root" and not target.exists(), done.out
        for candidate in row.candidates.split():
            assert f'"{candidate}"' in done.json["message"]
        assert_is_part(row, *convert(row, tmp_path, "--root", row.part))
    else:
        assert_is_part(row, done, expected, unused, target)


def test_the_document_has_the_rows(tmp_path):
    assert DOCUMENT.read_text() == document(tmp_path)


def test_the_rows_cover_many_projects():
    assert len({row.source.split(",")[0] for row in ROWS}) >= 60
    assert len({row.title for row in ROWS}) == len(ROWS)
