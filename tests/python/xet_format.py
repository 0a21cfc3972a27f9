"""Builds xorbs and shards of the xet protocol, valid or not."""

import struct


def little(number, count):
    return number.to_bytes(count, "little")


IV = 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A
PERMUTATION = 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8
COLUMNS_AND_DIAGONALS = [
    (i, 4 + (i + d) % 4, 8 + (i + 2 * d) % 4, 12 + (i + 3 * d) % 4) for d in (0, 1) for i in range(4)
]
CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")


def compress(chain, block, counter, length, flags):
    m, v = struct.unpack("<16I", block), [*chain, *IV, counter, 0, length, flags]
    for _ in range(7):
        for number, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            for word, first, second in ((m[2 * number], 16, 12), (m[2 * number + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                x = v[d] ^ v[a]
                v[d] = (x >> first | x << (32 - first)) & 0xFFFFFFFF
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                x = v[b] ^ v[c]
                v[b] = (x >> second | x << (32 - second)) & 0xFFFFFFFF
        m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def keyed_blake3(key, data):
    """BLAKE3 in keyed mode."""
    key, nodes = struct.unpack("<8I", key), []
    parts = [data[at : at + 1024] for at in range(0, max(1, len(data)), 1024)]
    for counter, part in enumerate(parts):
        chain, blocks = key, [part[at : at + 64] for at in range(0, max(1, len(part)), 64)]
        for number, block in enumerate(blocks):
            flags = 16 | (number == 0) | 2 * (number == len(blocks) - 1)
            if len(parts) == 1 and number == len(blocks) - 1:
                flags |= 8
            chain = compress(chain, block.ljust(64, b"\0"), counter, len(block), flags)
        nodes.append(chain)
    while len(nodes) > 1:
        pairs = [nodes[at : at + 2] for at in range(0, len(nodes), 2)]
        flags = 16 | 4 | 8 * (len(nodes) == 2)
        nodes = [
            compress(key, struct.pack("<16I", *pair[0], *pair[1]), 0, 64, flags) if len(pair) == 2 else pair[0]
            for pair in pairs
        ]
    return struct.pack("<8I", *nodes[0])


def hash_text(raw):
    return "".join(raw[at : at + 8][::-1].hex() for at in range(0, 32, 8))


def xorb_hash(*chunks):
    """Returns the hash of a xorb with these raw chunks, at most 3."""
    nodes = [(keyed_blake3(CHUNK_KEY, raw), len(raw)) for raw in chunks]
    if len(nodes) == 1:
        return hash_text(nodes[0][0])
    lines = "".join(f"{hash_text(raw)} : {size}\n" for raw, size in nodes)
    return hash_text(keyed_blake3(NODE_KEY, lines.encode()))


def chunk(data, scheme=0, raw=None):
    return little(0, 1) + little(len(data), 3) + little(scheme, 1) + little(len(data) if raw is None else raw, 3) + data


def lz4_frame_of_zeros(blocks, block_bytes=4 << 20):
    """Returns an LZ4 frame of `blocks` × `block_bytes` of zeros: a literal, and a match that repeats it."""
    more = block_bytes - 1 - 5 - 4 - 15
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
