"""Errors are raised as the right exceptions, with upstream's and our messages; nothing crashes."""

import json
import os
import pickle
import signal

import pytest
import safetensors

import fresh
from depickle._core import SafetensorError, TensorSpec, deserialize, safe_open, serialize, serialize_file


def raw(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes):
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes}


BROKEN = {
    "empty": b"",
    "short": b"\x05",
    "too large": b"\xff" * 100,
    "no such length": (90).to_bytes(8, "little") + b"{}",
    "not UTF-8": raw(b'{"\xff":1}'),
    "not JSON": raw(b"[not json"),
    "unknown dtype": raw(entry(dtype="F31"), b"1234"),
    "overflow": raw(entry(shape=[1 << 62, 1 << 62]), b"1234"),
    "half bytes": raw(entry(dtype="F4"), b"1234"),
    "gap": raw(entry(data_offsets=[4, 8]), b"12345678"),
    "wrong size": raw(entry(shape=[2]), b"1234"),
    "trailing": raw(entry(), b"12345"),
    "truncated": raw(entry(), b"123"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_errors_of_invalid_files_start_with_upstreams_message(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(safetensors.SafetensorError) as theirs:
        safetensors.safe_open(path, "np")
    message = str(theirs.value).split(" in header: ")[0]  # for JSON, the message of serde follows
    with pytest.raises(SafetensorError) as mine:
        safe_open(path, "np")
    assert str(mine.value).startswith(message) and f"{path}: " in str(mine.value) and "[ST" in str(mine.value)
    with pytest.raises(SafetensorError) as mine:
        deserialize(content)
    assert str(mine.value).startswith(message.replace(" header:", ":", 1))


def test_a_file_of_another_format_is_named(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 548118077\n")
    with pytest.raises(SafetensorError, match="git-LFS pointer(.|\n)*hint: "):
        safe_open(path, "np")


def test_files_that_cannot_be_opened_raise_os_error_with_errno_and_filename(tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        safe_open("notafile", "pt")
    assert str(missing.value) == "No such file or directory: notafile"
    assert (missing.value.errno, missing.value.filename) == (2, "notafile")
    again = pickle.loads(pickle.dumps(missing.value))
    assert (type(again), again.args, str(again)) == (type(missing.value), missing.value.args, str(missing.value))
    with pytest.raises(IsADirectoryError) as folder:
        safe_open(tmp_path, "pt")
    assert folder.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError):
        serialize_file({}, tmp_path / "absent" / "m.safetensors")


def test_an_unreadable_file_raises_permission_error(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(raw({}))
    path.chmod(0)
    done = fresh.fork("""
        import os, sys
        from depickle.safetensors import safe_open
        if os.geteuid() == 0:
            os.setuid(65534)  # root can read every file
        try:
            safe_open(sys.argv[1], "np")
        except PermissionError as error:
            print(error.filename)
        """, path, imports=["numpy"])
    assert done.stdout == f"{path}\n"


def test_file_names_need_not_be_utf_8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors")
    serialize_file({}, path)
    assert safe_open(path, "np").keys() == []


def test_wrong_types_raise_type_error(tmp_path):
    spec = TensorSpec(dtype="uint8", shape=[0], data_ptr=0, data_len=0)
    for call in (
        lambda: serialize([]),
        lambda: serialize({3: spec}),
        lambda: serialize({"a": 3}),
        lambda: serialize({"a": spec}, {"k": 1}),
        lambda: serialize({"a": spec}, {1: "v"}),
        lambda: serialize({"a": spec}, "m"),
        lambda: serialize_file({"a": spec}, 3),
        lambda: serialize_file({"a": spec}, b"m"),
        lambda: safe_open(3, "np"),
        lambda: safe_open("m"),
        lambda: deserialize("text"),
        lambda: TensorSpec("uint8", [0], 0, 0),
        lambda: TensorSpec(dtype="uint8", shape=3, data_ptr=0, data_len=0),
    ):
        with pytest.raises(TypeError):
            call()
    for wrong in ({"shape": [-1]}, {"data_ptr": -1}, {"data_len": 1 << 64}):
        with pytest.raises(OverflowError):
            TensorSpec(**{"dtype": "uint8", "shape": [0], "data_ptr": 0, "data_len": 0} | wrong)


def test_errors_of_invalid_arguments_equal_upstream(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(raw(entry(), b"1234"))
    for arguments in (("zz",), ("np", "cuda:0"), ("np", 0), ("jax", "cuda"), ("np", "bogus")):
        with pytest.raises(safetensors.SafetensorError) as theirs:
            safetensors.safe_open(path, *arguments)
        with pytest.raises(SafetensorError) as mine:
            safe_open(path, *arguments)
        assert str(mine.value) == str(theirs.value)
    with pytest.raises(SafetensorError, match=r'^backend "x" is invalid \(expected one of: "mmap", "pread"'):
        safe_open(path, "np", backend="x")
    with pytest.raises(SafetensorError, match="^File does not contain tensor q$"):
        safe_open(path, "np").get_tensor("q")
    with pytest.raises(SafetensorError, match='^Unknown dtype "x". Supported dtypes: bool, int8'):
        TensorSpec(dtype="x", shape=[], data_ptr=0, data_len=0)
    short = {"a": TensorSpec(dtype="float32", shape=[4], data_ptr=0, data_len=15)}
    with pytest.raises(
        SafetensorError, match="^Error while serializing: invalid shape, data type, or offset for tensor: .*15 bytes"
    ):
        serialize(short)


def test_the_error_class_belongs_to_the_package():
    assert SafetensorError.__module__ == "depickle.safetensors" and issubclass(SafetensorError, Exception)
    assert pickle.loads(pickle.dumps(SafetensorError("x"))).args == ("x",)


def test_other_bus_errors_kill_the_process(tmp_path):
    (tmp_path / "m").write_bytes(raw(entry(), b"1234"))
    code = """
        import mmap, os, sys
        from depickle._core import safe_open
        file = safe_open(sys.argv[1], "np")
        other = open(sys.argv[2], "w+b")
        other.truncate(1 << 20)
        seen = mmap.mmap(other.fileno(), 1 << 20)
        other.truncate(0)
        seen[1 << 19]
    """
    done = fresh.fork_unchecked(code, tmp_path / "m", tmp_path / "other", imports=["numpy"])
    assert done.returncode == -signal.SIGBUS
