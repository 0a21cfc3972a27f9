"""The set of commands, in both programs, and the errors for a wrong command line."""
import shutil
import subprocess

import pytest

from program import COULD_NOT, ENVIRONMENT, PROGRAM, YES, error_line, run

COMMANDS = [
    "inspect",
    "convert",
    "compare",
    "verify",
    "scan",
    "check",
    "pr",
    "download",
    "serve",
    "user",
    "hub",
    "completions",
    "version",
    "help",
]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-q", "--help"],
        ["completions", "bash"],
        ["--color", "never", "completions", "zsh"],
        ["completions", "fish"],
    ],
)
def test_all_commands_are_shown(arguments):
    done = run(*arguments)
    assert done.code == YES and [name for name in COMMANDS if name not in done.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    done = run(command, "--help")
    assert done.code == YES and f"Usage: depickle {command}" in done.out


@pytest.mark.parametrize("arguments, message", [
    (["nope"], "unknown command \"nope\""),
    (["--color", "never", "nope", "--json"], "unknown command \"nope\""),
    (["inspect", "--nope", "x"], "--nope"),
    (["--color", "never", "inspect"], "ADDR"),
    ([], "subcommand"),
])
def test_a_wrong_command_line(arguments, message):
    done = run(*arguments)
    assert done.code == COULD_NOT and message in error_line(done) and "depickle --help" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_short_help_page(command):
    short = run(command, "-h")
    assert short.code == YES and short.out.startswith(f"Usage: depickle {command}")
    assert f"Full help: depickle {command} --help" in short.out and "Examples:" not in short.out


def test_the_short_help_page_has_one_line_per_option():
    options = [line for line in run("convert", "-h").out.splitlines() if line.startswith("  -")]
    assert len(options) >= 15 and any("--dry-run" in line for line in options)


def test_without_depickle_server_there_are_no_server_commands(tmp_path):
    alone = shutil.copy(PROGRAM, tmp_path / "depickle")
    call = lambda *arguments: subprocess.run([alone, *arguments], capture_output=True, text=True, env=ENVIRONMENT)
    assert call("version").stdout == run("version").out
    assert "convert" in call("--help").stdout and "serve" not in call("--help").stdout
    refused = call("serve", "--port", "0")
    assert (
        refused.returncode == COULD_NOT
        and 'unknown command "serve"' in refused.stderr
        and "Python package" in refused.stderr
    )


def test_help_prints_the_exit_codes_and_the_help_of_a_command():
    codes = run("help", "exit-codes")
    assert codes.code == YES
    assert [line.split()[0] for line in codes.out.splitlines()[1:]] == ["0", "1", "2", "3", "4", "75", "130"]
    assert run("help", "convert").out == run("convert", "--help").out
    assert run("help").out == run("--help").out
    unknown = run("help", "nothing")
    assert unknown.code == COULD_NOT and "unknown topic or command: nothing" in unknown.err
