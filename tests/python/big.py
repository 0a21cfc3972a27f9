"""Large checkpoints that need little space and time: storages are holes, and tests write a few of their bytes."""

import contextlib
import pathlib
import shutil
import tempfile

import pytest
import torch
from torch.utils.serialization import config


@contextlib.contextmanager
def folder_with_space(bytes_needed):
    """Yields a folder on a disk with that much free space, and removes it afterwards."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="depickle-"))
    try:
        if shutil.disk_usage(folder).free < bytes_needed:
            pytest.skip(f"needs {bytes_needed >> 30} GiB of disk")
        yield folder
    finally:
        shutil.rmtree(folder)


def save_sparse(tensors, path):
    """Writes what torch.save writes, with holes instead of storages, and without checksums, which would be wrong."""
    with config.patch({"save.compute_crc32": False}), torch.serialization.skip_data():
        torch.save(tensors, path)


def empty(dtype, *shape):
    """Returns a tensor whose memory is never touched."""
    return torch.empty(shape, dtype=dtype)


def fill(path, record, values):
    """Writes {byte offset: bytes} into the record `data/…` of an archive, where torch's reader finds it."""
    begin = torch._C.PyTorchFileReader(str(path)).get_record_offset(record)
    with open(path, "r+b") as file:
        for offset, data in values.items():
            file.seek(begin + offset)
            file.write(data)
