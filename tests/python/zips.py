"""Makes zip archives byte by byte, also those that no real tool produces."""
import dataclasses
import struct
import zlib

STORED, DEFLATED = 0, 8


@dataclasses.dataclass
class Entry:
    """A record. `local` and `central` override fields of the two headers: name, flags, method, crc, csize, usize, and
    offset in `central`."""
    name: str
    data: bytes = b""
    method: int = STORED
    local: dict = dataclasses.field(default_factory=dict)
    central: dict = dataclasses.field(default_factory=dict)

    def packed(self):
        if self.method != DEFLATED:
            return self.data
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(self.data) + deflate.flush()

    def truth(self, offset):
        return {
            "name": self.name,
            "flags": 0,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "csize": len(self.packed()),
            "usize": len(self.data),
            "offset": offset,
        }


def as_bytes(name):
    return name if isinstance(name, bytes) else name.encode()


def local_header(says):
    name = as_bytes(says["name"])
    return (
        struct.pack(
            "<IHHHHHIIIHH",
            0x04034B50,
            20,
            says["flags"],
            says["method"],
            0,
            0,
            says["crc"],
            says["csize"],
            says["usize"],
            len(name),
            0,
        )
        + name
    )


def central_header(says):
    name = as_bytes(says["name"])
    return (
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            20,
            20,
            says["flags"],
            says["method"],
            0,
            0,
            says["crc"],
            says["csize"],
            says["usize"],
            len(name),
            0,
            0,
            0,
            0,
            0,
            says["offset"],
        )
        + name
    )


def end_record(entries, size, offset, comment=b""):
    return struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, entries, entries, size, offset, len(comment)) + comment


def archive(entries, *, between=b"", end=None, comment=b""):
    """Returns an archive. `between` follows the records; `end` overrides the end record (entries, size, offset)."""
    out, directory = b"", b""
    for entry in entries:
        truth = entry.truth(len(out))
        out += local_header(truth | entry.local) + entry.packed()
        directory += central_header(truth | entry.central)
    out += between
    says = {"entries": len(entries), "size": len(directory), "offset": len(out)} | (end or {})
    return out + directory + end_record(says["entries"], says["size"], says["offset"], comment)


def checkpoint(pickle, storages, *, extra=(), **options):
    """Returns a torch checkpoint with this pickle; `storages` are the bytes of data/0, data/1, …"""
    entries = [Entry("archive/data.pkl", pickle), Entry("archive/byteorder", b"little")]
    entries += [Entry(f"archive/data/{key}", data) for key, data in enumerate(storages)]
    return archive([*entries, Entry("archive/version", b"3\n"), *extra], **options)
