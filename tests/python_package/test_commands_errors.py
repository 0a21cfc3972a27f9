"""The program's commands as functions: exceptions."""
import json
import pickle

import pytest
import torch

import depickle
from depickle import _program
from command_helpers import checkpoint, converted_as, fake  # noqa: F401


@pytest.mark.parametrize("call", [depickle.convert, depickle.inspect, depickle.verify, depickle.scan])
def test_missing_file(call, tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        call(tmp_path / "gone.bin")
    assert raised.value.errno == 2 and raised.value.filename == str(tmp_path / "gone.bin")


def test_invalid_files_raise_value_error_with_the_reason(checkpoint, tmp_path):
    cut = tmp_path / "cut.pt"
    cut.write_bytes(checkpoint.read_bytes()[:-700])
    pointer = tmp_path / "pointer.bin"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n")
    torch.save({"w": torch.ones(2, dtype=torch.complex128), "x": torch.ones(1)}, tmp_path / "complex.pt")
    for path, message in ((cut, "cut.pt: "), (pointer, "(?i)lfs"), (tmp_path / "complex.pt", "complex128")):
        before = set(tmp_path.iterdir())
        with pytest.raises(ValueError, match=message) as raised:
            depickle.convert(path)
        assert "\nhint: " in str(raised.value) and set(tmp_path.iterdir()) == before
    assert depickle.convert(tmp_path / "complex.pt", skip_unsupported=True).files[0].skipped[0].name == "w"


def test_missing_root_raises_value_error(checkpoint):
    with pytest.raises(ValueError, match='the checkpoint contains no part "nope"'):
        depickle.inspect(checkpoint, root="nope")


def test_failed_files_of_a_folder_raise_an_exception_with_the_result(checkpoint):
    checkpoint.with_name("broken.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 3\n")
    with pytest.raises(ValueError, match="broken.bin: not a model file: a git-LFS pointer.*\nhint: ") as raised:
        depickle.convert(checkpoint.parent)
    assert len(raised.value.result.files) == 1 and converted_as(checkpoint, raised.value.result.files[0].target)


def test_invalid_options(checkpoint):
    for options in ({"align": 7}, {"tied": "twice"}):
        with pytest.raises(ValueError, match="expected one of"):
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
def test_exception_for_each_error_code(fake, code, message, kind, number):
    error = {"schema": "depickle.error/1", "code": code, "message": message, "file": "f.bin", "errno": number,
             "reason": "", "hint": "do this", "general_hint": "do this"}
    err = f"note: more\nerror: f.bin: {message}\nhint: do this"
    fake(f"echo '{err}' >&2; echo '{json.dumps(error)}'; exit 2")
    with pytest.raises(kind) as raised:
        depickle.inspect("f.bin")
    assert type(raised.value) is kind and message in str(raised.value) and "do this" in str(raised.value)
    if number:
        assert (raised.value.errno, raised.value.filename) == (number, "f.bin")
    else:
        assert str(raised.value) == f"f.bin: {message}\nhint: do this"


@pytest.mark.parametrize("reason", _program._HINTS)
def test_hints_name_arguments_instead_of_options(fake, reason):
    error = {"schema": "depickle.error/1", "code": "unsupported", "message": "is wrong", "file": "f.bin", "errno": None,
             "reason": reason, "hint": "do this; or use --option", "general_hint": "do this"}
    fake(f"echo 'error: f.bin: is wrong' >&2; echo '{json.dumps(error)}'; exit 2")
    with pytest.raises(ValueError) as raised:
        depickle.inspect("f.bin")
    assert str(raised.value) == f"f.bin: is wrong\nhint: do this; {_program._HINTS[reason]}"
    assert "--" not in _program._HINTS[reason]


def test_hints_of_the_real_program_name_arguments(checkpoint, tmp_path):
    (tmp_path / "target.safetensors").write_bytes(b"other")
    with pytest.raises(FileExistsError, match=r"hint: .*force=True") as exists:
        depickle.convert(checkpoint, tmp_path / "target.safetensors")
    torch.save({"model": {"w": torch.ones(2)}, "net": {"w": torch.ones(2)}}, tmp_path / "two.pt")
    with pytest.raises(ValueError, match=r"hint: .*root=") as ambiguous:
        depickle.convert(tmp_path / "two.pt")
    torch.save({"w": torch.ones(2, dtype=torch.complex128)}, tmp_path / "complex.pt")
    with pytest.raises(ValueError, match=r"hint: .*skip_unsupported=True") as unsupported:
        depickle.convert(tmp_path / "complex.pt")
    assert all("--" not in str(raised.value) for raised in (exists, ambiguous, unsupported))


@pytest.mark.parametrize("script, message", [
    ("echo 'out of memory' >&2; exit 2", "exited with code 2 without a result: out of memory"),
    ("exit 0", "stderr is empty"),
    ("echo '{\"schema\": \"dep'; kill -SEGV $$", "was killed by SIGSEGV"),
    ("echo '[]'", "without a result"),
])
def test_program_without_a_result(fake, script, message):
    fake(script)
    with pytest.raises(RuntimeError, match=message):
        depickle.inspect("f.bin")


def test_missing_program(tmp_path, monkeypatch):
    monkeypatch.setattr(_program, "_BUNDLED", str(tmp_path / "missing"))
    monkeypatch.setenv("DEPICKLE_PROGRAM", "")
    with pytest.raises(FileNotFoundError, match="DEPICKLE_PROGRAM"):
        depickle.inspect("f.bin")


def test_large_output_on_both_pipes_does_not_block(fake):
    output = "head -c 3000000 /dev/zero | tr '\\0'"
    fake(f"{output} x >&2; {output} y")
    with pytest.raises(RuntimeError, match="x{3000000}"):
        depickle.inspect("f.bin")
