"""The program's commands as functions: what they raise."""
import json
import pickle

import pytest
import torch

import depickle
from depickle import _program
from jobs import checkpoint, converted_as, fake  # noqa: F401


@pytest.mark.parametrize("call", [depickle.convert, depickle.inspect, depickle.verify, depickle.scan])
def test_a_file_that_is_not_there(call, tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        call(tmp_path / "gone.bin")
    assert raised.value.errno == 2 and raised.value.filename == str(tmp_path / "gone.bin")


def test_bad_files_are_value_errors_that_say_what_is_wrong(checkpoint, tmp_path):
    cut = tmp_path / "cut.pt"
    cut.write_bytes(checkpoint.read_bytes()[:-700])
    pointer = tmp_path / "pointer.bin"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n")
    torch.save({"w": torch.ones(2, dtype=torch.complex128), "x": torch.ones(1)}, tmp_path / "complex.pt")
    for path, words in ((cut, "cut.pt: "), (pointer, "(?i)lfs"), (tmp_path / "complex.pt", "complex128")):
        before = set(tmp_path.iterdir())
        with pytest.raises(ValueError, match=words) as raised:
            depickle.convert(path)
        assert "\nhint: " in str(raised.value) and set(tmp_path.iterdir()) == before
    assert depickle.convert(tmp_path / "complex.pt", skip_unsupported=True).files[0].skipped[0].name == "w"


def test_a_part_that_is_not_there_is_no_missing_file(checkpoint):
    with pytest.raises(ValueError, match='the checkpoint contains no part "nope"'):
        depickle.inspect(checkpoint, root="nope")


def test_files_of_a_folder_that_fail_are_an_exception_with_the_rest_of_the_result(checkpoint):
    checkpoint.with_name("broken.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="broken.bin: the file is empty\nhint: ") as raised:
        depickle.convert(checkpoint.parent)
    assert len(raised.value.result.files) == 1 and converted_as(checkpoint, raised.value.result.files[0].target)


def test_options_that_do_not_exist(checkpoint):
    for options in ({"align": 7}, {"tied": "twice"}):
        with pytest.raises(ValueError, match="not one of"):
            depickle.convert(checkpoint, **options)
    with pytest.raises(TypeError):
        depickle.convert(checkpoint, progress=5)
    with pytest.raises(TypeError):
        depickle.scan()


@pytest.mark.parametrize("code, message, kind, number", [
    ("not_found", "there is no such file or folder", FileNotFoundError, 2),
    ("io", "cannot open: Permission denied", PermissionError, 13),
    ("io", "cannot write: No space left on device", OSError, 28),
    ("io", "already exists", FileExistsError, 17),
    ("denied", "needs a login", PermissionError, None),
    ("network", "the connection failed", ConnectionError, None),
    ("unsafe", "is a pickle", pickle.UnpicklingError, None),
    ("cancelled", "stopped", KeyboardInterrupt, None),
    *[(code, "is wrong", ValueError, None) for code in ("malformed", "truncated", "unsupported", "limit", "integrity")],
])
def test_each_error_of_the_program_is_one_exception(fake, code, message, kind, number):
    error = {"schema": "depickle.error/1", "code": code, "message": message, "file": "f.bin", "errno": number,
             "hint": "do this"}
    said = f"note: more\nerror: f.bin: {message}\nhint: do this"
    fake(f"echo '{said}' >&2; echo '{json.dumps(error)}'; exit 2")
    with pytest.raises(kind) as raised:
        depickle.inspect("f.bin")
    assert type(raised.value) is kind and message in str(raised.value) and "do this" in str(raised.value)
    if number:
        assert (raised.value.errno, raised.value.filename) == (number, "f.bin")
    else:
        assert str(raised.value) == f"f.bin: {message}\nhint: do this"


@pytest.mark.parametrize("script, words", [
    ("echo 'out of memory' >&2; exit 2", "ended with 2 without an answer: out of memory"),
    ("exit 0", "it said nothing"),
    ("echo '{\"schema\": \"dep'; kill -SEGV $$", "was ended by SIGSEGV"),
    ("echo '[]'", "without an answer"),
])
def test_a_program_that_does_not_answer(fake, script, words):
    fake(script)
    with pytest.raises(RuntimeError, match=words):
        depickle.inspect("f.bin")


def test_a_missing_program_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(_program, "_BUNDLED", str(tmp_path / "missing"))
    monkeypatch.setenv("DEPICKLE_PROGRAM", "")
    with pytest.raises(FileNotFoundError, match="DEPICKLE_PROGRAM"):
        depickle.inspect("f.bin")


def test_much_talk_on_both_pipes_blocks_nobody(fake):
    much = "head -c 3000000 /dev/zero | tr '\\0'"
    fake(f"{much} x >&2; {much} y")
    with pytest.raises(RuntimeError, match="x{3000000}"):
        depickle.inspect("f.bin")
