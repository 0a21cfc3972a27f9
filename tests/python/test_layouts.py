"""The rows of docs/layouts.md: which part of each project's checkpoint is converted, under which names."""
import pytest

from layouts.document import DOCUMENT, ROWS, document
from program import COULD_NOT, NOTHING_TO_DO, YES, run
from tensors import differences, load


def convert(source, *options):
    """Returns the result of the program. Removes the output of an earlier conversion."""
    target = source.with_name("out.safetensors")
    target.unlink(missing_ok=True)
    return run("convert", source, "-o", target, "--json", *options), target


def assert_is_part(done, target, part, expected, unused):
    assert done.code == YES, done.err
    (file,) = done.json["files"]
    assert file["root"] == part.removeprefix(".")
    tensors, aliases = load(target)
    assert differences(tensors | {dropped: tensors[kept] for dropped, kept in aliases.items()}, expected) == []
    assert sorted(unit["path"] for unit in file["leftovers"]) == sorted(unused)
    assert file["skipped"] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_layout(row, tmp_path):
    expected, unused, checkpoint = row.make(tmp_path / row.file)
    done, target = convert(tmp_path / row.file)
    if row.part is None:
        assert done.code in (COULD_NOT, NOTHING_TO_DO) and not target.exists(), "converted"
        return
    if row.candidates:
        assert done.code == COULD_NOT and not target.exists(), f"took {done.json['files'][0]['root']!r}"
        assert done.json["reason"] == "ambiguous_root", done.err
        assert all(f'"{name}"' in done.json["message"] for name in row.candidates.split()), done.err
    elif row.taken:
        taken, beside = row.tensors_of(checkpoint, row.taken), row.unused_of(checkpoint, row.taken)
        assert_is_part(done, target, row.taken, taken, beside)
    if row.candidates or row.taken:
        done, target = convert(tmp_path / row.file, "--root", row.part)
    assert_is_part(done, target, row.part, expected, unused)


def test_the_document_has_the_rows(tmp_path):
    assert DOCUMENT.read_text() == document(tmp_path)


def test_the_rows_cover_many_projects():
    assert len({row.source.split(",")[0] for row in ROWS}) >= 60
    assert len({row.title for row in ROWS}) == len(ROWS)
