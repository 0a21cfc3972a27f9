"""The program's commands as functions: results, exceptions, progress, and what is left when work is broken off."""
import dataclasses
import json
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from safetensors.torch import load_file

import depickle
import fresh
from depickle import _answers, _program

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "tests/python"), str(ROOT / "tests/python/hub")]

import big  # noqa: E402
from embedded import files_of, hub, pickled, safe, tied_model  # noqa: E402, F401


@pytest.fixture
def checkpoint(tmp_path):
    """A training checkpoint with tied tensors."""
    weight = torch.arange(600.0).view(20, 30)
    torch.save({"state_dict": {"weight": weight, "lm_head.weight": weight}, "epoch": 3}, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


@pytest.fixture(scope="module")
def large():
    """A folder with a checkpoint that takes long enough to be interrupted."""
    with big.room(4 << 30) as folder:
        big.save_sparse({"w": big.empty(torch.uint8, 1 << 30)}, folder / "large.pt")
        yield folder


def bits(tensor):
    return tensor.dtype, tensor.shape, tensor.contiguous().view(torch.uint8).numpy().tobytes()


def converted_as(checkpoint, target):
    ours, theirs = load_file(target), torch.load(checkpoint, weights_only=True)["state_dict"]
    return all(bits(ours[name]) == bits(theirs[name]) for name in ours)


def processes_about(folder):
    """Running programs that name the folder in their words; this one does not."""
    found = []
    for words in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [words.parent.name] if os.fsencode(folder) in words.read_bytes() else []
        except OSError:
            pass  # it has ended
    return found


# Results

def test_convert_says_what_it_did_and_the_tensors_are_the_same_to_the_bit(checkpoint):
    result = depickle.convert(checkpoint)
    (file,) = result.files
    assert result.outcome == "written" and (file.tensors, file.identical) == (2, 2)
    assert file.tied == [_answers.Tied(name="lm_head.weight", kept="weight")]
    assert file.root == "state_dict" and file.leftovers[0].path == "epoch"
    assert result.json["schema"] == "depickle.convert/1" and result.json["files"][0]["target"] == file.target
    assert converted_as(checkpoint, file.target)


def test_the_options_of_convert_reach_the_program(checkpoint, tmp_path):
    target = tmp_path / "-x.safetensors"
    options = {"align": 4096, "tied": "copy", "root": "state_dict", "checksums": False, "durable": False}
    options["receipt"] = tmp_path / "receipt.json"
    assert depickle.convert(checkpoint, target, dry_run=True, **options).outcome == "planned" and not target.exists()
    depickle.convert(checkpoint, target, **options)
    assert set(load_file(target)) == {"weight", "lm_head.weight"}
    assert (8 + int.from_bytes(target.read_bytes()[:8], "little")) % 4096 == 0
    assert depickle.verify(tmp_path / "receipt.json").tensors == 2
    with pytest.raises(FileExistsError, match="exists already"):
        depickle.convert(checkpoint, target)
    for options, kept in (({"keep": "weight"}, "weight"), ({"discard": ["weight"]}, "lm_head.weight")):
        depickle.convert(checkpoint, target, force=True, **options)
        assert set(load_file(target)) == {kept}


def test_a_receipt_that_no_longer_holds_is_false_and_names_the_flaw(checkpoint, tmp_path):
    depickle.convert(checkpoint, tmp_path / "x.safetensors", receipt=tmp_path / "receipt.json")
    assert depickle.verify(tmp_path / "receipt.json")
    with open(tmp_path / "x.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    broken = depickle.verify(tmp_path / "receipt.json")
    assert not broken and not broken.proven and broken.flaws[0].file == "x.safetensors"


def test_nothing_to_do_is_an_outcome(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(safe({"a": torch.ones(2)}, None))
    result = depickle.convert(tmp_path / "model.safetensors")
    assert result.outcome == "nothing-to-do" and result.already[0].file == "model.safetensors"
    assert depickle.convert(tmp_path).outcome == "nothing-to-do"


def test_compare_is_true_for_the_same_model_and_lists_what_differs(checkpoint, tmp_path):
    depickle.convert(checkpoint, tmp_path / "same.safetensors")
    assert depickle.compare(checkpoint, tmp_path / "same.safetensors")
    torch.save({"weight": torch.ones(20, 30, dtype=torch.float16), "new": torch.ones(1)}, tmp_path / "other.pt")
    different = depickle.compare(checkpoint, tmp_path / "other.pt")
    assert not different and not different.identical
    assert {(each.name, each.finding) for each in different.tensors} >= {("weight", "dtype"), ("new", "added")}
    assert depickle.compare(checkpoint, checkpoint, root="state_dict").tensors_compared == 2


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def test_scan_tells_code_and_runs_nothing(checkpoint, tmp_path):
    assert depickle.scan(checkpoint) and depickle.scan(checkpoint).verdict == "tensors-only"
    torch.save({"w": torch.ones(3), "evil": Evil(tmp_path / "marker")}, tmp_path / "evil.pt")
    (tmp_path / "noise.bin").write_bytes(b"\x80\x04noise")
    found = depickle.scan(tmp_path / "evil.pt", tmp_path / "noise.bin", checkpoint)
    assert [file.verdict for file in found.files] == ["has-code", "unreadable", "tensors-only"]
    assert not found and found.verdict == "has-code" and "system" in found.files[0].findings[0].what
    assert any(each.class_ == "code" for each in found.files[0].globals) and found.files[1].error
    assert depickle.scan(tmp_path / "noise.bin").verdict == "unreadable" and len(depickle.scan(tmp_path).files) == 3
    depickle.convert(tmp_path / "evil.pt")
    assert bits(load_file(tmp_path / "evil.safetensors")["w"]) == bits(torch.ones(3))
    assert not (tmp_path / "marker").exists()


def test_inspect_lists_the_tensors(checkpoint):
    seen = depickle.inspect(str(checkpoint))
    assert [(each.name, each.dtype, each.shape) for each in seen.tensors][0] == ("weight", "F32", [20, 30])
    assert depickle.inspect(checkpoint, root=".").leftovers[0].description == "int 3"


def test_results_have_the_fields_of_json_md():
    text = (ROOT / "docs/json.md").read_text()
    documented = {name: json.loads(form) for name, form in re.findall(r"```json (\w+)\n(.*?)```", text, re.S)}
    kinds = {
        "check": _answers.Check,
        "compare": _answers.Comparison,
        "convert_repo": _answers.Conversion,
        "download": _answers.Download,
        "inspect": _answers.Inspection,
        "scan": _answers.Scan,
        "verify": _answers.Verification,
    }
    for form, kind in kinds.items():
        assert fields(kind) == set(documented[form]) - {"schema"}, form
        assert_same_fields(_answers.made(kind, documented[form]), documented[form])


def fields(kind):
    return {field.name.rstrip("_") for field in dataclasses.fields(kind)} - {"json"}


def assert_same_fields(made, written):
    """Lists of objects are compared by the union of their keys."""
    for name in fields(type(made)):
        value = getattr(made, name, None)
        if isinstance(value, list) and value and dataclasses.is_dataclass(value[0]):
            assert fields(type(value[0])) == set().union(*written[name]), name
            for each, form in zip(value, written[name], strict=True):
                assert_same_fields(each, form)


def test_paths_are_what_python_takes_for_paths(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    odd = tmp_path / "ünï — 模型.pt"
    odd.write_bytes(checkpoint.read_bytes())
    assert depickle.convert(str(odd)).files[0].target == str(odd.with_suffix(".safetensors"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "--help").write_bytes(checkpoint.read_bytes())
    assert depickle.scan("--help").files[0].file == "--help"
    for call in (depickle.convert, depickle.inspect, depickle.verify, depickle.scan):
        with pytest.raises(TypeError):
            call(5)
    with pytest.raises(ValueError, match="null"):
        depickle.inspect("a\0b")


# Exceptions

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
    with pytest.raises(ValueError, match='there is no part "nope"'):
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


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a shell script in the program's place."""
    def make(script):
        program = tmp_path / "fake"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        monkeypatch.setattr(_program, "_BUNDLED", str(tmp_path / "missing"))
        monkeypatch.setenv("DEPICKLE_PROGRAM", str(program))
    return make


@pytest.mark.parametrize("code, message, kind, number", [
    ("not_found", "there is no such file or folder", FileNotFoundError, 2),
    ("io", "cannot open: Permission denied", PermissionError, 13),
    ("io", "cannot write: No space left on device", OSError, 28),
    ("io", "exists already", FileExistsError, 17),
    ("denied", "needs a login", PermissionError, None),
    ("network", "the connection failed", ConnectionError, None),
    ("unsafe", "is a pickle", pickle.UnpicklingError, None),
    ("cancelled", "stopped", KeyboardInterrupt, None),
    *[(code, "is wrong", ValueError, None) for code in ("malformed", "truncated", "unsupported", "limit", "integrity")],
])
def test_each_error_of_the_program_is_one_exception(fake, code, message, kind, number):
    error = {"schema": "depickle.error/1", "code": code, "message": message, "file": "f.bin", "hint": "do this"}
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


# Progress

def test_a_function_hears_each_phase_to_its_end(checkpoint, tmp_path):
    steps = []
    depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert {step.phase for step in steps} >= {"write", "compare"} and steps[-1].done_bytes == steps[-1].total_bytes > 0
    steps.clear()
    assert depickle.compare(checkpoint, tmp_path / "x.safetensors", progress=steps.append)
    assert steps[-1].phase == "compare" and steps[-1].done_bytes == steps[-1].total_bytes > 0


def test_bars_of_tqdm(checkpoint, tmp_path, capfd):
    from tqdm import tqdm
    with tqdm(total=None, disable=False) as bar:
        depickle.convert(checkpoint, tmp_path / "x.safetensors", progress=bar)
        assert bar.n == bar.total > 0 and not bar.disable
    made = []

    class Bar(tqdm):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            made.append(self)

        def close(self):
            self.closed = True
            super().close()

    depickle.convert(checkpoint, tmp_path / "x.safetensors", force=True, progress=Bar)
    assert len(made) == 1 and made[0].closed and made[0].n == made[0].total > 0
    capfd.readouterr()
    depickle.convert(checkpoint, tmp_path / "x.safetensors", force=True, progress=True)
    assert "100%" in capfd.readouterr().err

    class Simple:
        total, n = 0, 0

        def update(self, n):
            self.n += n

    simple = Simple()
    depickle.compare(checkpoint, tmp_path / "x.safetensors", progress=simple)
    assert simple.n == simple.total > 0


# Broken off

def test_an_exception_in_a_callback_stops_the_work_and_comes_back(large):
    class Mine(Exception):
        pass

    def refuse(step):
        raise Mine(step.phase)

    (large / "out.safetensors").write_text("the old file")
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Mine, match="write"):
        depickle.convert(large / "large.pt", large / "out.safetensors", force=True, progress=refuse)
    assert (large / "out.safetensors").read_text() == "the old file"
    (large / "out.safetensors").unlink()
    assert [path.name for path in large.iterdir()] == ["large.pt"]
    assert processes_about(large) == [] and len(os.listdir("/proc/self/fd")) == descriptors


SCRIPT = """
import sys, depickle
try:
    depickle.convert(sys.argv[1], sys.argv[2], progress=lambda step: print(step.phase, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("interrupt", [os.kill, os.killpg], ids=["the process", "its group, as a terminal does"])
def test_ctrl_c_is_keyboard_interrupt_and_leaves_nothing(large, interrupt):
    words = [sys.executable, "-c", SCRIPT, large / "large.pt", large / "out.safetensors"]
    script = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True, env=fresh.environment())
    try:
        assert script.stdout.readline() == "write\n"
        (program,) = {int(pid) for pid in processes_about(large)} - {script.pid}
        assert os.getpgid(program) != script.pid  # a terminal's Ctrl-C would come twice, which kills
        interrupt(script.pid, signal.SIGINT)
        out, _ = script.communicate(timeout=60)
    finally:
        script.kill()
        script.communicate()
    assert out.splitlines()[-1] == "interrupted" and script.returncode == 0
    assert [path.name for path in large.iterdir()] == ["large.pt"] and processes_about(large) == []


def test_other_threads_go_on_and_jobs_run_side_by_side(checkpoint, tmp_path):
    results, turns = {}, 0

    def work(number):
        results[number] = depickle.convert(checkpoint, tmp_path / f"{number}.safetensors")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        turns += 1
        time.sleep(0.001)
    assert turns > 3 and len(results) == 4
    assert all(converted_as(checkpoint, result.files[0].target) for result in results.values())


# The Hub

@pytest.fixture
def here(hub, monkeypatch):  # noqa: F811
    """This process as a user of the embedded Hub."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    for name, value in hub.environment().items():
        if name.startswith("HF_"):
            monkeypatch.setenv(name, value)
    return hub


def test_a_pull_request_is_opened_and_checked(here):
    here.make("me/m", files_of(tied_model()))
    planned = depickle.convert("me/m", pr=True, dry_run=True)
    assert planned.outcome == "planned" and planned.commit and planned.description
    opened = depickle.convert("me/m", pr=True, progress=lambda step: None)
    assert opened.outcome == "opened" and opened.pull_request == 1 and opened.url.startswith(here.url)
    again = depickle.convert("me/m", pr=True)
    assert again.outcome == "already-open" and again.previous[0].number == 1
    steps = []
    checked = depickle.check("me/m", 1, progress=steps.append)
    assert checked and checked.verdict == "identical" and checked.files[0].expected and steps
    assert depickle.check(opened.url).number == 1


def test_a_pull_request_that_lies_is_false(here):
    tensors = tied_model()
    here.make("me/m", files_of(tensors))
    number = here.pull_request("me/m", {"model.safetensors": safe(tensors | {"h.a": tensors["h.a"] + 1})})
    checked = depickle.check("me/m", number)
    assert not checked and checked.verdict == "different" and checked.tensors[0].name == "h.a"


def test_a_revision_of_a_repository_to_a_folder(here, tmp_path):
    tensors = tied_model()
    commit = here.make("me/m", files_of(tensors)).oid
    here.commit("me/m", {"pytorch_model.bin": pickled({"later": torch.ones(1)})})
    result = depickle.convert("me/m", tmp_path / "out", revision=commit)
    assert result.outcome == "written" and result.commit == commit
    assert bits(load_file(tmp_path / "out/model.safetensors")["h.a"]) == bits(tensors["h.a"])


def test_the_token_is_an_argument_that_nobody_sees(here, fake, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    token = here.server.token("me")
    here.make("me/secret", files_of(tied_model()), private=True)
    for none in (None, False, "hf_wrong"):
        with pytest.raises((PermissionError, FileNotFoundError)):
            depickle.inspect("hf://me/secret/pytorch_model.bin", token=none)
    fake(f"echo \"$@\" >> '{tmp_path}/words'; exec '{_program.find()}' \"$@\"")
    assert depickle.download("me/secret", token=token).downloaded_bytes > 0
    words = (tmp_path / "words").read_text()
    assert "me/secret" in words and token not in words
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises((PermissionError, FileNotFoundError)):
        depickle.inspect("hf://me/secret/pytorch_model.bin", token=False)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert depickle.inspect("hf://me/secret/pytorch_model.bin", token=token).tensors


def test_what_is_not_on_the_hub(here):
    with pytest.raises((FileNotFoundError, PermissionError), match="me/gone"):
        depickle.download("me/gone")
    here.make("me/m", {"config.json": b"{}"})
    with pytest.raises(FileNotFoundError):
        depickle.download("me/m", revision="no-such-branch")
    os.environ["HF_ENDPOINT"] = "http://127.0.0.1:1"
    with pytest.raises(ConnectionError, match="127.0.0.1"):
        depickle.check("me/m", 1)


def test_download_says_what_a_library_would_open(here, tmp_path):
    tensors = tied_model()
    here.make("me/m", files_of(tensors) | {"model.safetensors": safe(tensors), "model.fp16.safetensors": safe(tensors)})
    everything = depickle.download("me/m")
    assert [pathlib.Path(model.path).name for model in everything.models] == ["model.safetensors"]
    assert (pathlib.Path(everything.path) / "config.json").exists()
    weights = depickle.download("me/m", variant="fp16", only_weights=True, cache_dir=tmp_path / "cache")
    assert [path.name for path in pathlib.Path(weights.path).iterdir()] == ["model.fp16.safetensors"]
    assert str(tmp_path / "cache") in weights.path and weights.downloaded_bytes > 0
    named = depickle.download("me/m", include=["*.json", "*.pt"])
    assert named.models == [] and (pathlib.Path(named.path) / "optimizer.pt").exists()


def test_from_pretrained_opens_what_a_library_would(here, tmp_path):
    tensors = tied_model()
    half = safe({"half": torch.ones(2).half()}, None)
    here.make("me/m", {"config.json": b"{}", "model.safetensors": safe(tensors), "model.fp16.safetensors": half})
    weights = depickle.from_pretrained("me/m")
    assert bits(weights["h.a"]) == bits(tensors["h.a"])
    assert set(depickle.from_pretrained("me/m", variant="fp16")) == {"half"}
    here.make("me/p", files_of(tensors))
    assert bits(depickle.from_pretrained("me/p")["h.b"]) == bits(tensors["h.b"])
    with pytest.raises(pickle.UnpicklingError, match="is a pickle"):
        depickle.from_pretrained("me/p", paranoid=True)
    number = here.pull_request("me/p", {"model.safetensors": safe(tensors)})
    assert "h.a" in depickle.from_pretrained("me/p", revision=f"refs/pr/{number}", paranoid=True)


def test_from_pretrained_of_a_path_and_of_a_pipeline(here, checkpoint):
    with depickle.from_pretrained(checkpoint) as weights:
        assert weights["weight"].shape == (20, 30)
    with pytest.raises(pickle.UnpicklingError, match="is a pickle"):
        depickle.from_pretrained(checkpoint, paranoid=True)
    with pytest.raises(ValueError, match="is a path"):
        depickle.from_pretrained(checkpoint, revision="main")
    index = {"_class_name": "P", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]}
    names = {part: f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")}
    parts = {name: safe({part: torch.ones(1)}, None) for part, name in names.items()}
    here.make("me/pipeline", {"model_index.json": json.dumps(index).encode()} | parts)
    with pytest.raises(ValueError, match="unet, vae"):
        depickle.from_pretrained("me/pipeline")
    assert set(depickle.from_pretrained("me/pipeline", subfolder="vae")) == {"vae"}
