"""Which files are on the disk when `depickle convert` ends."""
import pytest
import torch
from safetensors.torch import save_file

from disk import broken_rules
from program import YES, run
from recorder import Recorder


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    torch.save({"a": torch.arange(300_000.0)}, folder / "pytorch_model-00001-of-00001.bin")
    (folder / "pytorch_model.bin.index.json").write_text(
        '{"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}'
    )
    return folder


@pytest.fixture
def recorder(tmp_path, tmp_path_factory):
    return Recorder(tmp_path_factory.mktemp("recorder"), tmp_path)


def recorded(recorder, *arguments):
    """Returns the system calls of `depickle convert`."""
    settings = [f"{name}={value}" for name, value in recorder.environment.items()]
    done = run("convert", *arguments, "--no-sandbox", prefix=("env", *settings))  # the sandbox has no environment
    assert done.code == YES, done.err
    return recorder.new_events()


def test_files_are_durable_when_convert_ends_unless_no_sync(recorder, source, tmp_path):
    options = [source, "--receipt", tmp_path / "receipt.json", "-o"]
    events = recorded(recorder, *options, tmp_path / "durable")
    files = {"durable/model-00001-of-00001.safetensors", "durable/model.safetensors.index.json", "receipt.json"}
    assert files <= {event.target for event in events if event.call == "rename"}
    broken, disk = broken_rules(events, is_scratch=lambda path: False, reference=lambda path: None)
    assert broken == [] and list(disk.lost()) == []

    events = recorded(recorder, *options, tmp_path / "quick", "--force", "--no-sync")
    assert "fsync" not in {event.call for event in events}
    expected = tmp_path / "expected.safetensors"
    save_file({"a": torch.arange(300_000.0)}, expected, metadata={"format": "pt"})
    for folder in ("durable", "quick"):
        assert (tmp_path / folder / "model-00001-of-00001.safetensors").read_bytes() == expected.read_bytes()
