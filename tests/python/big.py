"""Large checkpoints that take little room and no time: torch leaves the bytes of the storages out, and a few are written in by hand."""
import contextlib
import pathlib
import shutil
import tempfile

import pytest
import torch
from torch.utils.serialization import config


@contextlib.contextmanager
def room(bytes_needed):
    """A folder on a disk with that much room, removed again whatever happens."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="depickle-"))
    try:
        if shutil.disk_usage(folder).free < bytes_needed:
            pytest.skip(f"needs {bytes_needed >> 30} GiB of disk")
        yield folder
    finally:
        shutil.rmtree(folder)


def save_sparse(tensors, path):
    """What torch.save writes, but with holes in place of the storages' bytes, and no checksums, which would not fit them."""
    with config.patch({"save.compute_crc32": False}), torch.serialization.skip_data():
        torch.save(tensors, path)


def empty(dtype, *shape):
    """A tensor whose memory is never touched."""
    return torch.empty(shape, dtype=dtype)


def fill(path, record, values):
    """Writes {byte offset: bytes} into the record `data/…` of an archive, found where torch's own reader finds it."""
    begin = torch._C.PyTorchFileReader(str(path)).get_record_offset(record)
    with open(path, "r+b") as file:
        for offset, data in values.items():
            file.seek(begin + offset)
            file.write(data)
