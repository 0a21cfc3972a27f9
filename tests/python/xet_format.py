"""Builds xorbs and shards of the xet protocol, valid or not."""


def little(number, count):
    return number.to_bytes(count, "little")


def chunk(data, scheme=0, raw=None):
    return little(0, 1) + little(len(data), 3) + little(scheme, 1) + little(len(data) if raw is None else raw, 3) + data


def lz4_frame_of_zeros(blocks):
    """Returns an LZ4 frame of `blocks` × 4 MiB of zeros: a literal, and a match that repeats it."""
    more = (4 << 20) - 1 - 5 - 4 - 15
    block = b"\x1f\0\x01\0" + b"\xff" * (more // 255) + little(more % 255, 1) + b"\x50" + bytes(5)
    return b"\x04\x22\x4d\x18\x60\x70\x73" + blocks * (little(len(block), 4) + block) + bytes(4)


def field(digits):
    """Returns a hash in the byte order of a shard: each of its four 64-bit numbers is reversed."""
    return b"".join(bytes.fromhex(digits[at : at + 16])[::-1] for at in range(0, 64, 16))


def shard_file(oid, *segments, count=None):
    """Returns the entry of a file: `segments` are (xorb, raw bytes, first chunk, end chunk)."""
    out = bytes(32) + little(0x40000000, 4) + little(len(segments) if count is None else count, 4) + bytes(8)
    for xorb, raw, begin, end in segments:
        out += field(xorb) + bytes(4) + little(raw, 4) + little(begin, 4) + little(end, 4)
    return out + field(oid) + bytes(16)


def shard(*files, version=2):
    return (
        b"HFRepoMetaData\0".ljust(32, b"U") + little(version, 8) + bytes(8) + b"".join(files) + b"\xff" * 32 + bytes(16)
    )
