"""Every command that parses files does so in the sandbox, unless --no-sandbox is given."""
import pytest
import torch

import no_seccomp
from program import COULD_NOT, NO, YES, error_line, run


@pytest.fixture
def folder(tmp_path):
    torch.save({"w": torch.ones(2, 3)}, tmp_path / "model.pt")
    torch.save({"w": torch.zeros(2, 3)}, tmp_path / "other.pt")
    target, receipt = tmp_path / "m.safetensors", tmp_path / "r.json"
    assert run("convert", tmp_path / "model.pt", "-o", target, "--receipt", receipt).code == YES
    return tmp_path


COMMANDS = {
    "inspect": (["model.pt"], YES),
    "scan": (["model.pt"], YES),
    "scan of a folder": (["."], YES),
    "compare": (["model.pt", "other.pt"], NO),
    "verify": (["r.json"], YES),
    "convert": (["other.pt"], YES),
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_the_sandbox_reads_nothing(folder, name):
    arguments, code = COMMANDS[name]
    command = name.split()[0]
    done = run(command, *arguments, prefix=no_seccomp.PREFIX, cwd=folder)
    assert done.code == COULD_NOT and "this kernel does not support the sandbox" in error_line(done)
    assert "--no-sandbox" in done.err and done.out == ""
    assert run(command, *arguments, "--no-sandbox", prefix=no_seccomp.PREFIX, cwd=folder).code == code
    assert "--no-sandbox" in run(command, "--help").out
