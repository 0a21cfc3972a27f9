"""Which files are on the disk when the program ends: a preloaded library records every fsync."""
import subprocess

import pytest
import torch
from safetensors.torch import save_file

from program import YES, run

COUNTER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int descriptor) {
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, name, sizeof name);
  int log = open(getenv("SYNCED"), O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (length > 0) dprintf(log, "%.*s\n", (int)length, name);
  close(log);
  return syscall(SYS_fsync, descriptor);
}
"""


@pytest.fixture(scope="session")
def counter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counter")
    (folder / "counter.c").write_text(COUNTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "counter.so", folder / "counter.c"], check=True)
    return folder / "counter.so"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    torch.save({"a": torch.arange(300_000.0)}, folder / "pytorch_model-00001-of-00001.bin")
    (folder / "pytorch_model.bin.index.json").write_text(
        '{"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}'
    )
    return folder


def synced(counter, tmp_path, *arguments):
    log = tmp_path / "synced"
    log.write_text("")
    between = ("env", f"LD_PRELOAD={counter}", f"SYNCED={log}", "ASAN_OPTIONS=verify_asan_link_order=0")
    done = run("convert", *arguments, "--no-sandbox", prefix=between)  # a sandboxed process gets no environment
    assert done.code == YES, done.err
    return {name.replace(".depickle-tmp", "").rsplit("/", 1)[1].lstrip(".") for name in log.read_text().splitlines()}


def test_files_are_synced_before_they_get_their_names_unless_no_sync(counter, source, tmp_path):
    options = [source, "--receipt", tmp_path / "receipt.json", "-o"]
    files = {"model-00001-of-00001.safetensors", "model.safetensors.index.json", "receipt.json"}
    assert files <= synced(counter, tmp_path, *options, tmp_path / "durable")
    assert synced(counter, tmp_path, *options, tmp_path / "quick", "--force", "--no-sync") == set()
    expected = tmp_path / "expected.safetensors"
    save_file({"a": torch.arange(300_000.0)}, expected, metadata={"format": "pt"})
    for folder in ("durable", "quick"):
        assert (tmp_path / folder / "model-00001-of-00001.safetensors").read_bytes() == expected.read_bytes()
